//! Whole experiments. A machine that is busy with something else may starve the service or the load; then an experiment
//! rightly concludes nothing, and these tests ask that it says so and blames nothing else.

use serde_json::Value;

use crate::platform::{Ended, Platform, with_plan};

const SLOW: &str = "kind = \"latency\"\nlatency_ms = 300\njitter_ms = 20";
const BLACK_HOLE: &str = "kind = \"timeout\"\ntimeout_ms = 0";

const SLOW_PROMISE: &str = r#"
[[expect]]
kind = "unchanged"
routes = ["list"]
[[expect]]
kind = "no_errors"
routes = ["content"]
[[expect]]
kind = "slower_per_call"
routes = ["content"]
added_ms = 300
tolerance_ms = 100
[[expect]]
kind = "attributed"
routes = ["content"]
min_share = 0.8
"#;

const BLACK_HOLE_PROMISE: &str = r#"
[[expect]]
kind = "fails_fast"
routes = ["content"]
status = 503
after_s = 2
p95_ms = 250
[[expect]]
kind = "unchanged"
routes = ["list"]
"#;

/// How an experiment says that the machine, and nothing else, kept it from concluding anything.
const MACHINE: [&str; 4] = [
    " was starved: a thread of it waited for a CPU for ",
    "the machine was full: ",
    "the load generator lost ",
    " windows are in its band ",
];

/// How it says so where Prometheus was too busy to scrape within its second, or to answer.
const UNSEEN: [&str; 2] = ["failed meanwhile", "its state is unknown for"];

/// The verdict and the exit code are these, with everything measured; or the machine was too busy, which is then the only
/// reason.
#[track_caller]
pub(crate) fn assert_verdict(result: &Value, ended: &Ended, verdict: &str, code: i32) {
    if result["verdict"] == "inconclusive" {
        assert_only_the_machine_is_to_blame(result);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        return;
    }
    assert_eq!(result["verdict"], verdict, "{result:#}\n{}", ended.stderr);
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let expectations = result["expectations"].as_array().map(Vec::len);
    assert_eq!(
        result["measured"].as_u64().map(|all| all as usize),
        expectations,
        "{result:#}"
    );
    assert_eq!(result["as_expected"], code == 0, "{result:#}");
}

#[track_caller]
fn assert_only_the_machine_is_to_blame(result: &Value) {
    let excuses = [&MACHINE[..], &UNSEEN].concat();
    assert!(only_these_are_to_blame(result, &excuses), "{result:#}");
}

/// Whether the machine, and nothing else, kept an experiment from concluding anything.
pub(crate) fn is_the_machine_alone(result: &Value) -> bool {
    only_these_are_to_blame(result, &MACHINE)
}

/// What broke besides, on a machine that was too busy, is listed too, but decides nothing.
fn only_these_are_to_blame(result: &Value, excuses: &[&str]) -> bool {
    let findings = result["findings"].as_array().expect("findings");
    let (deciding, besides): (Vec<_>, Vec<_>) = findings
        .iter()
        .partition(|finding| finding["verdict"] == "inconclusive");
    let is_excused = |finding: &&Value| {
        let sentence = finding["sentence"].as_str().expect("a sentence");
        excuses.iter().any(|words| sentence.contains(words))
    };
    let only_broke = besides
        .iter()
        .all(|finding| finding["verdict"] == "deviated" || finding["verdict"] == "not_detected");
    !deciding.is_empty() && deciding.iter().all(is_excused) && only_broke
}

async fn a_slow_store_passes_and_the_traces_name_it_on(platform: Platform) {
    let file = with_plan("browse", platform.experiment("slow", SLOW, SLOW_PROMISE));
    let ended = platform.run(&file).await;
    platform.assert_clean().await;
    let result = platform.result();
    assert_verdict(&result, &ended, "pass", 0);
    assert!(
        ended.stdout.contains("slow") && ended.stdout.contains("verdict"),
        "{}",
        ended.stdout
    );
    assert!(ended.stderr.contains("baseline"), "{}", ended.stderr);
    assert!(platform.report().contains("slow"));
    assert_eq!(
        (&result["name"], &result["expected"]),
        (&"slow".into(), &"pass".into())
    );
    assert_eq!(
        result["expectations"].as_array().map(Vec::len),
        Some(6),
        "{result:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_store_passes_and_the_traces_name_it() {
    a_slow_store_passes_and_the_traces_name_it_on(Platform::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_store_behind_the_real_toxiproxy_passes_and_the_traces_name_it() {
    let Some(platform) = Platform::with_real_toxiproxy().await else {
        return;
    };
    a_slow_store_passes_and_the_traces_name_it_on(platform).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_passes_when_failures_are_as_promised() {
    let platform = Platform::new().await;
    let ended = platform
        .run(&platform.experiment("hole", BLACK_HOLE, BLACK_HOLE_PROMISE))
        .await;
    platform.assert_clean().await;
    assert_verdict(&platform.result(), &ended, "pass", 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_deviates_when_no_failure_was_promised() {
    let Some(platform) = Platform::with_real_toxiproxy().await else {
        return;
    };
    let promise = "[[expect]]\nkind = \"no_errors\"\nroutes = [\"content\"]\n";
    let ended = platform
        .run(&platform.experiment("hole", BLACK_HOLE, promise))
        .await;
    platform.assert_clean().await;
    assert_verdict(&platform.result(), &ended, "deviated", 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expected_deviation_exits_0() {
    let platform = Platform::new().await;
    let promise = "expect_verdict = \"deviated\"\n";
    let more = "[[expect]]\nkind = \"no_errors\"\nroutes = [\"content\"]\n";
    let file = platform.experiment("down", "kind = \"down\"", more);
    let text = std::fs::read_to_string(&file).expect("readable");
    std::fs::write(&file, format!("{promise}{text}")).expect("written");
    let ended = platform.run(&file).await;
    platform.assert_clean().await;
    assert_verdict(&platform.result(), &ended, "deviated", 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_injected_and_proven() {
    let platform = Platform::new().await;
    let more = "[[expect]]\nkind = \"unchanged\"\nroutes = [\"list\"]\n";
    let ended = platform
        .run(&platform.experiment("reset", "kind = \"reset_peer\"", more))
        .await;
    platform.assert_clean().await;
    assert_verdict(&platform.result(), &ended, "pass", 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_without_a_fault_passes() {
    let platform = Platform::new().await;
    let more = "[[expect]]\nkind = \"steady\"\n[[expect]]\nkind = \"unchanged\"\nroutes = [\"list\", \"content\"]\n";
    let ended = platform
        .run(&platform.experiment("control", "", more))
        .await;
    platform.assert_clean().await;
    assert_verdict(&platform.result(), &ended, "pass", 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_the_load_generator_aborts_and_its_last_line_is_quoted() {
    let platform = Platform::new().await;
    let file = with_plan("dies", platform.experiment("dies", SLOW, SLOW_PROMISE));
    let ended = platform.run(&file).await;
    assert_eq!(ended.code, Some(14), "{ended:?}");
    assert!(ended.stderr.contains("out of luck"), "{}", ended.stderr);
    assert_eq!(platform.result()["verdict"], "aborted");
    platform.assert_clean().await;
}
