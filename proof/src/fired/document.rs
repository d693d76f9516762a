//! The result as a page: the matrix of causes and what showed them.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::causes::Column;
use super::codes;
use super::output::both;
use super::report::{Report, RunReport, Seen, Verdict};
use crate::finding::Finding;

const HEAD: &str = "| run | what was broken | verdict | alert: time to detect | cleared after | panel | trace | log line | promise kept | recovery |
|---|---|---|---|---|---|---|---|---|---|
";

/// Markdown.
pub(crate) fn markdown(report: &Report) -> String {
    let mut page = String::new();
    head(&mut page, report);
    page += HEAD;
    for run in &report.runs {
        row(&mut page, run, report.scale);
    }
    reasons(&mut page, report);
    rest(&mut page, report);
    page
}

fn head(page: &mut String, report: &Report) {
    let began = Timestamp::from_second(report.began_at as i64).unwrap_or_default();
    let servers: Vec<String> = report
        .servers
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let findings = report.all_findings().count();
    // Writing to a string cannot fail, here and below.
    let _ = write!(
        page,
        "# Alerts that were seen to fire

Written by `chitram-proof fired` ([how](fired.md)); begun {} UTC, {:.0} min long. Time was scaled by {}: each time stands as it was
measured, and in parentheses times {}. Servers: {}. For each run a fresh system and empty servers were started. {}

{} runs; {findings} findings.

",
        began.strftime("%Y-%m-%d %H:%M"),
        report.took_seconds / 60.0,
        report.scale,
        report.scale,
        servers.join(", "),
        control(&report.runs),
        report.runs.len(),
    );
}

/// What was seen before the causes.
fn control(runs: &[RunReport]) -> String {
    let said = "nothing but the watchdog fired in the control time before the cause";
    let quiet = |run: &&RunReport| {
        let fired = |finding: &Finding| finding.code == codes::FIRED_BEFORE;
        // One that ended early was not looked at.
        run.verdict != Verdict::Inconclusive && !run.findings.iter().any(fired)
    };
    match runs.iter().filter(quiet).count() {
        all if all == runs.len() && all > 0 => format!("In each, {said}."),
        some => format!(
            "In {some} of {} runs {said}; the others have findings, or were not judged.",
            runs.len()
        ),
    }
}

fn row(page: &mut String, run: &RunReport, scale: f64) {
    let or_not = |seconds: Option<f64>| {
        seconds.map_or_else(|| "**not seen**".to_owned(), |seconds| both(seconds, scale))
    };
    let mut alerts: Vec<String> = run
        .alerts
        .iter()
        .map(|alert| format!("{}: {}", code(&alert.alert), or_not(alert.detected_after)))
        .collect();
    alerts.extend(run.silent.iter().map(|silent| {
        format!(
            "{} falls silent: {}",
            code(&silent.alert),
            or_not(silent.noticed_after)
        )
    }));
    let mut cleared: Vec<String> = run
        .alerts
        .iter()
        .map(|alert| or_not(alert.cleared_after))
        .collect();
    cleared.extend(
        run.silent
            .iter()
            .map(|silent| format!("heard again: {}", or_not(silent.heard_after))),
    );
    if alerts.is_empty() {
        let watched = run.control_seconds.map_or_else(
            || "**not watched**".to_owned(),
            |seconds| format!("nothing fired for {}", both(seconds, scale)),
        );
        alerts.push(watched);
    }
    let evidence = [Column::Panel, Column::Trace, Column::Log, Column::Promise]
        .map(|column| cell(run, column));
    let cells = [
        code(&run.name),
        escaped(&run.cause),
        run.verdict.name().to_owned(),
        alerts.join("<br>"),
        cleared.join("<br>"),
    ];
    let recovery = run
        .recovered_after()
        .map_or_else(|| "-".to_owned(), |seconds| both(seconds, scale));
    let _ = writeln!(
        page,
        "| {} | {} | {recovery} |",
        cells.join(" | "),
        evidence.join(" | ")
    );
}

fn cell(run: &RunReport, column: Column) -> String {
    let shown: Vec<String> = run
        .of(column)
        .map(|evidence| match &evidence.seen {
            Seen::Seen(seen) => format!("{}: {}", escaped(&evidence.what), escaped(seen)),
            Seen::NotSeen(_) => format!("{}: **not seen**", escaped(&evidence.what)),
        })
        .collect();
    let declared = run
        .not_applicable
        .iter()
        .any(|(name, _)| *name == column.name());
    match (shown.is_empty(), declared) {
        (false, _) => shown.join("<br>"),
        (true, true) => "does not apply".to_owned(),
        (true, false) => "**not shown**".to_owned(),
    }
}

fn reasons(page: &mut String, report: &Report) {
    *page += "\n## What does not apply\n\n";
    for run in &report.runs {
        for (column, reason) in &run.not_applicable {
            let _ = writeln!(page, "- {}, {column}: {}", code(&run.name), escaped(reason));
        }
        if !run.consequences.is_empty() {
            let alerts: Vec<String> = run.consequences.iter().map(|alert| code(alert)).collect();
            let _ = writeln!(
                page,
                "- {}: fired as consequences: {}",
                code(&run.name),
                alerts.join(", ")
            );
        }
    }
}

fn rest(page: &mut String, report: &Report) {
    *page += "\n## What is unproven\n\n";
    for (alert, reason) in &report.unproven {
        let _ = writeln!(page, "- {}: {}", code(alert), escaped(reason));
    }
    if report.unproven.is_empty() {
        *page += "Every alert of the rules is in a run.\n";
    }
    if !report.not_asked.is_empty() {
        let _ = writeln!(
            page,
            "\nRuns that were not asked for: {}.",
            report.not_asked.join(", ")
        );
    }
    for reason in &report.not_run {
        let _ = writeln!(page, "\nNot run: {}.", escaped(reason));
    }
    *page += "\n## Findings\n\n";
    let mut any = false;
    for finding in report.all_findings() {
        any = true;
        let _ = writeln!(
            page,
            "- {} {}: {}",
            code(finding.code),
            escaped(&finding.subject),
            escaped(&finding.sentence)
        );
    }
    if !any {
        *page += "None.\n";
    }
}

/// Text that means itself in a cell of a table.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' => escaped.extend(['\\', letter]),
            '<' => escaped += "&lt;",
            '\n' | '\r' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Text as code in a cell of a table.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|").replace('`', "'"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::report::{AlertSeen, Evidence, VERSION};
    use super::*;

    fn run() -> RunReport {
        RunReport {
            name: "store-dead".to_owned(),
            cause: "The store is gone | all of it.".to_owned(),
            verdict: Verdict::Failed,
            not_started: false,
            took_seconds: 60.0,
            waited_for_cpu: None,
            control_seconds: Some(15.0),
            alerts: vec![AlertSeen {
                alert: "StoreFailing{dependency=\"store\"}".to_owned(),
                detected_after: Some(4.0),
                within: 10.0,
                cleared_after: None,
                receiver: "tickets".to_owned(),
            }],
            silent: Vec::new(),
            consequences: Vec::new(),
            evidence: vec![Evidence {
                column: "panel",
                what: "board: Errors".to_owned(),
                seen: Seen::Seen("0 → 5".to_owned()),
            }],
            not_applicable: vec![("trace", "Nothing is traced.".to_owned())],
            findings: Vec::new(),
        }
    }

    fn report(runs: Vec<RunReport>) -> Report {
        Report {
            version: VERSION,
            began_at: 1_795_842_000.0,
            took_seconds: 60.0,
            scale: 60.0,
            servers: BTreeMap::from([("Prometheus", "3.11.3".to_owned())]),
            runs,
            not_asked: vec!["other".to_owned()],
            unproven: Vec::new(),
            findings: Vec::new(),
            not_run: Vec::new(),
        }
    }

    #[test]
    fn the_control_time_was_quiet_only_where_it_was_seen_to_be() {
        let mut noisy = run();
        noisy.finding("causes.toml", codes::FIRED_BEFORE, "Late was pending");
        let mut broken = run();
        broken.verdict = Verdict::Inconclusive;
        assert!(markdown(&report(vec![run(), run()])).contains("In each, nothing"));
        let page = markdown(&report(vec![run(), noisy, broken]));
        assert!(page.contains("In 1 of 3 runs nothing"), "{page}");
        assert!(markdown(&report(Vec::new())).contains("In 0 of 0 runs"));
    }

    #[test]
    fn each_cell_says_what_was_seen_or_that_it_was_not() {
        let page = markdown(&report(vec![run()]));
        let row = "| `store-dead` | The store is gone \\| all of it. | failed | `StoreFailing{dependency=\"store\"}`: 4.0 s (4 min 0 s) | **not seen** | board: Errors: 0 → 5 | does not apply | **not shown** | **not shown** | - |";
        assert!(page.contains(row), "{page}");
        assert!(page.contains("- `store-dead`, trace: Nothing is traced."));
        assert!(page.contains("not asked for: other."));
    }
}
