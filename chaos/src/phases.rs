//! When what happened, and to which phase a request belongs. Pure: times go in, phases come out.
//!
//! All times are microseconds on the command's own clock ([`crate::clock`]): Unix time to look at, which no step of the
//! wall clock moves.

use std::time::Duration;

/// Requests due within this long before the rollback belong to it: their answers may be cut short by it.
pub const BEFORE_ROLLBACK: Duration = Duration::from_secs(1);

/// The phase of a request, by its due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Sent, judged by nothing.
    WarmUp,
    /// The steady state.
    Baseline,
    /// Between the baseline and the injection, while the baseline is judged.
    Pause,
    /// From the begin of the injection until it was verified.
    Onset,
    /// The fault is active. In a negative control: the time in which nothing must deviate.
    Fault,
    /// From one second before the rollback until it was verified.
    Rollback,
    /// After the lift.
    Recovery,
}

impl Phase {
    /// The word in the report.
    pub fn word(self) -> &'static str {
        match self {
            Self::WarmUp => "warm-up",
            Self::Baseline => "baseline",
            Self::Pause => "pause",
            Self::Onset => "onset",
            Self::Fault => "fault",
            Self::Rollback => "rollback",
            Self::Recovery => "recovery",
        }
    }
}

/// The moments that divide an experiment. Those not reached are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The first request was due.
    pub started: i64,
    /// End of the warm-up.
    pub baseline: i64,
    /// End of the baseline.
    pub baseline_end: i64,
    /// The injection began.
    pub injecting: Option<i64>,
    /// The injection was verified.
    pub verified: Option<i64>,
    /// The rollback began.
    pub rolling_back: Option<i64>,
    /// The rollback was verified.
    pub lifted: Option<i64>,
    /// Nothing due later was judged.
    pub ended: Option<i64>,
}

/// A stretch of time, `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First microsecond.
    pub from: i64,
    /// First microsecond after it.
    pub to: i64,
}

impl Span {
    /// Whether the moment lies in it.
    pub fn contains(self, at: i64) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// Length in seconds.
    pub fn seconds(self) -> f64 {
        (self.to - self.from) as f64 / 1e6
    }
}

impl Marks {
    /// The phase of a request due at this moment.
    pub fn phase_of(&self, due: i64) -> Phase {
        let before_rollback = self
            .rolling_back
            .map(|at| at - BEFORE_ROLLBACK.as_micros() as i64);
        let reached = |mark: Option<i64>| mark.is_some_and(|at| due >= at);
        if due < self.baseline {
            Phase::WarmUp
        } else if due < self.baseline_end {
            Phase::Baseline
        } else if reached(self.lifted) {
            Phase::Recovery
        } else if self.verified.is_some() && reached(before_rollback) || reached(self.rolling_back)
        {
            Phase::Rollback
        } else if reached(self.verified) {
            Phase::Fault
        } else if reached(self.injecting) {
            Phase::Onset
        } else {
            Phase::Pause
        }
    }

    /// The stretch of the baseline.
    pub fn baseline_span(&self) -> Span {
        Span {
            from: self.baseline,
            to: self.baseline_end,
        }
    }

    /// The stretch in which promises are judged; `None` before the injection was verified. While the fault still goes on
    /// it ends `now`.
    pub fn fault_span(&self, now: i64) -> Option<Span> {
        let from = self.verified?;
        let to = self
            .rolling_back
            .map_or(now, |at| at - BEFORE_ROLLBACK.as_micros() as i64);
        Some(Span {
            from,
            to: to.max(from),
        })
    }

    /// The phases that were reached, in order, for the report.
    pub fn reached(&self, has_fault: bool) -> Vec<(Phase, Span)> {
        let end = self.ended.unwrap_or(self.baseline_end);
        let mut spans = vec![
            (
                Phase::WarmUp,
                Span {
                    from: self.started,
                    to: self.baseline,
                },
            ),
            (
                Phase::Baseline,
                Span {
                    from: self.baseline,
                    to: self.baseline_end.min(end),
                },
            ),
        ];
        if let (Some(injecting), true) = (self.injecting, has_fault) {
            spans.push((
                Phase::Onset,
                Span {
                    from: injecting,
                    to: self.verified.or(self.rolling_back).unwrap_or(end),
                },
            ));
        }
        if let Some(fault) = self.fault_span(end) {
            spans.push((Phase::Fault, fault));
            if let (Some(lifted), true) = (self.lifted, has_fault) {
                spans.push((
                    Phase::Rollback,
                    Span {
                        from: fault.to,
                        to: lifted,
                    },
                ));
            }
        }
        if let (Some(lifted), true) = (self.lifted, has_fault) {
            spans.push((
                Phase::Recovery,
                Span {
                    from: lifted,
                    to: end,
                },
            ));
        }
        spans.retain(|(_, span)| span.to > span.from);
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    fn marks() -> Marks {
        Marks {
            started: 0,
            baseline: 5 * S,
            baseline_end: 17 * S,
            injecting: Some(18 * S),
            verified: Some(19 * S),
            rolling_back: Some(32 * S),
            lifted: Some(32 * S + S / 10),
            ended: Some(40 * S),
        }
    }

    #[test]
    fn a_request_belongs_to_the_phase_of_its_due_time() {
        for (due, phase) in [
            (0, Phase::WarmUp),
            (5 * S - 1, Phase::WarmUp),
            (5 * S, Phase::Baseline),
            (17 * S, Phase::Pause),
            (18 * S, Phase::Onset),
            (19 * S, Phase::Fault),
            (31 * S - 1, Phase::Fault),
            (31 * S, Phase::Rollback),
            (32 * S, Phase::Rollback),
            (32 * S + S / 10, Phase::Recovery),
        ] {
            assert_eq!(marks().phase_of(due), phase, "due at {due}");
        }
    }

    #[test]
    fn the_judged_fault_ends_one_second_before_the_rollback() {
        assert_eq!(
            marks().fault_span(0),
            Some(Span {
                from: 19 * S,
                to: 31 * S
            })
        );
    }

    #[test]
    fn an_injection_that_was_never_verified_leaves_no_fault_to_judge() {
        let marks = Marks {
            verified: None,
            ..marks()
        };
        assert_eq!(marks.fault_span(40 * S), None);
        assert_eq!(marks.phase_of(31 * S + 1), Phase::Onset);
        assert_eq!(marks.phase_of(32 * S), Phase::Rollback);
    }

    #[test]
    fn a_control_has_neither_onset_nor_recovery() {
        let words: Vec<_> = marks()
            .reached(false)
            .into_iter()
            .map(|(phase, _)| phase.word())
            .collect();
        assert_eq!(words, ["warm-up", "baseline", "fault"]);
    }
}
