//! Thresholds: sentences like `p99 < 250ms` that decide how a run ends.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::events::ErrorKind;
use crate::result::{PhaseResult, RouteFigures};
use crate::stats::{P95_MIN_SAMPLES, P99_MIN_SAMPLES, P999_MIN_SAMPLES};
use crate::units::{format_us, parse_duration};

/// What a threshold looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Median latency.
    P50,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
    /// 99.9th percentile.
    P999,
    /// The slowest request.
    Max,
    /// Errors by requests.
    ErrorRate,
}

/// One bound on one measure, for instance `error_rate < 0.1%`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    text: String,
    measure: Measure,
    /// Exclusive; microseconds, or a ratio for [`Measure::ErrorRate`].
    bound: f64,
}

/// A rule and what it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// The bound.
    pub rule: Rule,
    /// One route; all of them together when `None`.
    pub route: Option<String>,
    /// The phase, `measure` or `warmup`.
    pub phase: String,
}

/// A threshold after a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThresholdOutcome {
    /// The rule as written.
    pub rule: String,
    /// The route; all of them together when `None`.
    pub route: Option<String>,
    /// The phase.
    pub phase: String,
    /// The figure with its unit, or why there is none.
    pub seen: String,
    /// Whether it held.
    pub outcome: Outcome,
}

/// How a threshold came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The figure lies below the bound.
    Held,
    /// It does not.
    Failed,
    /// There were too few samples for the figure.
    NotMeasured,
}

impl Rule {
    /// Reads `MEASURE < BOUND`; the error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (measure, bound) = text.split_once('<').ok_or_else(|| {
            format!("`{text}` is no threshold: write a measure, `<` and a bound, for instance `p99 < 250ms`")
        })?;
        let measure = match measure.trim() {
            "p50" => Measure::P50,
            "p95" => Measure::P95,
            "p99" => Measure::P99,
            "p99.9" => Measure::P999,
            "max" => Measure::Max,
            "error_rate" => Measure::ErrorRate,
            other => {
                return Err(format!(
                    "`{other}` is no measure: use p50, p95, p99, p99.9, max or error_rate"
                ));
            }
        };
        let bound = match measure {
            Measure::ErrorRate => parse_ratio(bound)?,
            _ => parse_duration(bound)?.as_micros() as f64,
        };
        Ok(Self {
            text: text.trim().to_owned(),
            measure,
            bound,
        })
    }

    /// The fewest requests with which it can be judged.
    pub fn min_samples(&self) -> u64 {
        match self.measure {
            Measure::P95 => P95_MIN_SAMPLES,
            Measure::P99 => P99_MIN_SAMPLES,
            Measure::P999 => P999_MIN_SAMPLES,
            Measure::P50 | Measure::Max | Measure::ErrorRate => 1,
        }
    }

    /// Whether it is about errors.
    pub fn is_about_errors(&self) -> bool {
        self.measure == Measure::ErrorRate
    }

    fn judge(&self, figures: &RouteFigures) -> (String, Outcome) {
        let percentiles = &figures.latency;
        let latency = match self.measure {
            Measure::ErrorRate => return self.judge_error_rate(figures),
            Measure::P50 => percentiles.p50_us,
            Measure::P95 => percentiles.p95_us,
            Measure::P99 => percentiles.p99_us,
            Measure::P999 => percentiles.p999_us,
            Measure::Max => percentiles.max_us,
        };
        match latency {
            None => (format!("n too small ({})", figures.n), Outcome::NotMeasured),
            Some(us) => (
                format!("{} (n = {})", format_us(us), figures.n),
                self.outcome(us as f64),
            ),
        }
    }

    fn judge_error_rate(&self, figures: &RouteFigures) -> (String, Outcome) {
        if figures.n == 0 {
            return ("no request".to_owned(), Outcome::NotMeasured);
        }
        let ratio = figures.error_rate();
        let kinds: Vec<String> = figures
            .errors
            .iter()
            .map(|(kind, n)| format!("{n} {}", name_of(*kind)))
            .collect();
        let kinds = if kinds.is_empty() {
            String::new()
        } else {
            format!(": {}", kinds.join(", "))
        };
        (
            format!("{:.3}% (n = {}{kinds})", ratio * 100.0, figures.n),
            self.outcome(ratio),
        )
    }

    fn outcome(&self, seen: f64) -> Outcome {
        if seen < self.bound {
            Outcome::Held
        } else {
            Outcome::Failed
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Threshold {
    /// Judges it by the phases of a run.
    pub fn judge(&self, phases: &[PhaseResult]) -> ThresholdOutcome {
        let phase = phases.iter().find(|phase| phase.name == self.phase);
        let figures = phase.and_then(|phase| match &self.route {
            None => Some(&phase.all),
            Some(route) => phase.routes.get(route),
        });
        let (seen, outcome) = match figures {
            None => ("no request".to_owned(), Outcome::NotMeasured),
            Some(figures) => self.rule.judge(figures),
        };
        ThresholdOutcome {
            rule: self.rule.to_string(),
            route: self.route.clone(),
            phase: self.phase.clone(),
            seen,
            outcome,
        }
    }
}

fn parse_ratio(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let (number, scale) = text
        .strip_suffix('%')
        .map_or((text, 1.0), |percent| (percent.trim(), 0.01));
    match number.parse::<f64>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value * scale),
        _ => Err(format!("`{text}` is no ratio: write for instance `0.1%`")),
    }
}

fn name_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Timeout => "timeout",
        ErrorKind::Connect => "connect",
        ErrorKind::Io => "io",
        ErrorKind::Status => "status",
        ErrorKind::Body => "body",
        ErrorKind::NotSent => "not sent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::LatencyHistogram;

    fn figures(n: u64, latency_us: u64, body_errors: u64) -> RouteFigures {
        let mut histogram = LatencyHistogram::default();
        (0..n).for_each(|_| histogram.record(latency_us));
        let errors = if body_errors == 0 {
            Vec::new()
        } else {
            vec![(ErrorKind::Body, body_errors)]
        };
        RouteFigures::new(errors.into_iter().collect(), &histogram)
    }

    fn judged(rule: &str, figures: &RouteFigures) -> (String, Outcome) {
        Rule::parse(rule).expect("parses").judge(figures)
    }

    #[test]
    fn a_latency_must_lie_below_its_bound() {
        assert_eq!(
            judged("p99 < 250ms", &figures(1_000, 100_000, 0)).1,
            Outcome::Held
        );
        assert_eq!(
            judged("p99 < 50ms", &figures(1_000, 100_000, 0)).1,
            Outcome::Failed
        );
        let (seen, outcome) = judged("p99 < 250ms", &figures(999, 100_000, 0));
        assert_eq!(
            (seen.as_str(), outcome),
            ("n too small (999)", Outcome::NotMeasured)
        );
    }

    #[test]
    fn an_error_rate_says_which_errors_it_counted() {
        assert_eq!(
            judged("error_rate < 0.1%", &figures(2_000, 10, 1)).1,
            Outcome::Held
        );
        let (seen, outcome) = judged("error_rate < 0.1%", &figures(2_000, 10, 2));
        assert_eq!(
            (seen.as_str(), outcome),
            ("0.100% (n = 2000: 2 body)", Outcome::Failed)
        );
        assert_eq!(
            judged("error_rate < 0.1%", &figures(0, 0, 0)).1,
            Outcome::NotMeasured
        );
    }

    #[test]
    fn a_rule_that_means_nothing_is_refused_with_an_example() {
        for (rule, part) in [
            ("p99 250ms", "for instance `p99 < 250ms`"),
            ("p42 < 1s", "is no measure"),
            ("p99 < fast", "is no duration"),
            ("error_rate < many", "is no ratio"),
        ] {
            assert!(
                Rule::parse(rule).expect_err("refused").contains(part),
                "{rule}"
            );
        }
    }
}
