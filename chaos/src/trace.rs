//! A trace as a tree of spans, and the questions that a verdict asks of it. Pure: knows neither Jaeger nor requests.

use std::collections::HashMap;

/// One request's spans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// 32 hex digits.
    pub id: String,
    /// In order of start.
    pub spans: Vec<Span>,
}

/// One span. Times are microseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    /// 16 hex digits.
    pub id: String,
    /// The parent's id; it may belong to another process and be missing from the trace.
    pub parent: Option<String>,
    /// The operation.
    pub name: String,
    /// `server`, `client`, `internal`, `producer`, `consumer`; empty when not said.
    pub kind: String,
    /// `peer.service`: the dependency that a client span calls.
    pub peer_service: Option<String>,
    /// Unix time.
    pub start_us: i64,
    /// Length.
    pub duration_us: i64,
    /// `error.type` of a failed span, or `error`.
    pub error: Option<String>,
}

impl Span {
    fn end_us(&self) -> i64 {
        self.start_us + self.duration_us
    }

    /// Whether this span is a call of the dependency.
    pub fn calls(&self, dependency: &str) -> bool {
        self.kind == "client" && self.peer_service.as_deref() == Some(dependency)
    }
}

/// More spans than this are not looked at: a trace is one request, and a loop would not end.
const MAX_SPANS: usize = 5_000;

impl Trace {
    /// The tree below the request's root; `None` for a trace without spans.
    pub fn tree(&self) -> Option<Tree<'_>> {
        Tree::new(self)
    }
}

/// A trace with its root and who is whose child. Spans that work on after the answer (consumers, and what is below them)
/// are no part of it: nobody waited for them.
pub struct Tree<'a> {
    spans: &'a [Span],
    root: usize,
    children: Vec<Vec<usize>>,
}

impl<'a> Tree<'a> {
    fn new(trace: &'a Trace) -> Option<Self> {
        let spans = &trace.spans[..trace.spans.len().min(MAX_SPANS)];
        let by_id: HashMap<&str, usize> = spans
            .iter()
            .enumerate()
            .map(|(index, span)| (span.id.as_str(), index))
            .collect();
        let parent = |span: &Span| span.parent.as_deref().and_then(|id| by_id.get(id)).copied();
        let root = (0..spans.len())
            .filter(|index| parent(&spans[*index]).is_none())
            .min_by_key(|i| spans[*i].start_us)?;
        let mut children = vec![Vec::new(); spans.len()];
        for (index, span) in spans.iter().enumerate() {
            if let Some(parent) =
                parent(span).filter(|parent| *parent != index && span.kind != "consumer")
            {
                children[parent].push(index);
            }
        }
        Some(Self {
            spans,
            root,
            children,
        })
    }

    /// The span of the request itself.
    pub fn root(&self) -> &'a Span {
        &self.spans[self.root]
    }

    /// Spans below and including the root with their depth, parents before children, siblings by start.
    pub fn walk(&self) -> Vec<(&'a Span, u16)> {
        let mut seen = vec![false; self.spans.len()];
        let mut found = Vec::new();
        let mut stack = vec![(self.root, 0_u16)];
        while let Some((index, depth)) = stack.pop() {
            if std::mem::replace(&mut seen[index], true) {
                continue;
            }
            found.push((&self.spans[index], depth));
            let mut children = self.children[index].clone();
            children.sort_by_key(|child| std::cmp::Reverse(self.spans[*child].start_us));
            stack.extend(
                children
                    .into_iter()
                    .map(|child| (child, depth.saturating_add(1))),
            );
        }
        found
    }

    /// Calls of the dependency for this request.
    pub fn calls(&self, dependency: &str) -> usize {
        self.walk()
            .into_iter()
            .filter(|(span, _)| span.calls(dependency))
            .count()
    }

    /// Of the time until the answer, the part in which nothing but the dependency was waited for: the critical path's
    /// share on its client spans and whatever is below them.
    ///
    /// The critical path is followed backwards from the end of the root: at each moment it is on the child that ended
    /// last, and on the parent itself where no child was running.
    pub fn critical_us(&self, dependency: &str) -> i64 {
        let mut seen = vec![false; self.spans.len()];
        let mut total = 0;
        // A span, the moment until which it is on the path, and whether it is below a call of the dependency.
        let mut stack = vec![(self.root, self.root().end_us(), false)];
        while let Some((index, until, below)) = stack.pop() {
            if std::mem::replace(&mut seen[index], true) {
                continue;
            }
            let span = &self.spans[index];
            let below = below || span.calls(dependency);
            let mut at = until.min(span.end_us());
            let mut own = 0;
            let mut children = self.children[index].clone();
            children.sort_by_key(|child| std::cmp::Reverse(self.spans[*child].end_us()));
            for child in children {
                let (from, to) = (
                    self.spans[child].start_us.max(span.start_us),
                    self.spans[child].end_us().min(at),
                );
                if to <= from {
                    continue;
                }
                own += at - to;
                stack.push((child, to, below));
                at = from;
            }
            own += (at - span.start_us).max(0);
            total += if below { own } else { 0 };
        }
        total
    }

    /// The span that failed first: of those with an error the one that ended first, the deepest of those that ended
    /// together, since a failure is passed on from the inside to the outside.
    pub fn first_error(&self) -> Option<&'a Span> {
        let failed = self
            .walk()
            .into_iter()
            .filter(|(span, _)| span.error.is_some());
        failed
            .min_by_key(|(span, depth)| (span.end_us(), std::cmp::Reverse(*depth)))
            .map(|(span, _)| span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>, kind: &str, start_us: i64, duration_us: i64) -> Span {
        Span {
            id: id.into(),
            parent: parent.map(Into::into),
            name: id.into(),
            kind: kind.into(),
            peer_service: None,
            start_us,
            duration_us,
            error: None,
        }
    }

    fn store(id: &str, parent: &str, start_us: i64, duration_us: i64) -> Span {
        Span {
            peer_service: Some("store".into()),
            ..span(id, Some(parent), "client", start_us, duration_us)
        }
    }

    fn trace(spans: Vec<Span>) -> Trace {
        Trace {
            id: "t".into(),
            spans,
        }
    }

    fn critical(spans: Vec<Span>) -> i64 {
        trace(spans).tree().expect("a root").critical_us("store")
    }

    #[test]
    fn time_on_the_dependency_is_what_its_client_spans_take_of_the_root() {
        let root = span("root", Some("elsewhere"), "server", 0, 100);
        assert_eq!(
            critical(vec![
                root.clone(),
                store("a", "root", 10, 30),
                store("b", "root", 50, 40)
            ]),
            70
        );
        assert_eq!(critical(vec![root]), 0);
    }

    #[test]
    fn calls_side_by_side_count_once() {
        let spans = vec![
            span("root", None, "server", 0, 100),
            store("a", "root", 10, 60),
            store("b", "root", 20, 60),
        ];
        assert_eq!(critical(spans), 70);
    }

    #[test]
    fn a_call_hidden_behind_a_longer_sibling_is_not_on_the_path() {
        let other = span("decode", Some("root"), "internal", 10, 80);
        let spans = vec![
            span("root", None, "server", 0, 100),
            other,
            store("a", "root", 20, 30),
        ];
        assert_eq!(critical(spans), 0);
    }

    #[test]
    fn a_call_inside_an_internal_span_counts_and_so_does_what_is_below_it() {
        let spans = vec![
            span("root", None, "server", 0, 100),
            span("render", Some("root"), "internal", 10, 80),
            store("a", "render", 20, 50),
            span("retry", Some("a"), "internal", 30, 20),
        ];
        assert_eq!(critical(spans), 50);
    }

    #[test]
    fn nobody_waits_for_a_consumer() {
        let spans = vec![
            span("root", None, "server", 0, 100),
            span("worker", Some("root"), "consumer", 20, 500),
            store("a", "worker", 30, 400),
        ];
        let trace = trace(spans);
        let tree = trace.tree().expect("a root");
        assert_eq!((tree.critical_us("store"), tree.calls("store")), (0, 0));
    }

    #[test]
    fn the_first_error_is_the_innermost_that_ended_first() {
        let failed = |span: Span| Span {
            error: Some("timeout".into()),
            ..span
        };
        let trace = trace(vec![
            failed(span("root", None, "server", 0, 100)),
            failed(span("fetch", Some("root"), "internal", 10, 80)),
            failed(store("a", "fetch", 10, 80)),
        ]);
        assert_eq!(
            trace
                .tree()
                .and_then(|tree| tree.first_error().map(|span| span.id.clone())),
            Some("a".into())
        );
    }

    #[test]
    fn spans_that_are_their_own_ancestors_do_not_hang() {
        let trace = trace(vec![
            span("root", None, "server", 0, 100),
            span("a", Some("b"), "internal", 10, 10),
            span("b", Some("a"), "internal", 10, 10),
            span("self", Some("self"), "internal", 10, 10),
        ]);
        let tree = trace.tree().expect("a root");
        assert_eq!((tree.walk().len(), tree.critical_us("store")), (1, 0));
        assert!(Trace::default().tree().is_none());
    }
}
