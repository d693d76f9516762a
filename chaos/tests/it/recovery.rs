//! What a run that was killed leaves behind, and an API that hangs.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use stack::server;

use crate::platform::{Platform, Refusing, Toxiproxy, Wedgeable, end, start_real, until};

const SLOW: &str = "kind = \"latency\"\nlatency_ms = 300";
const PROMISE: &str = "[[expect]]\nkind = \"no_errors\"\nroutes = [\"content\"]\n";

/// Starts a run and kills it once its fault is active.
async fn killed_during_the_fault(platform: &Platform) {
    let mut child = platform.start(&platform.experiment("slow", SLOW, PROMISE));
    platform.fault_is_active().await;
    child.kill().await.expect("killed");
}

/// A second toxic beside the one left behind: somebody else's.
async fn recover_touches_only_what_it_journalled(platform: Platform) {
    killed_during_the_fault(&platform).await;
    platform.add_foreign_toxic().await;
    let ended = platform.recover().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("experiment slow") && ended.stdout.contains("taken back"),
        "{}",
        ended.stdout
    );
    assert_eq!(platform.toxics().await, ["foreign"]);
    assert_eq!(platform.proxy().await["enabled"], true);
    let again = platform.recover().await;
    assert_eq!(
        (again.code, again.stdout.trim()),
        (Some(0), "nothing to recover")
    );
    assert_eq!(platform.toxics().await, ["foreign"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_recover_removes_the_fault_and_nobody_elses() {
    recover_touches_only_what_it_journalled(Platform::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_recover_removes_the_fault_from_the_real_toxiproxy_and_nobody_elses() {
    let Some(platform) = Platform::with_real_toxiproxy().await else {
        return;
    };
    recover_touches_only_what_it_journalled(platform).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_recovers_a_run_that_was_killed_before_it_begins() {
    let platform = Platform::new().await;
    killed_during_the_fault(&platform).await;
    assert!(
        platform.dir().join("chaos.lock").exists(),
        "the dead run's lock is what tells that it died"
    );
    let mut next = platform.start(&platform.experiment("control", "", PROMISE));
    until("recovery", async || platform.toxics().await.is_empty()).await;
    next.kill().await.expect("killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_was_disabled_by_a_killed_run_is_enabled_again() {
    let platform = Platform::new().await;
    let mut child = platform.start(&platform.experiment("down", "kind = \"down\"", PROMISE));
    until("outage", async || {
        platform.proxy().await["enabled"] == false
    })
    .await;
    child.kill().await.expect("killed");
    assert_eq!(platform.recover().await.code, Some(0));
    assert_eq!(platform.proxy().await["enabled"], true);
}

/// Writes the journal of a run that died, of a fault in a Toxiproxy that does not listen any more.
fn journal_of_a_dead_toxiproxy(platform: &Platform, more: &str) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let proxy =
        format!(r#"{{"name":"store","listen":"{address}","upstream":"{address}","enabled":true}}"#);
    let intent = format!(
        r#"{{"type":"intent","name":"chitram-x-1","experiment":"slow","toxiproxy":"http://{address}","proxy":{proxy},"toxic":true,"all":[]{more}}}"#
    );
    fs::write(
        platform.dir().join("chaos-journal.ndjson"),
        format!("{intent}\n{{\"type\":\"do"),
    )
    .expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_toxiproxy_out_of_reach_is_not_gone_and_the_journal_stays_with_the_way_to_close_it() {
    let platform = Platform::new().await;
    journal_of_a_dead_toxiproxy(&platform, "");
    let journal = platform.dir().join("chaos-journal.ndjson");
    for _ in 0..2 {
        let ended = platform.recover().await;
        assert_eq!(ended.code, Some(15), "{ended:?}");
        let by_hand = format!(
            "will never run again, its faults are gone with it: remove {}",
            journal.display()
        );
        assert!(ended.stderr.contains(&by_hand), "{}", ended.stderr);
        assert!(journal.exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_whose_toxiproxy_is_known_to_have_ended_is_gone_too() {
    let platform = Platform::new().await;
    let holder = format!(
        r#","holder":{{"pid":{},"start_time":1}}"#,
        std::process::id()
    );
    journal_of_a_dead_toxiproxy(&platform, &holder);
    let ended = platform.recover().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("has ended with its Toxiproxy"),
        "{}",
        ended.stdout
    );
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_that_a_restarted_toxiproxy_forgot_are_made_again_as_they_were() {
    let platform = Platform::new().await;
    platform.add_foreign_proxy("colleague", true).await;
    platform.add_foreign_proxy("disabled", false).await;
    let before = platform.proxies().await;
    killed_during_the_fault(&platform).await;
    // As a restart does.
    for name in ["store", "colleague", "disabled"] {
        platform
            .call(
                "DELETE",
                &format!("proxies/{name}"),
                serde_json::Value::Null,
            )
            .await;
    }
    let ended = platform.recover().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for said in [
        "made again: proxies",
        "colleague/foreign",
        "disabled/foreign",
    ] {
        assert!(ended.stdout.contains(said), "{said}: {}", ended.stdout);
    }
    assert_eq!(platform.proxies().await, before);
    let again = platform.recover().await;
    assert_eq!(again.stdout.trim(), "nothing to recover");
}

/// A colleague renames his proxy while a fault of a run that is killed acts on another.
async fn renamed_during_the_fault(platform: &Platform, has_toxic: bool) {
    platform.add_foreign_proxy("colleague", true).await;
    if !has_toxic {
        let toxic = "proxies/colleague/toxics/foreign";
        platform
            .call("DELETE", toxic, serde_json::Value::Null)
            .await;
    }
    let before = platform.proxies().await;
    killed_during_the_fault(platform).await;
    let old = "proxies/colleague";
    platform.call("DELETE", old, serde_json::Value::Null).await;
    let address = before["colleague"]["listen"].as_str().expect("an address");
    let new = std::net::TcpListener::bind(address).expect("his port");

    let ended = platform.recover().await;
    assert_eq!(ended.code, Some(15), "{ended:?}");
    let is_gone =
        ended.stderr.contains("on proxy store at") && ended.stderr.contains(" is gone, but ");
    assert!(
        is_gone && ended.stderr.contains("colleague ("),
        "{}",
        ended.stderr
    );
    assert_eq!(platform.toxics().await, Vec::<String>::new());
    assert_eq!(platform.proxy().await["enabled"], true);
    assert!(platform.dir().join("chaos-journal.ndjson").exists());

    drop(new);
    let ended = platform.recover().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(platform.proxies().await, before);
    assert!(!platform.dir().join("chaos-journal.ndjson").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_others_that_cannot_be_made_again_does_not_keep_our_fault_from_going() {
    let (one, other) = (Platform::new().await, Platform::new().await);
    tokio::join!(
        renamed_during_the_fault(&one, true),
        renamed_during_the_fault(&other, false),
    );
}

/// A proxy with a toxic takes three calls to be made: this one of them is refused, once or until somebody is killed.
async fn made_half_way(refused: &'static str, kills: bool) {
    let mut platform = Platform::new().await;
    platform.add_foreign_proxy("colleague", true).await;
    let before = platform.proxies().await;
    let in_trouble = Arc::new(AtomicBool::new(true));
    let flag = in_trouble.clone();
    let front = Refusing::before(platform.api.clone(), move |call| {
        call == refused
            && if kills {
                flag.load(Ordering::SeqCst)
            } else {
                flag.swap(false, Ordering::SeqCst)
            }
    })
    .await;
    platform.use_api(front.url.clone());
    killed_during_the_fault(&platform).await;
    let missing = "proxies/colleague";
    platform
        .call("DELETE", missing, serde_json::Value::Null)
        .await;
    if kills {
        let mut recover = platform.chaos(&["recover"]).spawn().expect("started");
        until("refusal", async || front.count(refused) > 0).await;
        recover.kill().await.expect("killed");
        in_trouble.store(false, Ordering::SeqCst);
    }
    let ended = platform.recover().await;
    assert_eq!(ended.code, Some(0), "{refused}: {ended:?}");
    assert!(front.count(refused) > 1, "{refused} was never repeated");
    assert_eq!(platform.proxies().await, before, "{refused}");
    assert!(!platform.dir().join("chaos-journal.ndjson").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_was_made_half_way_is_completed_whatever_ended_the_first_attempt() {
    const CREATE: &str = "POST /proxies";
    const ADD: &str = "POST /proxies/colleague/toxics";
    const ENABLE: &str = "POST /proxies/colleague";
    for call in [CREATE, ADD, ENABLE] {
        tokio::join!(made_half_way(call, false), made_half_way(call, true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_late_at_the_rollback_is_repeated_until_the_fault_is_gone() {
    let mut platform = Platform::new().await;
    let wedgeable = Wedgeable::before(platform.api.clone()).await;
    platform.use_api(wedgeable.url.clone());
    let child = platform.start(&platform.experiment("slow", SLOW, PROMISE));
    platform.fault_is_active().await;
    wedgeable.set_wedged(true);
    interrupt(&child);
    // Longer than a call may take, so that one at least is given up.
    until("attempt", async || wedgeable.waiting() > 1).await;
    wedgeable.set_wedged(false);
    let ended = end(child).await;
    assert_eq!(ended.code, Some(130), "{ended:?}");
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_hangs_at_the_rollback_fails_it_with_the_command_to_type() {
    let mut platform = Platform::new().await;
    let wedgeable = Wedgeable::before(platform.api.clone()).await;
    platform.use_api(wedgeable.url.clone());
    let child = platform.start(&platform.experiment("slow", SLOW, PROMISE));
    platform.fault_is_active().await;
    wedgeable.set_wedged(true);
    interrupt(&child);
    until("attempt", async || wedgeable.waiting() > 0).await;
    // The second one shortens the patience.
    interrupt(&child);
    let ended = end(child).await;
    assert_eq!(ended.code, Some(15), "{ended:?}");
    let command = format!("chitram-chaos recover --dir {}", platform.dir().display());
    assert!(ended.stderr.contains(&command), "{}", ended.stderr);
    assert_eq!(platform.result()["verdict"], "rollback_failed");
    wedgeable.set_wedged(false);
    assert_eq!(platform.recover().await.code, Some(0));
    platform.assert_clean().await;
}

fn interrupt(child: &tokio::process::Child) {
    let pid = child.id().and_then(|pid| Pid::from_raw(pid as i32));
    kill_process(pid.expect("it runs"), Signal::INT).expect("signalled");
}

/// The lines of `stack.toml` that make this process the stack's Toxiproxy.
fn keeps(identity: stack::process::Identity) -> String {
    format!(
        "[[servers]]\nrole = \"fault proxy\"\nname = \"toxiproxy\"\nkind = \"real\"\nversion = \"2.12.0\"\n\
         [[processes]]\nname = \"toxiproxy\"\npid = {}\nstart_time = {}\nlog = \"\"\nrestarts = 0\n",
        identity.pid, identity.start_time
    )
}

/// The process of the platform's real Toxiproxy.
fn process_of(platform: &Platform) -> stack::process::Identity {
    let Toxiproxy::Real(toxiproxy) = &platform.toxiproxy else {
        panic!("a stand-in has no process");
    };
    toxiproxy
        .running
        .as_ref()
        .expect("started here")
        .child()
        .identity()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_toxiproxy_at_another_address_than_the_stacks_is_never_taken_for_it() {
    let Some(platform) = Platform::with_real_toxiproxy().await else {
        return;
    };
    let ours = process_of(&platform);
    platform.write_stack(&keeps(ours));
    // Somebody else's server, which happens to have such a proxy: another address before the same one.
    let foreign = Wedgeable::before(platform.api.clone()).await;
    let mut command = platform.run_command(&platform.experiment("slow", SLOW, PROMISE));
    let child = command
        .args(["--toxiproxy", &foreign.url])
        .spawn()
        .expect("started");
    platform.fault_is_active().await;
    foreign.set_wedged(true);
    interrupt(&child);
    until("attempt", async || foreign.waiting() > 0).await;
    interrupt(&child);
    let ended = end(child).await;
    assert_eq!(ended.code, Some(15), "{ended:?}");
    assert!(
        ours.is_alive(),
        "the stack's Toxiproxy was killed for another"
    );
    // Nor by a recovery of its fault.
    let mut recover = platform.chaos(&["recover"]).spawn().expect("started");
    until("attempt", async || foreign.waiting() > 1).await;
    recover.kill().await.expect("killed");
    foreign.set_wedged(false);
    assert_eq!(platform.recover().await.code, Some(0));
    assert!(ours.is_alive());
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wedged_toxiproxy_that_the_stack_runs_is_restarted_and_told_its_proxies() {
    let Some(platform) = Platform::with_real_toxiproxy().await else {
        return;
    };
    let identity = process_of(&platform);
    platform.write_stack(&keeps(identity));
    platform.add_foreign_proxy("colleague", true).await;
    platform.add_foreign_proxy("disabled", false).await;
    let before = platform.proxies().await;
    let child = platform.start(&platform.experiment("slow", SLOW, PROMISE));
    platform.fault_is_active().await;
    let stopped = Pid::from_raw(identity.pid as i32).expect("a pid");
    kill_process(stopped, Signal::STOP).expect("stopped, so that it answers nothing");
    interrupt(&child);
    until("kill", async || !identity.is_alive()).await;
    // What the stack does when a child of its ends.
    let found = server::toxiproxy::find()
        .found
        .expect("it was found before");
    let port = platform
        .api
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    let _again = start_real(&found, port).await;
    let ended = end(child).await;
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("Toxiproxy answered nothing and was restarted"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("colleague/foreign"),
        "{}",
        ended.stderr
    );
    assert_eq!(platform.proxies().await, before);
    platform.assert_clean().await;
}
