//! Steps of the wall clock while an experiment runs: they change no phase, no verdict and no rollback. The clock that the
//! programs see is stepped by libfaketime (`scripts/backends`), never the machine's.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::platform::{Ended, Platform, end, until};
use crate::verdicts::assert_verdict;

const SLOW: &str = "kind = \"latency\"\nlatency_ms = 300";
const PROMISE: &str = "[[expect]]\nkind = \"no_errors\"\nroutes = [\"content\"]\n";

/// The library, or a line that says what the test needs.
fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten();
    let found = folders
        .map(|folder| folder.path().join("faketime/libfaketime.so.1"))
        .find(|file| file.is_file());
    if found.is_none() {
        assert_ne!(
            std::env::var("CHITRAM_REQUIRE").as_deref(),
            Ok("all"),
            "needs libfaketime (scripts/backends)"
        );
        eprintln!("not run: needs libfaketime (scripts/backends)");
    }
    found
}

/// How the clock is stepped as each phase is announced: seconds against the machine's.
type Steps = [(&'static str, i64); 4];

const HOUR: i64 = 3600;
const CASES: [Steps; 3] = [
    [
        ("warm-up", -20),
        ("baseline", -20 - HOUR),
        ("fault", -20),
        ("recovery", HOUR),
    ],
    [
        ("warm-up", HOUR),
        ("baseline", 0),
        ("fault", HOUR),
        ("recovery", -HOUR),
    ],
    [
        ("warm-up", -HOUR),
        ("baseline", HOUR),
        ("fault", -20),
        ("recovery", -40),
    ],
];

/// Runs an experiment under these steps; also how long its toxic was there.
async fn stepped(faketime: &Path, steps: Steps) -> (Platform, Ended, Duration) {
    let platform = Platform::new().await;
    let clock = platform.dir().with_file_name("clock");
    let set = |seconds: i64| {
        // Whole or not at all: the library reads it all the time.
        let new = clock.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}s\n")).expect("written");
        std::fs::rename(&new, &clock).expect("renamed");
    };
    set(0);
    let mut command = platform.run_command(&platform.experiment("slow", SLOW, PROMISE));
    command
        .env("LD_PRELOAD", faketime)
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME_NO_CACHE", "1");
    let mut child = command.spawn().expect("started");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let stepping = async {
        let mut said = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            for (phase, seconds) in steps {
                if line.starts_with(&format!("slow: {phase},")) {
                    set(seconds);
                }
            }
            said += &line;
            said.push('\n');
        }
        said
    };
    let watching = async {
        platform.fault_is_active().await;
        let begun = Instant::now();
        until("end of the fault", async || {
            platform.toxics().await.is_empty()
        })
        .await;
        begun.elapsed()
    };
    let (ended, stderr, lasted) = tokio::join!(end(child), stepping, watching);
    (platform, Ended { stderr, ..ended }, lasted)
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_the_wall_clock_change_no_phase_no_verdict_and_no_rollback() {
    let Some(faketime) = faketime() else { return };
    let [a, b, c] = CASES;
    let cases = tokio::join!(
        stepped(&faketime, a),
        stepped(&faketime, b),
        stepped(&faketime, c)
    );
    for (platform, ended, lasted) in [cases.0, cases.1, cases.2] {
        // Thirteen seconds and what a busy machine adds; the steps would have made it three, 33 or an hour.
        let is_as_long = lasted > Duration::from_secs(8) && lasted < Duration::from_secs(30);
        assert!(is_as_long, "{lasted:?}\n{}", ended.stderr);
        assert_verdict(&platform.result(), &ended, "pass", 0);
        platform.assert_clean().await;
    }
}
