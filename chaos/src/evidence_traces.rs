//! Which traces an experiment's judgement and its report need, and their fetching.

use crate::attribution::{self, Traces};
use crate::context::Context;
use crate::definition::Experiment;
use crate::evidence::Evidence;
use crate::phases::Phase;

/// Slowest requests of a phase that are asked for: the first of them that Jaeger still has becomes the waterfall.
const SLOWEST: usize = 3;
/// Traces in all: more than five changing routes, the failed and the slowest requests ask for.
const MAX_TRACES: usize = 800;

/// Fetches the traces, or says why there are none.
pub async fn fetch(
    experiment: &Experiment,
    evidence: &Evidence,
    context: &Context,
) -> Result<Traces, String> {
    let jaeger = context.jaeger().ok_or("no Jaeger")?;
    jaeger
        .check()
        .await
        .map_err(|why| format!("no Jaeger: {why}"))?;
    Ok(jaeger.traces(&wanted(experiment, evidence)).await)
}

/// Ids of the traces that are needed, each once. Those of failed requests come first: a fault that nobody names must not be
/// what a bound hides.
fn wanted(experiment: &Experiment, evidence: &Evidence) -> Vec<String> {
    let routes = evidence.route_names();
    let failed = evidence
        .routes(Phase::Fault, &routes)
        .into_iter()
        .filter(|sample| sample.error.is_some());
    let mut ids = attribution::choose(failed);
    for phase in [Phase::Baseline, Phase::Fault] {
        ids.extend(slowest(evidence, phase).into_iter().take(SLOWEST));
        for route in experiment.changing_routes() {
            ids.extend(attribution::choose(evidence.route(phase, route)));
        }
    }
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    ids.truncate(MAX_TRACES);
    ids
}

/// Sampled requests of a phase, the slowest first, by the ids of their traces.
pub fn slowest(evidence: &Evidence, phase: Phase) -> Vec<String> {
    let mut samples = evidence.routes(phase, &evidence.route_names());
    samples.retain(|sample| sample.trace_id.is_some());
    samples.sort_by_key(|sample| std::cmp::Reverse(sample.latency_us));
    samples
        .into_iter()
        .filter_map(|sample| sample.trace_id.clone())
        .collect()
}
