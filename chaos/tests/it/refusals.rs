//! Bad input: one sentence with the name and what to do, the documented exit code, and nothing left behind.

use std::fs;

use crate::platform::{Ended, Platform};

const SLOW: &str = "kind = \"latency\"\nlatency_ms = 300";
const PROMISE: &str = "[[expect]]\nkind = \"no_errors\"\nroutes = [\"content\"]\n";

#[track_caller]
fn assert_refused(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let said = ended.stderr.trim().lines().last().unwrap_or_default();
    assert!(
        words.iter().all(|word| said.contains(word)),
        "{said:?} lacks one of {words:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_refused_with_file_line_and_key() {
    let platform = Platform::new().await;
    let file = platform.experiment("slow", &format!("{SLOW}\njiter_ms = 5"), PROMISE);
    assert_refused(
        &platform.run(&file).await,
        64,
        &["slow.toml:13:", "`jiter_ms`"],
    );
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there_is_refused_by_name() {
    let platform = Platform::new().await;
    let ended = platform.run("nowhere.toml".as_ref()).await;
    assert_refused(&ended, 64, &["nowhere.toml", "chitram-chaos list"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_does_not_exist_is_refused_with_those_that_do_and_the_address() {
    let platform = Platform::new().await;
    let file = platform.experiment("slow", SLOW, PROMISE);
    let text = fs::read_to_string(&file)
        .expect("readable")
        .replace("proxy = \"store\"", "proxy = \"cache\"");
    fs::write(&file, text).expect("written");
    let api = platform.api.clone();
    assert_refused(
        &platform.run(&file).await,
        64,
        &["proxy cache does not exist", &api, "there are store"],
    );
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_with_somebody_elses_toxic_is_refused_and_the_toxic_stays() {
    let platform = Platform::new().await;
    platform.add_foreign_toxic().await;
    let ended = platform
        .run(&platform.experiment("slow", SLOW, PROMISE))
        .await;
    assert_refused(&ended, 69, &["proxy store", "not ours (foreign)"]);
    assert_eq!(platform.toxics().await, ["foreign"]);
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_answer_is_refused_by_address() {
    let platform = Platform::new().await;
    let file = platform.experiment("slow", SLOW, PROMISE);
    let args = [
        "run",
        file.to_str().expect("a path"),
        "--target",
        "http://127.0.0.1:9",
    ];
    let ended = crate::platform::end(platform.chaos(&args).spawn().expect("started")).await;
    assert_refused(
        &ended,
        69,
        &["http://127.0.0.1:9/", "does not answer", "chitram-stack up"],
    );
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_toxiproxy_that_does_not_answer_is_refused_by_address() {
    let platform = Platform::new().await;
    let file = platform.experiment("slow", SLOW, PROMISE);
    let args = [
        "run",
        file.to_str().expect("a path"),
        "--toxiproxy",
        "http://127.0.0.1:9",
    ];
    let ended = crate::platform::end(platform.chaos(&args).spawn().expect("started")).await;
    assert_refused(
        &ended,
        69,
        &["http://127.0.0.1:9/", "does not answer", "Toxiproxy"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_a_stack_is_refused_with_what_to_do() {
    let platform = Platform::new().await;
    fs::remove_file(platform.dir().join("stack.toml")).expect("removed");
    let ended = platform
        .run(&platform.experiment("slow", SLOW, PROMISE))
        .await;
    assert_refused(&ended, 69, &["stack.toml", "chitram-stack up", "--target"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_not_in_the_folder_of_plans_is_refused() {
    let platform = Platform::new().await;
    let file = platform.experiment("slow", SLOW, PROMISE);
    let args = ["run", file.to_str().expect("a path"), "--plans", "/nowhere"];
    let ended = crate::platform::end(platform.chaos(&args).spawn().expect("started")).await;
    assert_refused(&ended, 64, &["/nowhere/played.toml does not exist"]);
}

/// `run` and `validate` of the same file, which both refuse it at once.
async fn assert_refused_at_once(platform: &Platform, file: &std::path::Path, words: &[&str]) {
    assert_refused(&platform.run(file).await, 64, words);
    let args = ["validate", file.to_str().expect("a path")];
    let ended = crate::platform::end(platform.chaos(&args).spawn().expect("started")).await;
    assert_refused(&ended, 64, words);
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_route_is_refused_with_file_line_and_the_name_that_was_meant() {
    let platform = Platform::new().await;
    let promise = "[[expect]]\nkind = \"no_errors\"\nroutes = [\"list\", \"contnet\"]\n";
    let file = platform.experiment("down", "kind = \"down\"", promise);
    let words = [
        "down.toml:",
        "`routes` names \"contnet\"",
        "did you mean \"content\"?",
    ];
    assert_refused_at_once(&platform, &file, &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_plan_is_refused_with_the_name_that_was_meant() {
    let platform = Platform::new().await;
    let file = crate::platform::with_plan("brwose", platform.experiment("slow", SLOW, PROMISE));
    let words = ["`plan`", "brwose.toml", "did you mean \"browse\"?"];
    assert_refused_at_once(&platform, &file, &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_be_measured_is_refused_also_when_the_command_line_made_it_so() {
    let platform = Platform::new().await;
    let late = "phases = { warm_up_s = 1, fault_s = 60 }";
    let promise = "[[expect]]\nkind = \"fails_fast\"\nroutes = [\"content\"]\nstatus = 503\nafter_s = 30\np95_ms = 9\n";
    let file = platform.experiment("down", "kind = \"down\"", promise);
    assert_refused_at_once(&platform, &file, &["`after_s` is 30", "lasts 12 s"]).await;
    let text = fs::read_to_string(&file).expect("readable");
    let text = text.replace("phases = { warm_up_s = 1 }", late);
    fs::write(&file, text).expect("written");
    let path = file.to_str().expect("a path");
    let args = ["validate", path];
    let ended = crate::platform::end(platform.chaos(&args).spawn().expect("started")).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let args = ["run", path, "--seconds", "20"];
    let ended = crate::platform::end(platform.chaos(&args).spawn().expect("started")).await;
    assert_refused(&ended, 64, &["`after_s` is 30", "lasts 20 s"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_of_a_run_that_lives_is_refused_and_that_of_a_dead_one_is_not() {
    let platform = Platform::new().await;
    let own = chaos::process::Identity::own();
    let lock = |start_time: u64| {
        format!(
            r#"{{"pid":{},"start_time":{start_time},"run_id":"other"}}"#,
            own.pid
        )
    };
    let path = platform.dir().join("chaos.lock");
    fs::write(&path, lock(own.start_time)).expect("written");
    let ended = platform
        .run(&platform.experiment("slow", SLOW, PROMISE))
        .await;
    assert_refused(&ended, 73, &["chaos.lock", "run other"]);
    assert_eq!(platform.recover().await.code, Some(73));
    assert!(path.exists(), "the owner's lock stays");
    fs::write(&path, lock(own.start_time + 1)).expect("written");
    assert_eq!(platform.recover().await.code, Some(0));
    platform.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_was_torn_by_a_crash_is_no_obstacle() {
    let platform = Platform::new().await;
    fs::write(
        platform.dir().join("chaos-journal.ndjson"),
        "{\"type\":\"intent\",\"na",
    )
    .expect("written");
    let ended = platform.recover().await;
    assert_eq!(
        (ended.code, ended.stdout.trim()),
        (Some(0), "nothing to recover")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_errors_exit_64_and_help_names_the_exit_codes() {
    let platform = Platform::new().await;
    let ended = crate::platform::end(platform.chaos(&["run"]).spawn().expect("started")).await;
    assert_eq!(ended.code, Some(64), "{ended:?}");
    let ended =
        crate::platform::end(platform.chaos(&["run", "--help"]).spawn().expect("started")).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("rollback_failed"), "{}", ended.stdout);
}
