//! The result for a terminal.

use std::fmt::Write as _;

use super::report::{Report, RunReport, Seen, Verdict};

/// A block for each run, then what is wrong.
pub(crate) fn text(report: &Report) -> String {
    let mut text = String::new();
    for run in &report.runs {
        of_run(&mut text, run, report.scale);
    }
    // Writing to a string cannot fail, here and below.
    for finding in report.all_findings() {
        let _ = writeln!(
            text,
            "{}  {} ({}): {}",
            finding.code, finding.subject, finding.file, finding.sentence
        );
    }
    for reason in &report.not_run {
        let _ = writeln!(text, "not run: {reason}");
    }
    let count = |verdict: Verdict| {
        report
            .runs
            .iter()
            .filter(|run| run.verdict == verdict)
            .count()
    };
    let _ = writeln!(
        text,
        "{} runs: {} proven, {} failed, {} inconclusive; {} findings; {:.0} s",
        report.runs.len(),
        count(Verdict::Proven),
        count(Verdict::Failed),
        count(Verdict::Inconclusive),
        report.all_findings().count(),
        report.took_seconds
    );
    text
}

fn of_run(text: &mut String, run: &RunReport, scale: f64) {
    let _ = writeln!(
        text,
        "{:<12}  {}  ({:.0} s): {}",
        run.verdict.name(),
        run.name,
        run.took_seconds,
        run.cause
    );
    if run.verdict != Verdict::Proven
        && let Some(share) = run.waited_for_cpu
    {
        let _ = writeln!(
            text,
            "              work waited for a CPU {:.0} % of the time",
            share * 100.0
        );
    }
    for alert in &run.alerts {
        let times = |seconds: Option<f64>| {
            seconds.map_or_else(|| "not".to_owned(), |seconds| both(seconds, scale))
        };
        let (fired, cleared) = (times(alert.detected_after), times(alert.cleared_after));
        let _ = writeln!(
            text,
            "              {} fired {fired}, cleared {cleared}",
            alert.alert
        );
    }
    for silent in &run.silent {
        let times = |seconds: Option<f64>| {
            seconds.map_or_else(|| "not".to_owned(), |seconds| both(seconds, scale))
        };
        let (noticed, heard) = (times(silent.noticed_after), times(silent.heard_after));
        let _ = writeln!(
            text,
            "              {} silent {noticed}, heard again {heard}",
            silent.alert
        );
    }
    for evidence in &run.evidence {
        let (mark, seen) = match &evidence.seen {
            Seen::Seen(seen) => ("", seen),
            Seen::NotSeen(why) => ("NOT SEEN: ", why),
        };
        let _ = writeln!(
            text,
            "              {} {}: {mark}{seen}",
            evidence.column, evidence.what
        );
    }
}

/// A scaled time, and what it is unscaled.
pub(crate) fn both(seconds: f64, scale: f64) -> String {
    format!("{seconds:.1} s ({})", long(seconds * scale))
}

/// Seconds as minutes and hours, for a person.
fn long(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::both;

    #[test]
    fn a_time_is_told_scaled_and_unscaled() {
        for (seconds, text) in [
            (0.25, "0.2 s (15 s)"),
            (7.5, "7.5 s (7 min 30 s)"),
            (90.0, "90.0 s (1 h 30 min)"),
        ] {
            assert_eq!(both(seconds, 60.0), text);
        }
    }
}
