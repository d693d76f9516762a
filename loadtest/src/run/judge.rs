//! What a run says: pass, fail, or nothing at all.

use crate::result::{Conclusion, GENERATOR_LOSS_BOUND, MEASURE, PhaseResult};
use crate::threshold::{Outcome, Threshold, ThresholdOutcome};

/// The outcome of each threshold, the conclusion, and a sentence for each thing that decided it.
pub(crate) fn judge(
    phases: &[PhaseResult],
    thresholds: &[Threshold],
) -> (Vec<ThresholdOutcome>, Conclusion, Vec<String>) {
    let outcomes: Vec<ThresholdOutcome> = thresholds
        .iter()
        .map(|threshold| threshold.judge(phases))
        .collect();
    let sentences = |wanted: Outcome| {
        let of_outcome = outcomes
            .iter()
            .filter(move |outcome| outcome.outcome == wanted);
        of_outcome.map(sentence).collect::<Vec<String>>()
    };
    let (failed, not_measured) = (sentences(Outcome::Failed), sentences(Outcome::NotMeasured));
    // A generator that can't keep its schedule measured itself, so nothing else counts.
    let (conclusion, reasons) = match generator_fault(phases) {
        Some(fault) => (Conclusion::Inconclusive, vec![fault]),
        None if !failed.is_empty() => (Conclusion::Fail, failed),
        None if !not_measured.is_empty() => (Conclusion::Inconclusive, not_measured),
        None => (Conclusion::Pass, Vec::new()),
    };
    (outcomes, conclusion, reasons)
}

fn generator_fault(phases: &[PhaseResult]) -> Option<String> {
    let totals = phases.iter().find(|phase| phase.name == MEASURE)?.totals;
    if totals.due == 0 {
        return Some("no request was due in the measured phase".to_owned());
    }
    let lost = totals.not_sent.generator as f64 / totals.due as f64;
    (lost > GENERATOR_LOSS_BOUND).then(|| {
        format!(
            "the generator lost {} of {} requests ({:.1} %, at most {:.0} %): run it on a machine with more free CPU, or lower the rate",
            totals.not_sent.generator,
            totals.due,
            lost * 100.0,
            GENERATOR_LOSS_BOUND * 100.0
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
    use crate::events::NotSent;
    use crate::result::{RouteFigures, Totals};
    use crate::stats::LatencyHistogram;
    use crate::threshold::Rule;

    fn measured(n: u64, generator: u64) -> Vec<PhaseResult> {
        let mut histogram = LatencyHistogram::default();
        (0..n).for_each(|_| histogram.record(10_000));
        let totals = Totals {
            due: n + generator,
            sent: n,
            ok: n,
            errors: 0,
            not_sent: NotSent {
                generator,
                target: 0,
            },
        };
        vec![PhaseResult {
            name: MEASURE.to_owned(),
            totals,
            send_lag: histogram.percentiles(),
            event_loop_lag_max_us: 0,
            all: RouteFigures::new(BTreeMap::new(), &histogram),
            routes: BTreeMap::new(),
        }]
    }

    fn conclusion(phases: &[PhaseResult], rule: &str) -> (Conclusion, Vec<String>) {
        let rule = Rule::parse(rule).expect("parses");
        let (_, conclusion, reasons) = judge(
            phases,
            &[Threshold {
                rule,
                route: None,
                phase: MEASURE.to_owned(),
            }],
        );
        (conclusion, reasons)
    }

    #[test]
    fn a_run_passes_when_every_threshold_holds_and_fails_when_one_does_not() {
        assert_eq!(
            conclusion(&measured(300, 0), "p95 < 50ms"),
            (Conclusion::Pass, Vec::new())
        );
        let (failed, reasons) = conclusion(&measured(300, 0), "p95 < 5ms");
        assert_eq!(failed, Conclusion::Fail);
        assert_eq!(
            reasons,
            ["all routes, measure: `p95 < 5ms` failed: 10.0 ms (n = 300)"]
        );
    }

    #[test]
    fn a_run_whose_generator_lost_more_than_two_percent_never_passes_or_fails() {
        assert_eq!(
            conclusion(&measured(980, 20), "p95 < 50ms").0,
            Conclusion::Pass
        );
        for rule in ["p95 < 50ms", "p95 < 5ms"] {
            let (inconclusive, reasons) = conclusion(&measured(979, 21), rule);
            assert_eq!(inconclusive, Conclusion::Inconclusive);
            assert!(reasons[0].contains("lost 21 of 1000"), "{reasons:?}");
        }
        assert_eq!(
            conclusion(&measured(0, 0), "max < 5s").0,
            Conclusion::Inconclusive
        );
    }

    #[test]
    fn a_threshold_without_enough_samples_proves_nothing() {
        let (inconclusive, reasons) = conclusion(&measured(199, 0), "p95 < 50ms");
        assert_eq!(inconclusive, Conclusion::Inconclusive);
        assert!(
            reasons[0].ends_with("was not measured: n too small (199)"),
            "{reasons:?}"
        );
    }
}
