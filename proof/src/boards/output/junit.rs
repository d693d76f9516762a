//! For CI: a suite for each file, a case for each query, and one for each other finding.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::report::Report;
use crate::finding::Finding;
use crate::xml::escape;

pub(super) fn of(report: &Report) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    let files: BTreeSet<&str> = report
        .boards
        .iter()
        .map(|board| board.file.as_str())
        .chain(report.findings.iter().map(|finding| finding.file.as_str()))
        .collect();
    for file in files {
        suite(report, file, &mut text);
    }
    text.push_str("</testsuites>\n");
    text
}

fn suite(report: &Report, file: &str, text: &mut String) {
    let queries: Vec<&str> = report
        .boards
        .iter()
        .filter(|board| board.file == file)
        .flat_map(|board| &board.queries)
        .map(|query| query.subject.as_str())
        .collect();
    let findings: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|finding| finding.file == file)
        .collect();
    let of = |subject: &str| -> Vec<&Finding> {
        let here = findings.iter().filter(|finding| finding.subject == subject);
        here.copied().collect()
    };
    let others: BTreeSet<&str> = findings
        .iter()
        .map(|finding| finding.subject.as_str())
        .filter(|subject| !queries.contains(subject))
        .collect();
    let cases: Vec<&str> = queries.into_iter().chain(others).collect();
    let failed = cases.iter().filter(|case| !of(case).is_empty()).count();
    let _ = writeln!(
        text,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\">",
        escape(file),
        cases.len()
    );
    for case in cases {
        let _ = write!(
            text,
            "    <testcase classname=\"{}\" name=\"{}\"",
            escape(file),
            escape(case)
        );
        let failures = of(case);
        if failures.is_empty() {
            text.push_str("/>\n");
            continue;
        }
        text.push_str(">\n");
        for finding in failures {
            let _ = writeln!(
                text,
                "      <failure type=\"{}\" message=\"{}\">{}</failure>",
                finding.code,
                escape(&finding.sentence),
                escape(finding.query.as_deref().unwrap_or_default())
            );
        }
        text.push_str("    </testcase>\n");
    }
    text.push_str("  </testsuite>\n");
}
