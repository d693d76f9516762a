//! A fault that is not there for as long as it is judged, or not alone, proves nothing.

use serde_json::{Value, json};

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::platform::{Ended, Platform, Wedgeable, end, until};

const SLOW: &str = "kind = \"latency\"\nlatency_ms = 300";
const DOWN: &str = "kind = \"down\"";
const PROMISE: &str = "[[expect]]\nkind = \"no_errors\"\nroutes = [\"list\"]\n";

/// Runs an experiment to its end; `meddle` is what somebody does once its fault is verified and observed.
async fn meddled(platform: &Platform, fault: &str, meddle: impl AsyncFnOnce(&Platform)) -> Ended {
    let mut child = platform.start(&platform.experiment("watched", fault, PROMISE));
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut said = String::new();
    let mut meddle = Some(meddle);
    while let Some(line) = lines.next_line().await.expect("readable") {
        if line.starts_with("watched: fault,")
            && let Some(meddle) = meddle.take()
        {
            meddle(platform).await;
        }
        said += &line;
        said.push('\n');
    }
    assert!(meddle.is_none(), "no fault was observed: {said}");
    let ended = end(child).await;
    Ended {
        stderr: said,
        ..ended
    }
}

#[track_caller]
fn assert_unproven(platform: &Platform, ended: &Ended, said: &str) {
    let result = platform.result();
    assert_eq!(
        result["verdict"], "inconclusive",
        "{result:#}\n{}",
        ended.stderr
    );
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let sentences = result["findings"].to_string();
    assert!(sentences.contains(said), "{said}: {sentences}");
}

async fn our_toxic(platform: &Platform) -> String {
    let toxics = platform.toxics().await;
    let ours = toxics.iter().find(|name| name.starts_with("chitram-"));
    ours.expect("a toxic of ours").clone()
}

/// One way to spoil a fault, and what the verdict says of it.
async fn spoilt(fault: &str, said: &str, meddle: impl AsyncFnOnce(&Platform)) {
    let platform = Platform::new().await;
    let ended = meddled(&platform, fault, meddle).await;
    assert_unproven(&platform, &ended, said);
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_somebody_resets_removes_or_changes_proves_nothing() {
    tokio::join!(
        spoilt(SLOW, "is gone: somebody removed it", async |platform| {
            platform.call("POST", "reset", Value::Null).await;
        }),
        spoilt(SLOW, "was changed by others", async |platform| {
            let path = format!("proxies/store/toxics/{}", our_toxic(platform).await);
            let weaker = json!({ "attributes": { "latency": 290 } });
            platform.call("POST", &path, weaker).await;
        }),
        spoilt(SLOW, "was disabled by others", async |platform| {
            platform
                .call("POST", "proxies/store", json!({ "enabled": false }))
                .await;
        }),
        spoilt(DOWN, "was enabled by others", async |platform| {
            platform
                .call("POST", "proxies/store", json!({ "enabled": true }))
                .await;
        }),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_is_joined_by_others_proves_nothing_and_theirs_stays() {
    let platform = Platform::new().await;
    let ended = meddled(&platform, SLOW, Platform::add_foreign_toxic).await;
    assert_unproven(&platform, &ended, "toxics that are not ours (foreign)");
    assert_eq!(platform.toxics().await, ["foreign"]);
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_was_made_anew_without_the_fault_proves_nothing() {
    let platform = Platform::new().await;
    let ended = meddled(&platform, SLOW, async |platform| {
        let mut proxy = platform.proxy().await;
        proxy["toxics"].take();
        platform.call("DELETE", "proxies/store", Value::Null).await;
        platform.call("POST", "proxies", proxy).await;
    })
    .await;
    assert_unproven(&platform, &ended, "is gone");
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_answers_nothing_for_a_moment_takes_nothing_away_and_for_long_leaves_nothing_proven()
 {
    let wedged_for = async |looks: usize| {
        let mut platform = Platform::new().await;
        let wedgeable = Wedgeable::before(platform.api.clone()).await;
        platform.use_api(wedgeable.url.clone());
        let ended = meddled(&platform, SLOW, async |_| {
            wedgeable.set_wedged(true);
            until("look", async || wedgeable.waiting() >= looks).await;
            wedgeable.set_wedged(false);
        })
        .await;
        (platform, ended)
    };
    let ((platform, moment), (other, long)) = tokio::join!(wedged_for(1), wedged_for(4));
    let unproven = "looks in a row were not answered";
    let said = platform.result()["findings"].to_string();
    assert!(!said.contains(unproven), "{said}\n{moment:?}");
    assert_unproven(&other, &long, unproven);
    platform.assert_clean().await;
    other.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runners_on_one_proxy_neither_lifts_the_others_fault_unnoticed() {
    let platform = Platform::new().await;
    let file = platform.experiment("watched", SLOW, PROMISE);
    // Both are past their preflight before either injects.
    let (first, second) = (platform.start(&file), platform.start_second(&file));
    let (first, second) = tokio::join!(end(first), end(second));
    let noticed =
        |ended: &Ended| ended.code == Some(4) && ended.stderr.contains("toxics that are not ours");
    let refused =
        |ended: &Ended| ended.code == Some(69) && ended.stderr.contains("toxics that are not ours");
    let told = [&first, &second]
        .into_iter()
        .filter(|ended| noticed(ended) || refused(ended))
        .count();
    assert!(told >= 1, "{first:?}\n{second:?}");
    for ended in [&first, &second] {
        let unspoilt =
            matches!(ended.code, Some(0)) || !ended.stderr.contains("is gone: somebody removed");
        assert!(
            unspoilt,
            "one lifted the other's fault: {first:?}\n{second:?}"
        );
    }
    assert_eq!(platform.toxics().await, Vec::<String>::new());
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runners_on_different_proxies_of_one_server_leave_each_other_alone() {
    let platform = Platform::new().await;
    platform.add_foreign_proxy("other", true).await;
    platform
        .call("DELETE", "proxies/other/toxics/foreign", Value::Null)
        .await;
    let before = platform.proxies().await;
    let here = platform.experiment("here", SLOW, PROMISE);
    let there = platform.experiment("there", SLOW, PROMISE);
    let text = std::fs::read_to_string(&there).expect("readable");
    let text = text.replace("proxy = \"store\"", "proxy = \"other\"");
    std::fs::write(&there, text).expect("written");
    let (first, second) = (platform.start(&here), platform.start_second(&there));
    let (first, second) = tokio::join!(end(first), end(second));
    for ended in [&first, &second] {
        // A busy machine may leave it inconclusive, but not for want of a fault.
        let is_sound = matches!(ended.code, Some(0 | 4));
        let is_proven =
            !ended.stderr.contains("not proven") && !ended.stderr.contains("not injected");
        assert!(is_sound && is_proven, "{first:?}\n{second:?}");
    }
    assert_eq!(platform.proxies().await, before);
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_latency_that_is_too_long_to_wait_for_is_proven_in_bounded_time_and_given_up_at_once() {
    let platform = Platform::new().await;
    let endless = "kind = \"latency\"\nlatency_ms = 600000";
    let child = platform.start(&platform.experiment("endless", endless, PROMISE));
    platform.fault_is_active().await;
    let pid = child
        .id()
        .and_then(|pid| rustix::process::Pid::from_raw(pid as i32));
    let begun = std::time::Instant::now();
    rustix::process::kill_process(pid.expect("it runs"), rustix::process::Signal::INT)
        .expect("signalled");
    let ended = end(child).await;
    assert_eq!(ended.code, Some(130), "{ended:?}");
    // Its verification alone would take three times twenty minutes.
    assert!(
        begun.elapsed() < std::time::Duration::from_mins(1),
        "{:?}",
        begun.elapsed()
    );
    platform.assert_clean().await;
}
