//! Boards and rules that nobody here wrote are read whole.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{codes, report};

fn folder(name: &str) -> String {
    let public = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/public");
    public.join(name).display().to_string()
}

/// Findings that say of a file that it was not understood.
const NOT_UNDERSTOOD: [&str; 7] = [
    "file-unreadable",
    "library-panel",
    "not-analysed",
    "promtool-check",
    "schema-v2",
    "syntax",
    "unknown-variable",
];

#[track_caller]
fn assert_understood(report: &Value) {
    let found = codes(report);
    let not = found
        .iter()
        .find(|code| NOT_UNDERSTOOD.contains(&code.as_str()));
    assert_eq!(not, None, "{report:#}");
}

#[test]
fn boards_of_others_are_read_with_every_query() {
    for (name, queries) in [
        ("node/boards", &[11, 11, 17][..]),
        ("prometheus/boards", &[15, 15]),
    ] {
        let report = report(&[&folder(name), "--static"], 1);
        assert_understood(&report);
        let boards = report["boards"].as_array().unwrap().iter();
        let read: Vec<usize> = boards
            .map(|board| board["queries"].as_array().unwrap().len())
            .collect();
        assert_eq!(read, queries, "{name}");
    }
}

/// It shows seconds a second, times 1000, as milliseconds: nothing divides by how many there were.
#[test]
fn a_panel_of_others_that_does_not_divide_by_the_count_is_found() {
    let report = report(&[&folder("prometheus/boards"), "--static"], 1);
    let mut findings = report["findings"].as_array().unwrap().iter();
    let found = findings.any(|finding| {
        finding["code"] == "wrong-unit" && finding["subject"].to_string().contains("Target Sync")
    });
    assert!(found, "{report:#}");
}

#[test]
fn rules_of_others_are_read_with_every_alert() {
    for (name, alerts, recordings) in [("node", 26, 15), ("prometheus", 23, 0)] {
        let output = Command::new(env!("CARGO_BIN_EXE_chitram-proof"))
            .args([
                "rules",
                &folder(&format!("{name}/rules")),
                "--output",
                "json",
            ])
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_understood(&report);
        let read = (&report["alerts"], &report["recordings"]);
        assert_eq!(read, (&alerts.into(), &recordings.into()), "{name}");
    }
}
