//! For people at a terminal: the findings, board by board, and one line that says how it went.

use std::fmt::Write as _;

use super::super::report::Report;
use super::summary;

pub(super) fn of(report: &Report) -> String {
    let mut text = String::new();
    let mut file = None;
    for finding in &report.findings {
        if file != Some(&finding.file) {
            file = Some(&finding.file);
            let name = match finding.file.as_str() {
                "" => "all boards",
                name => name,
            };
            let _ = writeln!(text, "{name}");
        }
        let _ = writeln!(
            text,
            "  {}  {}: {}",
            finding.code, finding.subject, finding.sentence
        );
        if let Some(query) = &finding.query {
            let _ = writeln!(text, "      {}", one_line(query));
        }
    }
    for one in report.compared.iter().filter(|one| one.agrees) {
        let _ = writeln!(
            text,
            "agrees with the load: {} {}: {:.6} and {:.6}, within {}",
            one.file, one.subject, one.truth, one.shown, one.tolerance
        );
    }
    let _ = writeln!(text, "{}", summary(&report.totals));
    text
}

/// Queries may be written over several lines.
fn one_line(query: &str) -> String {
    query.split_whitespace().collect::<Vec<_>>().join(" ")
}
