//! Synthetic requests for the tests of the rules.

use loadtest::events::{ErrorKind, RequestSample};

use crate::phases;
use crate::trace::{Span, Trace};

/// A good answer.
pub(crate) fn sample(due_us: i64, route: &str, latency_us: u64) -> RequestSample {
    RequestSample {
        due_us,
        route: route.to_owned(),
        status: Some(200),
        error: None,
        latency_us,
        send_lag_us: 100,
        bytes: 1_000,
        problem: false,
        retry_after: false,
        trace_id: None,
    }
}

/// An answer with this status, as a problem document that says when to retry.
pub(crate) fn failed(due_us: i64, route: &str, status: u16, latency_us: u64) -> RequestSample {
    RequestSample {
        status: Some(status),
        error: Some(ErrorKind::Status),
        problem: true,
        retry_after: true,
        ..sample(due_us, route, latency_us)
    }
}

/// The routes of 100 requests, as the plan `browse` shares them.
fn route(index: i64) -> &'static str {
    match index * 37 % 100 {
        0..20 => "list",
        20..40 => "metadata",
        40..80 => "content",
        80..98 => "render",
        _ => "upload",
    }
}

/// Good answers at a constant rate, all of the same latency, one in five with a trace.
pub(crate) fn steady(span: phases::Span, rate: i64, latency_us: u64) -> Vec<RequestSample> {
    let requests = (span.to - span.from) * rate / 1_000_000;
    (0..requests)
        .map(|index| RequestSample {
            trace_id: (index % 5 == index / 100 % 5).then(|| format!("{:032x}", span.from + index)),
            ..sample(
                span.from + index * 1_000_000 / rate,
                route(index),
                latency_us,
            )
        })
        .collect()
}

/// A request's trace: a server span with one call of the store in it, which failed or not.
pub(crate) fn store_trace(id: &str, root_us: i64, store_us: i64, error: bool) -> Trace {
    let error = error.then(|| "timeout".to_owned());
    let root = Span {
        id: "root".into(),
        name: "GET".into(),
        kind: "server".into(),
        duration_us: root_us,
        error: error.clone(),
        ..Span::default()
    };
    let call = Span {
        id: "call".into(),
        parent: Some("root".into()),
        name: "GetObject".into(),
        kind: "client".into(),
        peer_service: Some("store".into()),
        start_us: (root_us - store_us) / 2,
        duration_us: store_us,
        error,
    };
    Trace {
        id: id.to_owned(),
        spans: vec![root, call],
    }
}
