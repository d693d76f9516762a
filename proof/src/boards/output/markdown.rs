//! For a comment on a change.

use std::fmt::Write as _;

use super::super::report::Report;
use super::summary;

pub(super) fn of(report: &Report) -> String {
    let mut text =
        String::from("| board | panels | queries | live | empty as expected | other |\n");
    text.push_str("|---|---|---|---|---|---|\n");
    for board in &report.boards {
        let with = |verdict| {
            let queries = board.queries.iter();
            queries.filter(|query| query.verdict == verdict).count()
        };
        let (live, expected) = (with("live"), with("empty-as-expected"));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {live} | {expected} | {} |",
            cell(&board.title),
            board.panels,
            board.queries.len(),
            board.queries.len() - live - expected
        );
    }
    if !report.findings.is_empty() {
        text.push_str("\n| finding | file | where | what |\n|---|---|---|---|\n");
    }
    for finding in &report.findings {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            finding.code,
            cell(&finding.file),
            cell(&finding.subject),
            cell(&finding.sentence)
        );
    }
    let _ = writeln!(text, "\n{}", summary(&report.totals));
    text
}

/// A bar ends a cell, and so does a line.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
