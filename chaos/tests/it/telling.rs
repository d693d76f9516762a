//! What a run tells while it goes on: on a terminal, and to Prometheus.

use std::process::Stdio;
use std::time::Instant;

use observability::testing::Scrape;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::platform::{DEADLINE, Platform, end, until};

const SLOW: &str = "kind = \"latency\"\nlatency_ms = 300";
const PROMISE: &str = "[[expect]]\nkind = \"no_errors\"\nroutes = [\"content\"]\n";

/// The metrics of the runner that has registered itself; `None` while there is none.
async fn scrape(platform: &Platform) -> Option<Scrape> {
    let targets = std::fs::read_dir(platform.dir().join("targets")).ok()?;
    let target = targets.flatten().map(|entry| entry.path()).find(|path| {
        path.extension().is_some_and(|kind| kind == "json")
            && path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("chitram-chaos-"))
    })?;
    let groups: serde_json::Value = serde_json::from_slice(&std::fs::read(target).ok()?).ok()?;
    assert_eq!(groups[0]["labels"]["job"], "chitram-chaos", "{groups}");
    let address = groups[0]["targets"][0].as_str().expect("an address");
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(DEADLINE)
        .build()
        .expect("a client");
    let answer = client
        .get(format!("http://{address}/metrics"))
        .send()
        .await
        .ok()?;
    Some(Scrape::parse(&answer.text().await.ok()?))
}

/// `chaos_fault_active` of the test's experiment.
async fn fault_active(platform: &Platform) -> Option<f64> {
    let labels = [
        ("experiment", "slow"),
        ("dependency", "store"),
        ("toxic", "latency"),
    ];
    scrape(platform).await?.value("chaos_fault_active", &labels)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_moments_of_a_fault_are_in_the_metrics_that_prometheus_is_pointed_to() {
    let platform = Platform::new().await;
    let run = platform.start(&platform.experiment("slow", SLOW, PROMISE));
    until("a gauge at 0", async || {
        fault_active(&platform).await == Some(0.0)
    })
    .await;
    assert_eq!(platform.toxics().await, [""; 0]);
    platform.fault_is_active().await;
    assert_eq!(fault_active(&platform).await, Some(1.0));
    until("rollback", async || platform.toxics().await.is_empty()).await;
    until("a gauge at 0 again", async || {
        fault_active(&platform).await == Some(0.0)
    })
    .await;
    end(run).await;
    platform.assert_clean().await;
}

/// Columns of the test's terminal: what people have who never changed anything.
const COLUMNS: usize = 80;

/// What was drawn, piece by piece: everything between two movements of the cursor.
fn drawn(output: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut characters = output.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // A control sequence: parameters, then the letter that ends it.
            '\u{1b}' => {
                if characters.next_if_eq(&'[').is_some() {
                    while characters
                        .next()
                        .is_some_and(|byte| !byte.is_ascii_alphabetic())
                    {}
                }
                pieces.push(String::new());
            }
            '\r' | '\n' => pieces.push(String::new()),
            other => pieces.last_mut().expect("never empty").push(other),
        }
    }
    pieces.retain(|piece| !piece.trim().is_empty());
    pieces
}

#[test]
fn what_is_drawn_is_cut_at_each_movement_of_the_cursor() {
    assert_eq!(
        drawn("\r\u{1b}[2Kone\u{1b}[1Atwo\r\n  three"),
        ["one", "two", "  three"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_one_line_shows_phase_elapsed_and_expected_time_rate_errors_and_p99() {
    if !std::path::Path::new("/usr/bin/script").exists() {
        let required = std::env::var_os("CHITRAM_REQUIRE").is_some_and(|all| all == "all");
        assert!(!required, "needs script (apt-get install bsdutils)");
        eprintln!("not run: needs script (apt-get install bsdutils)");
        return;
    }
    let platform = Platform::new().await;
    let file = platform.experiment("slow", SLOW, PROMISE);
    let run = platform.run_command(&file);
    let words: Vec<String> = std::iter::once(run.as_std().get_program())
        .chain(run.as_std().get_args())
        .map(|word| format!("'{}'", word.to_str().expect("UTF-8")))
        .collect();
    // A terminal that nobody looks at has no size.
    let typed = format!("stty cols {COLUMNS} rows 24; exec {}", words.join(" "));
    let mut script = Command::new("/usr/bin/script")
        .args([
            "--quiet",
            "--flush",
            "--return",
            "--command",
            &typed,
            "/dev/null",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("started");
    let mut screen = script.stdout.take().expect("a pipe");
    let mut output = Vec::new();
    let begun = Instant::now();
    let live = loop {
        assert!(
            begun.elapsed() < DEADLINE,
            "{}",
            String::from_utf8_lossy(&output)
        );
        let count = screen.read_buf(&mut output).await.expect("readable");
        assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&output));
        let pieces = drawn(&String::from_utf8_lossy(&output));
        let is_live = |piece: &String| {
            let runs = piece.contains("baseline ") && !piece.contains("baseline 0/");
            runs && piece.contains("/12 s") && piece.contains("p99")
        };
        if let Some(line) = pieces.into_iter().find(is_live) {
            break line;
        }
    };
    assert!(live.trim_start().starts_with("slow "), "{live}");
    for part in [" req/s", " errors of ", "p99 "] {
        assert!(live.contains(part), "{part} is not in {live}");
    }
    assert!(
        live.chars().count() <= COLUMNS,
        "longer than a line: {live}"
    );

    let lock = std::fs::read(platform.dir().join("chaos.lock")).expect("a lock");
    let lock: serde_json::Value = serde_json::from_slice(&lock).expect("JSON");
    let pid = lock["pid"]
        .as_i64()
        .and_then(|pid| Pid::from_raw(pid as i32))
        .expect("a pid");
    kill_process(pid, Signal::INT).expect("signalled");
    let rest = async {
        screen.read_to_end(&mut output).await.expect("readable");
        script.wait().await.expect("it ends")
    };
    let status = tokio::time::timeout(DEADLINE, rest)
        .await
        .expect("it hangs");
    assert_eq!(status.code(), Some(130));
    let output = String::from_utf8_lossy(&output);
    assert!(output.contains("slow: interrupted"), "{output}");
    let pieces = drawn(&output);
    let longest = pieces
        .iter()
        .filter(|piece| piece.contains("req/s"))
        .map(|piece| piece.chars().count())
        .max();
    assert!(
        longest.is_some_and(|longest| longest <= COLUMNS),
        "{pieces:?}"
    );
    platform.assert_clean().await;
}
