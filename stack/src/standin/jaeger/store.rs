//! Traces in memory, within bounds: when there are too many or they weigh too much, the oldest trace goes first.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::model::{Span, TraceId};

/// Bounds of the store. What does not fit drops the oldest trace, or the span itself, and is counted.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Traces kept.
    pub traces: usize,
    /// Spans kept of one trace; later ones are dropped.
    pub spans_per_trace: usize,
    /// Bytes that all spans may weigh together.
    pub bytes: usize,
    /// Distinct pairs of service, kind and operation remembered.
    pub operations: usize,
}

impl Default for Limits {
    /// Enough for an hour of the demo's sampled load, within 64 MB.
    fn default() -> Self {
        Self {
            traces: 50_000,
            spans_per_trace: 2_000,
            bytes: 64 << 20,
            operations: 10_000,
        }
    }
}

/// How full the store is, and what it had to drop.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    traces: usize,
    /// What all spans weigh.
    bytes: usize,
    /// Because the store was full.
    dropped_traces: u64,
    /// Because their trace had too many, or they were too heavy to keep at all.
    dropped_spans: u64,
}

impl Counts {
    /// Each bound beside its use, in Prometheus' text format.
    pub(super) fn to_prometheus(self, limits: &Limits) -> String {
        let rows = [
            ("traces", "gauge", "Traces in memory.", self.traces as u64),
            (
                "traces_limit",
                "gauge",
                "Traces kept at most.",
                limits.traces as u64,
            ),
            (
                "bytes",
                "gauge",
                "Bytes that all spans weigh.",
                self.bytes as u64,
            ),
            (
                "bytes_limit",
                "gauge",
                "Bytes that all spans may weigh.",
                limits.bytes as u64,
            ),
            (
                "dropped_traces_total",
                "counter",
                "Oldest traces dropped for newer ones.",
                self.dropped_traces,
            ),
            (
                "dropped_spans_total",
                "counter",
                "Spans beyond the bound of their trace.",
                self.dropped_spans,
            ),
        ];
        let line = |(name, kind, help, value): (&str, &str, &str, u64)| {
            format!(
                "# HELP jaeger_standin_{name} {help}\n# TYPE jaeger_standin_{name} {kind}\njaeger_standin_{name} {value}\n"
            )
        };
        rows.into_iter().map(line).collect()
    }
}

/// Spans of one trace in the order in which they came.
pub(super) type Trace = Vec<Arc<Span>>;

/// An operation of a service: its name and its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Operation {
    pub name: String,
    pub kind: &'static str,
}

#[derive(Default)]
struct Inner {
    traces: HashMap<TraceId, Trace>,
    /// Trace ids in the order of their first span: Jaeger's "newest" means order of arrival.
    arrival: VecDeque<TraceId>,
    operations: BTreeMap<String, BTreeSet<Operation>>,
    remembered: usize,
    counts: Counts,
}

/// The one place where spans live.
pub(super) struct Store {
    limits: Limits,
    inner: Mutex<Inner>,
}

impl Store {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            inner: Mutex::default(),
        }
    }

    /// Takes spans in. Returns how many were kept.
    pub(super) fn insert(&self, spans: Vec<Span>) -> usize {
        let mut inner = self.lock();
        let kept = spans
            .into_iter()
            .filter_map(|span| inner.insert(span, &self.limits))
            .count();
        inner.trim(&self.limits);
        kept
    }

    /// The trace with this id, as it is now.
    pub(super) fn trace(&self, id: TraceId) -> Option<Trace> {
        self.lock().traces.get(&id).cloned()
    }

    /// At most `limit` traces for which `matches` holds, newest first.
    pub(super) fn newest(
        &self,
        limit: usize,
        mut matches: impl FnMut(&Trace) -> bool,
    ) -> Vec<Trace> {
        let inner = self.lock();
        let newest_first = inner
            .arrival
            .iter()
            .rev()
            .filter_map(|id| inner.traces.get(id));
        newest_first
            .filter(|trace| matches(trace))
            .take(limit)
            .cloned()
            .collect()
    }

    /// Names of all services that ever sent a span, sorted.
    pub(super) fn services(&self) -> Vec<String> {
        self.lock().operations.keys().cloned().collect()
    }

    /// Operations of a service, sorted; `None`: never heard of it.
    pub(super) fn operations(&self, service: &str) -> Option<Vec<Operation>> {
        Some(
            self.lock()
                .operations
                .get(service)?
                .iter()
                .cloned()
                .collect(),
        )
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How full the store is.
    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves a consistent map behind: each change is one step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn insert(&mut self, span: Span, limits: &Limits) -> Option<()> {
        let weight = span.weight();
        let known = self.traces.get(&span.trace).map_or(0, Vec::len);
        if known >= limits.spans_per_trace || weight > limits.bytes {
            self.counts.dropped_spans += 1;
            return None;
        }
        self.remember_operation(&span, limits);
        if known == 0 {
            self.arrival.push_back(span.trace);
            self.counts.traces += 1;
        }
        self.counts.bytes += weight;
        self.traces
            .entry(span.trace)
            .or_default()
            .push(Arc::new(span));
        Some(())
    }

    fn remember_operation(&mut self, span: &Span, limits: &Limits) {
        if self.remembered >= limits.operations {
            return;
        }
        let operation = Operation {
            name: span.name.clone(),
            kind: span.kind,
        };
        if self
            .operations
            .entry(span.process.service.clone())
            .or_default()
            .insert(operation)
        {
            self.remembered += 1;
        }
    }

    fn trim(&mut self, limits: &Limits) {
        while self.counts.traces > limits.traces || self.counts.bytes > limits.bytes {
            let Some(oldest) = self.arrival.pop_front() else {
                return;
            };
            let spans = self.traces.remove(&oldest).unwrap_or_default();
            self.counts.traces -= 1;
            self.counts.bytes -= spans.iter().map(|span| span.weight()).sum::<usize>();
            self.counts.dropped_traces += 1;
        }
    }
}
