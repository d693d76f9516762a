//! The files that a command writes never say more than what was found out.

use std::fs;

use crate::platform::{Platform, end};

const SLOW: &str = "kind = \"latency\"\nlatency_ms = 300";
const PROMISE: &str = "[[expect]]\nkind = \"no_errors\"\nroutes = [\"content\"]\n";
/// What an earlier command left.
const GREEN: &str = r#"{"ended": "finished", "exit_code": 0, "as_expected": true}"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_result_does_not_outlive_the_begin_of_a_run_that_is_killed() {
    let platform = Platform::new().await;
    fs::write(platform.result_file(), GREEN).expect("written");
    let mut child = platform.start(&platform.experiment("slow", SLOW, PROMISE));
    platform.fault_is_active().await;
    child.kill().await.expect("killed");
    let result = platform.results();
    assert_eq!(result["ended"], "running", "{result:#}");
    assert_eq!(result["exit_code"], serde_json::Value::Null);
    assert_eq!(result["as_expected"], false);
    assert!(!platform.report().contains("verdicts are the expected ones"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_refused_as_bad_usage_writes_nothing() {
    let platform = Platform::new().await;
    fs::write(platform.result_file(), GREEN).expect("written");
    let ended = platform
        .run(&platform.experiment("bad", SLOW, "unknown = 1\n"))
        .await;
    assert_eq!(ended.code, Some(64), "{ended:?}");
    let kept = fs::read_to_string(platform.result_file()).expect("readable");
    assert_eq!(kept, GREEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_cannot_be_written_is_refused_before_anything_is_done() {
    let platform = Platform::new().await;
    let file = platform.experiment("slow", SLOW, PROMISE);
    let file = file.to_str().expect("UTF-8");
    // A folder cannot be below a file.
    let result = format!("{file}/result.json");
    let child = platform
        .chaos(&["run", file, "--result", &result])
        .spawn()
        .expect("started");
    let ended = end(child).await;
    assert_eq!(ended.code, Some(70), "{ended:?}");
    assert!(ended.stderr.contains(&result), "{}", ended.stderr);
    assert!(!ended.stderr.contains("slow:"), "{}", ended.stderr);
    platform.assert_clean().await;
}
