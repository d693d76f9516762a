//! The stand-in's own promises: memory is bounded, and hostile spans hide nothing.

use stack::standin::jaeger::Limits;

use super::{
    spans::{request, span, text},
    target::{Target, stand_in},
};

async fn metric(target: &Target, name: &str) -> u64 {
    let text = target.get("/metrics").await.body;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("jaeger_standin_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn the_oldest_trace_goes_first_when_there_are_too_many() {
    let target = stand_in(Limits {
        traces: 3,
        ..Limits::default()
    })
    .await;
    for id in 1..=5 {
        target
            .send(request(Some("bounds"), vec![span(id, 1, "one")]))
            .await;
    }
    let kept = target.search("service=bounds").await;
    assert_eq!(
        kept,
        ["0000000000000005", "0000000000000004", "0000000000000003"]
    );
    assert_eq!(metric(&target, "dropped_traces_total").await, 2);
    assert_eq!(
        (
            metric(&target, "traces").await,
            metric(&target, "traces_limit").await
        ),
        (3, 3)
    );
}

#[tokio::test]
async fn heavy_spans_push_out_older_traces_and_never_pass_the_bound() {
    let target = stand_in(Limits {
        bytes: 100_000,
        ..Limits::default()
    })
    .await;
    for id in 1..=20 {
        let mut heavy = span(id, 1, "heavy");
        heavy.attributes = vec![text("blob", &"x".repeat(20_000))];
        target.send(request(Some("bounds"), vec![heavy])).await;
        assert!(metric(&target, "bytes").await <= 100_000);
    }
    assert_eq!(target.search("service=bounds").await.len(), 4);
}

#[tokio::test]
async fn a_span_heavier_than_the_store_and_spans_beyond_a_traces_bound_are_dropped_and_counted() {
    let target = stand_in(Limits {
        bytes: 10_000,
        spans_per_trace: 3,
        ..Limits::default()
    })
    .await;
    let mut monster = span(1, 1, "monster");
    monster.attributes = vec![text("blob", &"x".repeat(20_000))];
    target.send(request(Some("bounds"), vec![monster])).await;
    assert_eq!(metric(&target, "dropped_spans_total").await, 1);
    target
        .send(request(
            Some("bounds"),
            (1..=5).map(|id| span(2, id, "many")).collect(),
        ))
        .await;
    assert_eq!(
        target.trace("2", 3).await["spans"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(metric(&target, "dropped_spans_total").await, 3);
}

#[tokio::test]
async fn a_span_with_an_all_zero_id_is_refused_and_hides_nothing() {
    let target = stand_in(Limits::default()).await;
    target
        .send(request(Some("bounds"), vec![span(1, 1, "sound")]))
        .await;
    let mut short_id = span(3, 1, "short id");
    short_id.trace_id.truncate(8);
    target
        .send(request(
            Some("bounds"),
            vec![span(0, 1, "no trace"), span(2, 0, "no span"), short_id],
        ))
        .await;
    assert_eq!(target.search("service=bounds").await, ["0000000000000001"]);
}
