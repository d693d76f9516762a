//! rsyslog's counters (its module `impstats`), as the metrics of log shipping.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::refused::Redelivered;
use crate::metrics::{SHIPPED, SHIPPING_QUEUE};

/// The file is emptied beyond this size: it gets about 2 kB a second.
const LARGEST_FILE: u64 = 1024 * 1024;
/// How often that is looked at.
const LOOK: Duration = Duration::from_mins(1);
/// The end of the file that is read: more than what is written in a second.
const TAIL: u64 = 32 * 1024;
/// Counters this old are those of a process that no longer counts.
const STALE_AFTER: Duration = Duration::from_secs(15);
/// The rulesets of `deploy/logs/rsyslog.conf` that have a queue.
const QUEUES: [&str; 2] = ["lines", "answers"];

/// Counted by one process since its start, except for the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Documents that Elasticsearch took.
    pub confirmed: u64,
    /// Lines that it had already.
    pub duplicate: u64,
    /// Documents that it refused for good (400).
    pub rejected: u64,
    /// Documents that it refused for the moment (429, 5xx).
    pub failed: u64,
    /// Lines read from a file and not confirmed, and answers that wait for what is done about them.
    pub queue: u64,
}

/// The newest counters; `None` when the process has not written all of them yet.
pub fn read(file: &Path) -> Option<Statistics> {
    parse(&tail(file).ok()?)
}

/// As Prometheus text: of rsyslog itself and of what is sent again for it. Without counters the series are absent, which
/// the alert on stopped shipping sees.
pub fn render(file: &Path, redelivered: Redelivered) -> String {
    let Some(statistics) = read(file).filter(|_| is_fresh(file)) else {
        return String::new();
    };
    let lines = [
        ("confirmed", statistics.confirmed + redelivered.confirmed),
        ("duplicate", statistics.duplicate + redelivered.duplicate),
        ("rejected", statistics.rejected + redelivered.rejected),
        ("failed", statistics.failed + redelivered.failed),
    ];
    let queue = statistics.queue + redelivered.waiting;
    SHIPPED.render(lines) + &SHIPPING_QUEUE.render([("", queue)])
}

/// Keeps the file short until shutdown, whether or not its counters are asked for.
pub async fn keep_short(file: PathBuf, shutdown: CancellationToken) {
    while shutdown
        .run_until_cancelled(tokio::time::sleep(LOOK))
        .await
        .is_some()
    {
        shorten(&file);
    }
}

fn tail(file: &Path) -> std::io::Result<String> {
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_fresh(file: &Path) -> bool {
    let written = file.metadata().and_then(|metadata| metadata.modified());
    written.is_ok_and(|written| written.elapsed().unwrap_or_default() < STALE_AFTER)
}

/// rsyslog appends, so it goes on at the new end. A second's counters that are lost with it are counted again in the next.
fn shorten(file: &Path) {
    let long = file
        .metadata()
        .is_ok_and(|metadata| metadata.len() > LARGEST_FILE);
    if long && let Ok(file) = OpenOptions::new().write(true).open(file) {
        let _ = file.set_len(0);
    }
}

/// The last object of each name. A line begins with its time; its object is what follows.
fn parse(text: &str) -> Option<Statistics> {
    let objects: Vec<Value> = text
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str(&line[line.find('{')?..]).ok())
        .collect();
    let last = |name: &str| objects.iter().find(|object| object["name"] == name);
    let answers = last("omelasticsearch")?;
    let count = |key: &str| answers[key].as_u64().unwrap_or(0);
    let mut queue = 0;
    for name in QUEUES {
        queue += last(name)?["size"].as_u64()?;
    }
    Some(Statistics {
        confirmed: count("response.success"),
        duplicate: count("response.duplicate"),
        rejected: count("response.badargument"),
        failed: count("response.bulkrejection") + count("response.other"),
        queue,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = r#"Sat Nov 28 05:00:00 2026: { "name": "omelasticsearch", "origin": "omelasticsearch", "submitted": 1, "response.success": 1 }
Sat Nov 28 05:00:00 2026: { "name": "lines", "origin": "core.queue", "size": 9, "enqueued": 9 }
Sat Nov 28 05:00:00 2026: { "name": "answers", "origin": "core.queue", "size": 0 }
Sat Nov 28 05:00:01 2026: { "name": "omelasticsearch", "origin": "omelasticsearch", "submitted": 12, "response.success": 7, "response.bad": 0, "response.duplicate": 2, "response.badargument": 1, "response.bulkrejection": 1, "response.other": 1 }
Sat Nov 28 05:00:01 2026: { "name": "lines", "origin": "core.queue", "size": 5, "enqueued": 12 }
Sat Nov 28 05:00:01 2026: { "name": "answers", "origin": "core.queue", "size": 3 }
Sat Nov 28 05:00:02 2026: { "name": "omelasticse"#;

    #[test]
    fn the_newest_whole_counters_are_taken() {
        let expected = Statistics {
            confirmed: 7,
            duplicate: 2,
            rejected: 1,
            failed: 2,
            queue: 8,
        };
        assert_eq!(parse(WRITTEN), Some(expected));
    }

    #[test]
    fn counters_that_are_not_there_are_absent_and_not_zero() {
        assert_eq!(
            parse("Sat Nov 28 05:00:00 2026: { \"name\": \"lines\", \"size\": 0 }\n"),
            None
        );
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            render(&folder.path().join("none"), Redelivered::default()),
            ""
        );
    }

    #[test]
    fn the_metrics_are_those_of_rsyslog_and_of_what_is_sent_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("statistics");
        std::fs::write(&file, WRITTEN).unwrap();
        let redelivered = Redelivered {
            confirmed: 3,
            failed: 4,
            waiting: 1,
            ..Redelivered::default()
        };
        let text = render(&file, redelivered);
        for line in [
            "# TYPE chitram_log_shipping_lines_total counter",
            "chitram_log_shipping_lines_total{outcome=\"confirmed\"} 10",
            "chitram_log_shipping_lines_total{outcome=\"duplicate\"} 2",
            "chitram_log_shipping_lines_total{outcome=\"rejected\"} 1",
            "chitram_log_shipping_lines_total{outcome=\"failed\"} 6",
            "# TYPE chitram_log_shipping_queue_lines gauge",
            "chitram_log_shipping_queue_lines 9",
        ] {
            assert!(
                text.lines().any(|other| other == line),
                "{line} is not in\n{text}"
            );
        }
    }

    #[test]
    fn the_counters_of_a_process_that_no_longer_counts_are_absent() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("statistics");
        std::fs::write(&file, WRITTEN).unwrap();
        let old = std::time::SystemTime::now() - 2 * STALE_AFTER;
        File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(old)
            .unwrap();
        assert_eq!(render(&file, Redelivered::default()), "");
    }

    #[test]
    fn the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("statistics");
        let long = format!("{}\n{WRITTEN}", " ".repeat(LARGEST_FILE as usize));
        std::fs::write(&file, long).unwrap();
        assert!(render(&file, Redelivered::default()).contains("\"confirmed\"} 7"));
        shorten(&file);
        assert_eq!(file.metadata().unwrap().len(), 0);
    }
}
