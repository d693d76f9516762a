//! The forms in which a result is printed.

mod junit;
mod markdown;
mod text;

use super::report::{Report, Totals};
use super::settings::Output;

/// The result in a form, with a newline at the end.
pub fn print(report: &Report, output: Output) -> Result<String, serde_json::Error> {
    Ok(match output {
        Output::Text => text::of(report),
        Output::Json => serde_json::to_string_pretty(report)? + "\n",
        Output::Junit => junit::of(report),
        Output::Markdown => markdown::of(report),
    })
}

/// One line that says how it went.
fn summary(totals: &Totals) -> String {
    let mut parts = vec![
        count(totals.boards, "board"),
        count(totals.panels, "panel"),
        queries(totals),
    ];
    if totals.agreeing > 0 {
        parts.push(format!(
            "{} with the load",
            count(totals.agreeing, "agreement")
        ));
    }
    parts.push(count(totals.findings, "finding"));
    if totals.allowed > 0 {
        parts.push(format!("{} allowed", totals.allowed));
    }
    parts.join(", ")
}

fn queries(totals: &Totals) -> String {
    let mut how = Vec::new();
    if totals.not_asked > 0 {
        how.push(format!("{} not asked", totals.not_asked));
    } else {
        how.push(format!("{} live", totals.live));
    }
    if totals.empty_as_expected > 0 {
        how.push(format!("{} empty as expected", totals.empty_as_expected));
    }
    let word = if totals.queries == 1 {
        "query"
    } else {
        "queries"
    };
    format!("{} {word} ({})", totals.queries, how.join(", "))
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::super::report::{BoardReport, QueryReport, Report, VERSION};
    use super::*;
    use crate::finding::Finding;

    fn report() -> Report {
        let mut report = Report {
            version: VERSION,
            prometheus: Some("http://127.0.0.1:9090/".into()),
            range: Some((0.0, 60.0)),
            boards: vec![BoardReport {
                file: "d/a.json".into(),
                uid: "a".into(),
                title: "A | B".into(),
                panels: 1,
                queries: vec![QueryReport {
                    subject: "panel 1 `<x>`, query A".into(),
                    panel_id: Some(1),
                    query: "x > 5".into(),
                    asked: Some("x > 5".into()),
                    verdict: "empty",
                    series: 0,
                    samples: 0,
                    reason: Some("no value of `x` is > 5".into()),
                    transformations: Vec::new(),
                }],
            }],
            findings: vec![
                Finding {
                    code: "empty",
                    file: "d/a.json".into(),
                    subject: "panel 1 `<x>`, query A".into(),
                    query: Some("x > 5".into()),
                    sentence: "the query has no result: no value of `x` is > 5".into(),
                },
                Finding {
                    code: "no-unit",
                    file: "d/a.json".into(),
                    subject: "panel 1 `<x>`".into(),
                    query: None,
                    sentence: "the panel's numbers have no unit".into(),
                },
            ],
            allowed: Vec::new(),
            compared: Vec::new(),
            totals: Totals::default(),
        };
        report.totals = report.totals();
        report
    }

    #[test]
    fn each_form_names_place_code_and_reason() {
        for (output, expected) in [
            (
                Output::Text,
                vec![
                    "d/a.json",
                    "empty  panel 1 `<x>`, query A: the query has no result",
                    "no-unit  panel 1 `<x>`",
                    "1 board, 1 panel, 1 query (0 live), 2 findings",
                ],
            ),
            (
                Output::Markdown,
                vec![
                    "| `empty` | d/a.json | panel 1 `<x>`, query A |",
                    "| A \\| B |",
                ],
            ),
            (
                Output::Junit,
                vec![
                    "<testsuite name=\"d/a.json\" tests=\"2\" failures=\"2\"",
                    "panel 1 `&lt;x&gt;`, query A",
                    "<failure type=\"no-unit\"",
                ],
            ),
            (
                Output::Json,
                vec![
                    "\"verdict\": \"empty\"",
                    "\"findings\": 2",
                    "\"code\": \"no-unit\"",
                ],
            ),
        ] {
            let text = print(&report(), output).unwrap();
            for part in expected {
                assert!(text.contains(part), "{output:?} lacks {part}:\n{text}");
            }
        }
    }
}
