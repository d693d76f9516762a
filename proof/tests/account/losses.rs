//! The account after outages: it closes to the unit, or says what cannot be known, and is never a wrong "proven".

use stack::wait;

use super::gate::Way;
use super::rig::{DEADLINE, Rig};

#[tokio::test(flavor = "multi_thread")]
async fn the_account_closes_to_the_unit_after_each_outage_or_says_that_it_cannot() {
    let Some(mut rig) = Rig::start().await else {
        return;
    };
    rig.load().await;
    let account = rig.account(&["--settle", "60s"]).await;
    assert_eq!(account.code, 0, "{}", account.said);
    let ended = account.figure("spans of", "ended");
    assert!(ended > 60.0, "{}", account.said);
    assert!(
        same(account.figure("spans of", "received"), ended),
        "{}",
        account.said
    );
    let written = account.figure("lines of", "written");
    assert!(
        same(account.figure("lines of", "indexed"), written),
        "{}",
        account.said
    );
    assert!(
        same(account.figure("requests", "observations"), 25.0),
        "{}",
        account.said
    );

    answers_lost(&mut rig).await;
    black_hole(&mut rig).await;
    index_away(&mut rig).await;
    killed(&mut rig).await;
    server_gone(rig).await;
}

fn same(one: f64, other: f64) -> bool {
    (one - other).abs() < 0.5
}

/// Jaeger gets spans and its answers are lost: they are unknown to the service, and there.
async fn answers_lost(rig: &mut Rig) {
    rig.to_jaeger.set(Way::Mute);
    rig.load().await;
    until_exported(rig).await;
    rig.to_jaeger.set(Way::Open);
    let account = rig.account(&["--settle", "30s"]).await;
    let unknown = account.figure("spans of", "unknown");
    assert!(unknown > 0.0, "{}", account.said);
    let (received, confirmed) = (
        account.figure("spans of", "received"),
        account.figure("spans of", "confirmed"),
    );
    assert!(
        received > confirmed && received <= confirmed + unknown,
        "{}",
        account.said
    );
    assert!(account.codes().is_empty(), "{}", account.said);
}

/// Spans go nowhere: they are unknown to the service, and not there. Their lines lead to no trace, which is no finding, and
/// not proven either where it shows.
async fn black_hole(rig: &mut Rig) {
    rig.to_jaeger.set(Way::Hole);
    rig.load().await;
    until_exported(rig).await;
    rig.to_jaeger.set(Way::Open);
    let account = rig.account(&["--settle", "30s"]).await;
    let (received, confirmed) = (
        account.figure("spans of", "received"),
        account.figure("spans of", "confirmed"),
    );
    let unknown = account.figure("spans of", "unknown");
    assert!(
        received >= confirmed && received < confirmed + unknown,
        "{}",
        account.said
    );
    assert!(account.codes().is_empty(), "{}", account.said);
}

/// Waits until the service has given up on what it was sending.
async fn until_exported(rig: &Rig) {
    let url = format!("{}/metrics", rig.admin());
    let idle = async || {
        let answer = stack::net::http().unwrap().get(&url).send().await.ok()?;
        let text = answer.text().await.ok()?;
        let is_0 = |name: &str| text.lines().any(|line| line == format!("{name} 0"));
        let is_idle =
            is_0("otel_sdk_processor_span_queue_size") && is_0("otel_sdk_exporter_span_inflight");
        is_idle.then_some(())
    };
    assert!(
        wait::until(DEADLINE, idle).await.is_some(),
        "spans are still on their way"
    );
}

/// Elasticsearch cannot be reached by the shipper: lines are missing, and come later.
async fn index_away(rig: &mut Rig) {
    rig.to_elasticsearch.set(Way::Hole);
    rig.load().await;
    let account = rig.account(&["--settle", "1s"]).await;
    assert_eq!(account.code, 1, "{}", account.said);
    assert!(
        account.codes().contains(&"lines-missing"),
        "{}",
        account.said
    );
    rig.to_elasticsearch.set(Way::Open);
    // The shipper gives a request that nobody answers up after 30 s.
    let account = rig.account(&["--settle", "120s"]).await;
    assert!(account.codes().is_empty(), "{}", account.said);
    let written = account.figure("lines of", "written");
    assert!(
        same(account.figure("lines of", "indexed"), written),
        "{}",
        account.said
    );
}

/// A process that is killed takes its counters along: what it lost is not known, and that is never "proven".
async fn killed(rig: &mut Rig) {
    rig.to_jaeger.set(Way::Hole);
    rig.load().await;
    rig.kill_service().await;
    rig.to_jaeger.set(Way::Open);
    rig.start_service().await;
    rig.load().await;
    let account = rig.account(&["--settle", "60s"]).await;
    assert_eq!(account.code, 0, "only the new process: {}", account.said);
    let account = rig.account(&["--settle", "10s", "--from", "0"]).await;
    assert_eq!(account.code, 69, "{}", account.said);
    assert!(
        account
            .said
            .contains("it has ended, and its last counters with it"),
        "{}",
        account.said
    );
}

/// A server that is not there proves nothing.
async fn server_gone(mut rig: Rig) {
    let account = rig.account(&["--jaeger", "http://127.0.0.1:1"]).await;
    assert_eq!(account.code, 64, "twice the same option: {}", account.said);
    rig.kill_service().await;
    rig.start_service().await;
    rig.jaeger.running = None;
    let account = rig.account(&["--settle", "1s"]).await;
    assert_eq!(account.code, 69, "{}", account.said);
}
