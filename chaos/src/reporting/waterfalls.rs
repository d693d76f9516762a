//! The slowest sampled request before and during the fault, as bars over time.

use report::model::{SpanBar, Waterfall};

use crate::evidence::Evidence;
use crate::evidence_traces::slowest;
use crate::jaeger::Jaeger;
use crate::phases::Phase;
use crate::trace::Trace;

/// Bars of one waterfall at most: more can't be read.
const MAX_BARS: usize = 60;

pub(super) fn of(evidence: &Evidence, jaeger: Option<&Jaeger>) -> Vec<Waterfall> {
    let Ok(traces) = evidence.traces() else {
        return Vec::new();
    };
    [
        (Phase::Baseline, "slowest sampled request before"),
        (Phase::Fault, "slowest sampled request during"),
    ]
    .into_iter()
    .filter_map(|(phase, title)| {
        let trace = slowest(evidence, phase)
            .iter()
            .find_map(|id| traces.get(id))?;
        waterfall(trace, title, jaeger)
    })
    .collect()
}

fn waterfall(trace: &Trace, title: &str, jaeger: Option<&Jaeger>) -> Option<Waterfall> {
    let tree = trace.tree()?;
    let begin = tree.root().start_us;
    let bars = tree
        .walk()
        .into_iter()
        .take(MAX_BARS)
        .map(|(span, depth)| SpanBar {
            name: span.name.clone(),
            dependency: span.peer_service.clone(),
            depth,
            start_us: (span.start_us - begin).max(0).unsigned_abs(),
            duration_us: span.duration_us.unsigned_abs(),
            error: span.error.clone(),
        });
    Some(Waterfall {
        title: title.to_owned(),
        trace_id: trace.id.clone(),
        link: jaeger.map(|jaeger| jaeger.page(&trace.id)),
        spans: bars.collect(),
    })
}
