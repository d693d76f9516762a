//! What the sampled traces say about a fault: which part of the added latency, and which failures, lie on the dependency.
//! Pure: the traces are there already.

use std::collections::HashMap;

use loadtest::events::RequestSample;
use loadtest::stats::{mean, median};

use crate::trace::{Trace, Tree};

/// Fewest traces in each phase that say something.
pub const MIN_TRACES: usize = 30;
/// Fewest traces of one route that say how often it calls a dependency.
pub const MIN_TRACES_OF_ROUTE: usize = 10;
/// Most traces of one route and phase that are asked for.
const MAX_TRACES_OF_ROUTE: usize = 60;

/// Traces by id.
pub type Traces = HashMap<String, Trace>;

/// Ids of sampled requests, spread evenly over those given, so that a short burst does not stand for the phase.
pub fn choose<'a>(samples: impl IntoIterator<Item = &'a RequestSample>) -> Vec<String> {
    let ids: Vec<&String> = samples
        .into_iter()
        .filter_map(|sample| sample.trace_id.as_ref())
        .collect();
    let step = ids.len().div_ceil(MAX_TRACES_OF_ROUTE).max(1);
    ids.into_iter().step_by(step).cloned().collect()
}

fn trees<'a>(samples: &[&RequestSample], traces: &'a Traces) -> Vec<Tree<'a>> {
    traced(samples, traces)
        .into_iter()
        .map(|(_, tree)| tree)
        .collect()
}

/// The requests of which there is a trace, with it.
fn traced<'s, 'a>(
    samples: &[&'s RequestSample],
    traces: &'a Traces,
) -> Vec<(&'s RequestSample, Tree<'a>)> {
    let tree = |id: &String| traces.get(id)?.tree();
    samples
        .iter()
        .filter_map(|sample| Some((*sample, tree(sample.trace_id.as_ref()?)?)))
        .collect()
}

/// Of what was added to requests, their traces must account for at least so large a share.
const MIN_ACCOUNTED: f64 = 0.5;
/// Requests are slower when so much was added on average: a fifth, and at least this many microseconds. Less is noise.
const SLOWER_SHARE: f64 = 0.2;
const SLOWER_US: f64 = 2_000.0;

/// Where the added latency lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attribution {
    /// Mean added time on the critical path's calls of the dependency, divided by the mean added time in all; `None` when the
    /// traces account for less than half of what was added to their requests.
    pub share: Option<f64>,
    /// Mean added time of the traces, in microseconds.
    pub added_us: f64,
    /// Mean added time of the same requests, from the due time to the last byte, in microseconds.
    pub requests_us: f64,
    /// Traces of the baseline and of the fault.
    pub traces: (usize, usize),
}

/// Which share of the latency that was added between two phases lies on the dependency's client spans; or why that can't be
/// told.
pub fn of_latency(
    baseline: &[&RequestSample],
    fault: &[&RequestSample],
    traces: &Traces,
    dependency: &str,
) -> Result<Attribution, String> {
    let (before, during) = (traced(baseline, traces), traced(fault, traces));
    let counts = (before.len(), during.len());
    if counts.0 < MIN_TRACES || counts.1 < MIN_TRACES {
        return Err(format!(
            "{} traces before and {} during the fault; {MIN_TRACES} of each are needed",
            counts.0, counts.1
        ));
    }
    let of_root = |traced: &Traced<'_, '_>| traced.1.root().duration_us as f64;
    let of_request = |traced: &Traced<'_, '_>| traced.0.latency_us as f64;
    let on_dependency = |traced: &Traced<'_, '_>| traced.1.critical_us(dependency) as f64;
    let added = |of: &dyn Fn(&Traced<'_, '_>) -> f64| mean_of(&during, of) - mean_of(&before, of);
    let (added_us, requests_us) = (added(&of_root), added(&of_request));
    let is_slower = requests_us > SLOWER_US.max(mean_of(&before, &of_request) * SLOWER_SHARE);
    let is_accounted = added_us > 0.0 && added_us >= requests_us * MIN_ACCOUNTED;
    if added_us <= 0.0 && !is_slower {
        return Err("neither the requests nor their traces became slower".into());
    }
    Ok(Attribution {
        share: (is_accounted || !is_slower).then(|| added(&on_dependency) / added_us),
        added_us,
        requests_us,
        traces: counts,
    })
}

type Traced<'s, 'a> = (&'s RequestSample, Tree<'a>);

fn mean_of(traced: &[Traced<'_, '_>], of: &dyn Fn(&Traced<'_, '_>) -> f64) -> f64 {
    mean(&traced.iter().map(of).collect::<Vec<_>>()).unwrap_or(0.0)
}

/// How often these requests call the dependency: the median over their traces, and the number of traces.
pub fn calls(samples: &[&RequestSample], traces: &Traces, dependency: &str) -> (f64, usize) {
    let calls: Vec<f64> = trees(samples, traces)
        .iter()
        .map(|tree| tree.calls(dependency) as f64)
        .collect();
    (median(&calls).unwrap_or(0.0), calls.len())
}

/// Mean calls of the dependency for each request: more of them than before is retry amplification.
pub fn mean_calls(samples: &[&RequestSample], traces: &Traces, dependency: &str) -> Option<f64> {
    mean(
        &trees(samples, traces)
            .iter()
            .map(|tree| tree.calls(dependency) as f64)
            .collect::<Vec<_>>(),
    )
}

/// Of these failed requests' traces, the share whose first error is on a call of the dependency, and their number; or why
/// that can't be told.
pub fn of_failures(
    failed: &[&RequestSample],
    traces: &Traces,
    dependency: &str,
) -> Result<(f64, usize), String> {
    let trees = trees(failed, traces);
    if trees.len() < MIN_TRACES {
        return Err(format!(
            "{} traces of failed requests; {MIN_TRACES} are needed",
            trees.len()
        ));
    }
    let named = trees
        .iter()
        .filter(|tree| {
            tree.first_error()
                .is_some_and(|span| span.calls(dependency))
        })
        .count();
    Ok((named as f64 / trees.len() as f64, trees.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{sample, store_trace};

    /// Requests of a phase with one trace each: total duration and time on the store.
    fn phase(
        prefix: &str,
        n: usize,
        root_us: i64,
        store_us: i64,
        error: bool,
    ) -> (Vec<RequestSample>, Traces) {
        phase_of_requests(prefix, n, root_us as u64, (root_us, store_us), error)
    }

    /// The same with requests of another latency than their traces.
    fn phase_of_requests(
        prefix: &str,
        n: usize,
        latency_us: u64,
        (root_us, store_us): (i64, i64),
        error: bool,
    ) -> (Vec<RequestSample>, Traces) {
        let ids = (0..n).map(|index| format!("{prefix}{index}"));
        let samples = ids
            .clone()
            .map(|id| RequestSample {
                trace_id: Some(id),
                ..sample(0, "content", latency_us)
            })
            .collect();
        (
            samples,
            ids.map(|id| (id.clone(), store_trace(&id, root_us, store_us, error)))
                .collect(),
        )
    }

    fn attribution(
        n: usize,
        fault_root_us: i64,
        fault_store_us: i64,
    ) -> Result<Attribution, String> {
        let (before, mut traces) = phase("a", n, 10_000, 4_000, false);
        let (during, more) = phase("b", n, fault_root_us, fault_store_us, false);
        traces.extend(more);
        of_latency(
            &before.iter().collect::<Vec<_>>(),
            &during.iter().collect::<Vec<_>>(),
            &traces,
            "store",
        )
    }

    #[test]
    fn the_share_is_added_time_on_the_dependency_by_added_time_in_all() {
        let seen = attribution(30, 410_000, 364_000).expect("measured");
        let share = seen.share.expect("accounted for");
        assert!((share - 0.9).abs() < 1e-9, "{seen:?}");
        assert_eq!(seen.traces, (30, 30));
    }

    #[test]
    fn latency_that_lies_elsewhere_is_not_attributed() {
        let seen = attribution(30, 410_000, 4_000).expect("measured");
        assert!(seen.share.expect("accounted for").abs() < 1e-9);
    }

    #[test]
    fn fewer_than_thirty_traces_say_nothing() {
        assert!(
            attribution(29, 410_000, 400_000)
                .expect_err("measured")
                .contains("29 traces")
        );
        assert!(
            attribution(30, 9_000, 3_000)
                .expect_err("measured")
                .contains("neither the requests nor their traces")
        );
    }

    /// What is seen when requests that took 10 ms take so long during the fault, and their traces so long.
    fn unlike(latency_us: u64, root_us: i64) -> Result<Attribution, String> {
        let (before, mut traces) = phase("a", 30, 10_000, 4_000, false);
        let spans = (root_us, root_us - 6_000);
        let (during, more) = phase_of_requests("b", 30, latency_us, spans, false);
        traces.extend(more);
        of_latency(
            &before.iter().collect::<Vec<_>>(),
            &during.iter().collect::<Vec<_>>(),
            &traces,
            "store",
        )
    }

    #[test]
    fn traces_that_know_nothing_of_what_was_added_to_their_requests_attribute_nothing() {
        for root_us in [9_000, 10_000, 11_000, 200_000] {
            let seen = unlike(410_000, root_us).expect("measured");
            assert_eq!(seen.share, None, "{root_us}");
            assert!((seen.requests_us - 400_000.0).abs() < 1e-6);
        }
        assert!(unlike(410_000, 250_000).expect("measured").share.is_some());
        assert!(unlike(11_500, 10_500).expect("measured").share.is_some());
        assert!(unlike(11_500, 9_000).is_err(), "noise is not slower");
    }

    #[test]
    fn failures_belong_to_the_dependency_whose_span_failed_first() {
        let (failed, traces) = phase("a", 40, 1_000, 900, true);
        assert_eq!(
            of_failures(&failed.iter().collect::<Vec<_>>(), &traces, "store"),
            Ok((1.0, 40))
        );
        assert_eq!(
            of_failures(&failed.iter().collect::<Vec<_>>(), &traces, "catalog"),
            Ok((0.0, 40))
        );
        assert!(of_failures(&[], &traces, "store").is_err());
    }

    #[test]
    fn the_chosen_ids_are_bounded_and_spread_over_the_phase() {
        let samples: Vec<_> = (0..600)
            .map(|due| RequestSample {
                trace_id: Some(format!("{due}")),
                ..sample(due, "content", 1)
            })
            .collect();
        let chosen = choose(&samples);
        assert_eq!(
            (chosen.len(), chosen[0].as_str(), chosen[59].as_str()),
            (60, "0", "590")
        );
    }
}
