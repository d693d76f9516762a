//! What a run says: pass, fail, or nothing at all.
//!
//! A threshold has failed only if it also fails when everything that may be the generator's doing is counted in the target's
//! favour; otherwise the run measured the generator, and nothing is proven.

use super::answer::OwnLimit;
use super::recorder::Measured;
use crate::events::NotSent;
use crate::result::{Conclusion, GENERATOR_LOSS_BOUND, MEASURE, PhaseResult};
use crate::threshold::{Outcome, Threshold, ThresholdOutcome};

/// Workers of a run, and how many it would need to send each request when it is due whatever the target does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) workers: usize,
    pub(crate) workers_needed: usize,
}

/// How the sending ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With the plan.
    Planned,
    /// A signal ended it before the last of so many requests was due.
    Early { planned: u64 },
}

/// The outcome of each threshold, the conclusion, and a sentence for each thing that decided it.
pub(crate) fn judge(
    measured: &Measured,
    thresholds: &[Threshold],
    bounds: Bounds,
    ending: Ending,
) -> (Vec<ThresholdOutcome>, Conclusion, Vec<String>) {
    let outcomes: Vec<ThresholdOutcome> = thresholds
        .iter()
        .map(|threshold| outcome(threshold, measured))
        .collect();
    let sentences = |wanted: Outcome| {
        let of_outcome = outcomes
            .iter()
            .filter(move |outcome| outcome.outcome == wanted);
        of_outcome.map(sentence).collect::<Vec<String>>()
    };
    let (failed, not_measured) = (sentences(Outcome::Failed), sentences(Outcome::NotMeasured));
    // Weightiest first: a generator that can't keep its schedule measured itself, so nothing else counts.
    let spoiled = early(measured, ending)
        .or_else(|| nothing_due(measured))
        .or_else(|| lost_by_the_generator(measured));
    let (conclusion, reasons) = if let Some(why) = spoiled {
        let besides = [failed, not_measured].concat();
        (Conclusion::Inconclusive, [vec![why], besides].concat())
    } else if !failed.is_empty() {
        (Conclusion::Fail, failed)
    } else {
        let capped = lost_to_the_cap(measured, bounds, !not_measured.is_empty());
        let bound = at_its_bound(measured).filter(|_| !not_measured.is_empty());
        let unjudged = unjudged_errors(measured, thresholds);
        let why: Vec<String> = capped
            .into_iter()
            .chain(not_measured)
            .chain(bound)
            .chain(unjudged)
            .collect();
        if why.is_empty() {
            (Conclusion::Pass, why)
        } else {
            (Conclusion::Inconclusive, why)
        }
    };
    (outcomes, conclusion, reasons)
}

/// A threshold that fails only by what may be the generator's doing is not measured.
fn outcome(threshold: &Threshold, measured: &Measured) -> ThresholdOutcome {
    let seen = threshold.judge(&measured.phases);
    if seen.outcome != Outcome::Failed {
        return seen;
    }
    let best = threshold.judge(&measured.favourable);
    if best.outcome == Outcome::Failed {
        return seen;
    }
    ThresholdOutcome {
        seen: format!(
            "{}, but {} without what the generator itself may have added or lost",
            seen.seen, best.seen
        ),
        outcome: Outcome::NotMeasured,
        ..seen
    }
}

fn measure(measured: &Measured) -> Option<&PhaseResult> {
    measured.phases.iter().find(|phase| phase.name == MEASURE)
}

fn early(measured: &Measured, ending: Ending) -> Option<String> {
    let Ending::Early { planned } = ending else {
        return None;
    };
    let due: u64 = measured.phases.iter().map(|phase| phase.totals.due).sum();
    Some(format!(
        "stopped before its time: {due} of {planned} requests were due"
    ))
}

fn nothing_due(measured: &Measured) -> Option<String> {
    let due = measure(measured)?.totals.due;
    (due == 0).then(|| "no request was due in the measured phase".to_owned())
}

/// The share of the due requests that were lost, when it is more than is allowed.
fn too_many(lost: u64, due: u64) -> Option<String> {
    let share = lost as f64 / due as f64;
    (share > GENERATOR_LOSS_BOUND).then(|| {
        format!(
            "{lost} of {due} requests ({:.1} %, at most {:.0} %)",
            share * 100.0,
            GENERATOR_LOSS_BOUND * 100.0
        )
    })
}

fn lost_by_the_generator(measured: &Measured) -> Option<String> {
    let phase = measure(measured)?;
    let NotSent { generator, .. } = phase.totals.not_sent;
    let lost = too_many(generator, phase.totals.due)?;
    let limit = measured.limit.map(OwnLimit::sentence);
    let advice = limit.map(str::to_owned).or_else(|| at_its_bound(measured));
    let advice = advice.unwrap_or_else(|| ADVICE.to_owned());
    Some(format!("the generator lost {lost}: {advice}"))
}

const ADVICE: &str = "run it on a machine with more free CPU, or lower the rate";

/// That the generator was at its bound, when it was.
fn at_its_bound(measured: &Measured) -> Option<String> {
    let generator = measure(measured)?.generator;
    (generator.saturated_seconds > 0).then(|| {
        format!(
            "the generator was at its bound in {} of {} s (its threads were busy up to {:.0} % of a second, its event loop \
             stood still for {:.1} s in all): {ADVICE}",
            generator.saturated_seconds,
            generator.seconds,
            generator.busy_max * 100.0,
            generator.stalled_us as f64 / 1e6
        )
    })
}

/// Without a worker for each request nobody knows what those that waited for one would have been.
fn lost_to_the_cap(measured: &Measured, bounds: Bounds, is_unclear: bool) -> Option<String> {
    let totals = measure(measured)?.totals;
    let Bounds {
        workers,
        workers_needed,
    } = bounds;
    if workers >= workers_needed {
        return None;
    }
    let lost =
        too_many(totals.not_sent.workers, totals.due).map(|lost| format!("{lost} were not sent: "));
    (lost.is_some() || is_unclear).then(|| {
        format!(
            "{}there were {workers} workers, and this rate and timeout can need {workers_needed}: raise run.max_workers, or \
             lower the rate or the timeout",
            lost.unwrap_or_default()
        )
    })
}

/// A run in which nothing succeeded is no pass only because no threshold looks at errors.
fn unjudged_errors(measured: &Measured, thresholds: &[Threshold]) -> Option<String> {
    let all = &measure(measured)?.all;
    let is_judged = thresholds
        .iter()
        .any(|threshold| threshold.rule.is_about_errors());
    (all.n > 0 && all.error_count() == all.n && !is_judged).then(|| {
        format!(
            "all {} requests failed, and no threshold is about errors: add `error_rate < 1%`",
            all.n
        )
    })
}

fn sentence(threshold: &ThresholdOutcome) -> String {
    let route = threshold.route.as_deref().unwrap_or("all routes");
    let verb = if threshold.outcome == Outcome::Failed {
        "failed"
    } else {
        "was not measured"
    };
    format!(
        "{route}, {}: `{}` {verb}: {}",
        threshold.phase, threshold.rule, threshold.seen
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::events::ErrorKind;
    use crate::result::{GeneratorFigures, RouteFigures, Totals};
    use crate::stats::LatencyHistogram;
    use crate::threshold::Rule;

    const ENOUGH: Bounds = Bounds {
        workers: 500,
        workers_needed: 500,
    };
    const CAPPED: Bounds = Bounds {
        workers: 1_000,
        workers_needed: 7_500,
    };

    /// `n` requests that were sent and took 10 ms each, of which so much may be the generator's doing; the rest of the due
    /// ones were lost.
    fn measured(n: u64, not_sent: NotSent, added_us: u64) -> Measured {
        let figures = |latency_us: u64, lost: u64, errors: u64| {
            let mut histogram = LatencyHistogram::default();
            (0..n).for_each(|_| histogram.record(latency_us));
            (0..errors).for_each(|_| histogram.record(5_000_000));
            (0..lost).for_each(|_| histogram.record(0));
            let errors = (errors > 0).then_some((ErrorKind::NotSent, errors));
            RouteFigures::new(errors.into_iter().collect(), &histogram)
        };
        let totals = Totals {
            due: n + not_sent.lost() + not_sent.target,
            sent: n,
            ok: n,
            errors: not_sent.target,
            not_sent,
        };
        let phase = |all| PhaseResult {
            name: MEASURE.to_owned(),
            totals,
            send_lag: LatencyHistogram::default().percentiles(),
            event_loop_lag_max_us: 0,
            generator: GeneratorFigures::default(),
            all,
            routes: BTreeMap::new(),
        };
        Measured {
            phases: vec![phase(figures(10_000, 0, not_sent.target))],
            favourable: vec![phase(figures(
                10_000 - added_us,
                not_sent.lost(),
                not_sent.target,
            ))],
            limit: None,
        }
    }

    fn lost(generator: u64, workers: u64, target: u64) -> NotSent {
        NotSent {
            generator,
            workers,
            target,
        }
    }

    fn conclusion_of(
        measured: &Measured,
        rule: &str,
        bounds: Bounds,
        ending: Ending,
    ) -> (Conclusion, Vec<String>) {
        let rule = Rule::parse(rule).expect("parses");
        let threshold = Threshold {
            rule,
            route: None,
            phase: MEASURE.to_owned(),
        };
        let (_, conclusion, reasons) = judge(measured, &[threshold], bounds, ending);
        (conclusion, reasons)
    }

    fn conclusion(measured: &Measured, rule: &str) -> (Conclusion, Vec<String>) {
        conclusion_of(measured, rule, ENOUGH, Ending::Planned)
    }

    #[test]
    fn a_run_passes_when_every_threshold_holds_and_fails_when_one_does_not() {
        let good = measured(300, NotSent::default(), 0);
        assert_eq!(
            conclusion(&good, "p95 < 50ms"),
            (Conclusion::Pass, Vec::new())
        );
        let (failed, reasons) = conclusion(&good, "p95 < 5ms");
        assert_eq!(failed, Conclusion::Fail);
        assert_eq!(
            reasons,
            ["all routes, measure: `p95 < 5ms` failed: 10.0 ms (n = 300)"]
        );
    }

    #[test]
    fn a_run_whose_generator_lost_more_than_two_percent_never_passes_or_fails() {
        assert_eq!(
            conclusion(&measured(980, lost(20, 0, 0), 0), "p95 < 50ms").0,
            Conclusion::Pass
        );
        for rule in ["p95 < 50ms", "p95 < 5ms"] {
            let (inconclusive, reasons) = conclusion(&measured(979, lost(21, 0, 0), 0), rule);
            assert_eq!(inconclusive, Conclusion::Inconclusive);
            assert!(reasons[0].contains("lost 21 of 1000"), "{reasons:?}");
        }
        assert_eq!(
            conclusion(&measured(0, NotSent::default(), 0), "max < 5s").0,
            Conclusion::Inconclusive
        );
    }

    #[test]
    fn a_limit_of_its_own_is_named_where_the_generator_lost_requests_to_it() {
        let mut seen = measured(900, lost(100, 0, 0), 0);
        seen.limit = Some(OwnLimit::Files);
        let (_, reasons) = conclusion(&seen, "p95 < 50ms");
        assert!(reasons[0].contains("ulimit -n"), "{reasons:?}");
    }

    #[test]
    fn a_threshold_that_fails_only_by_what_the_generator_added_is_not_measured() {
        let mut seen = measured(300, NotSent::default(), 9_000);
        let generator = &mut seen.phases[0].generator;
        (generator.seconds, generator.saturated_seconds) = (10, 8);
        generator.busy_max = 0.97;
        let (inconclusive, reasons) = conclusion(&seen, "p95 < 5ms");
        assert_eq!(inconclusive, Conclusion::Inconclusive);
        assert!(
            reasons[0].contains("was not measured: 10.0 ms (n = 300), but 1.0 ms"),
            "{reasons:?}"
        );
        assert!(
            reasons[1].contains("at its bound in 8 of 10 s") && reasons[1].contains("97 %"),
            "{reasons:?}"
        );
        // The target alone took longer than this; and this held in spite of the generator.
        assert_eq!(conclusion(&seen, "p95 < 500us").0, Conclusion::Fail);
        assert_eq!(conclusion(&seen, "p95 < 50ms").0, Conclusion::Pass);
    }

    #[test]
    fn what_found_no_worker_of_too_few_is_nobodys_failure_unless_the_target_fails_without_it() {
        let capped = |rule, seen: &Measured| conclusion_of(seen, rule, CAPPED, Ending::Planned);
        let few = measured(700, lost(0, 300, 0), 0);
        for rule in ["p95 < 50ms", "error_rate < 1%"] {
            let (inconclusive, reasons) = capped(rule, &few);
            assert_eq!(inconclusive, Conclusion::Inconclusive, "{rule}");
            assert!(
                reasons[0].starts_with("300 of 1000 requests (30.0 %, at most 2 %) were not sent")
                    && reasons[0].contains("1000 workers")
                    && reasons[0].contains("can need 7500: raise run.max_workers"),
                "{reasons:?}"
            );
        }
        assert_eq!(capped("p50 < 5ms", &few).0, Conclusion::Fail);
        assert_eq!(
            capped("p95 < 50ms", &measured(1_000, NotSent::default(), 0)).0,
            Conclusion::Pass,
            "a bound that was not reached"
        );
    }

    #[test]
    fn what_the_target_kept_from_being_sent_is_its_failure() {
        let seen = measured(900, lost(0, 0, 100), 0);
        assert_eq!(conclusion(&seen, "error_rate < 1%").0, Conclusion::Fail);
        assert_eq!(conclusion(&seen, "p95 < 1s").0, Conclusion::Fail);
    }

    #[test]
    fn a_threshold_without_enough_samples_proves_nothing() {
        let (inconclusive, reasons) =
            conclusion(&measured(199, NotSent::default(), 0), "p95 < 50ms");
        assert_eq!(inconclusive, Conclusion::Inconclusive);
        assert!(
            reasons[0].ends_with("was not measured: n too small (199)"),
            "{reasons:?}"
        );
    }

    #[test]
    fn a_run_that_was_stopped_before_its_time_proves_nothing() {
        let seen = measured(300, NotSent::default(), 0);
        for rule in ["p95 < 50ms", "p95 < 5ms"] {
            let ending = Ending::Early { planned: 6_000 };
            let (inconclusive, reasons) = conclusion_of(&seen, rule, ENOUGH, ending);
            assert_eq!(inconclusive, Conclusion::Inconclusive);
            assert_eq!(
                reasons[0],
                "stopped before its time: 300 of 6000 requests were due"
            );
        }
    }

    #[test]
    fn a_run_in_which_everything_failed_does_not_pass_for_want_of_a_threshold_on_errors() {
        let seen = measured(0, lost(0, 0, 300), 0);
        let (inconclusive, reasons) = conclusion(&seen, "p95 < 10s");
        assert_eq!(inconclusive, Conclusion::Inconclusive);
        assert!(
            reasons[0].contains("all 300 requests failed"),
            "{reasons:?}"
        );
    }
}
