//! A finished run as text for people.

use std::fmt::Write as _;

use crate::result::{Conclusion, PhaseResult, RouteFigures, RunResult};
use crate::threshold::Outcome;
use crate::units::format_us;

/// The run's figures, thresholds and conclusion, in lines up to 100 columns.
pub(crate) fn summary(result: &RunResult) -> String {
    let mut text = String::new();
    let run = &result.run;
    let _ = writeln!(
        text,
        "{} against {}, run {}",
        run.plan, run.target, run.run_id
    );
    for phase in &result.phases {
        let _ = write!(text, "\n{}", phase_table(phase));
    }
    if !result.thresholds.is_empty() {
        text.push('\n');
    }
    for threshold in &result.thresholds {
        let word = match threshold.outcome {
            Outcome::Held => "held",
            Outcome::Failed => "FAILED",
            Outcome::NotMeasured => "not measured",
        };
        let route = threshold.route.as_deref().unwrap_or("all");
        let _ = writeln!(
            text,
            "  {word:<12} {:<8} {route:<9} {:<20} {}",
            threshold.phase, threshold.rule, threshold.seen
        );
    }
    let ended = match (result.aborted, result.stopped) {
        (true, _) => " (interrupted)",
        (false, true) => " (stopped before its time)",
        (false, false) => "",
    };
    let conclusion = match result.conclusion {
        Conclusion::Pass => "pass",
        Conclusion::Fail => "fail",
        Conclusion::Inconclusive => "inconclusive",
    };
    let _ = writeln!(text, "\n{conclusion}{ended}");
    for reason in &result.reasons {
        let _ = writeln!(text, "  {reason}");
    }
    text
}

fn phase_table(phase: &PhaseResult) -> String {
    let mut text = String::new();
    let totals = &phase.totals;
    let _ = writeln!(
        text,
        "{}: {} due, {} sent, {} ok, {} errors, not sent: {} by the target, {} by the generator, {} for want of a worker",
        phase.name,
        totals.due,
        totals.sent,
        totals.ok,
        totals.errors,
        totals.not_sent.target,
        totals.not_sent.generator,
        totals.not_sent.workers
    );
    let _ = writeln!(
        text,
        "  send lag p50 {}, p99 {}, max {}; event loop lag max {}",
        figure(phase.send_lag.p50_us),
        figure(phase.send_lag.p99_us),
        figure(phase.send_lag.max_us),
        format_us(phase.event_loop_lag_max_us)
    );
    let generator = &phase.generator;
    let _ = writeln!(
        text,
        "  generator: busy up to {:.0} %, stalled {:.2} s, at its bound in {} of {} s; may have added p50 {}, p95 {}, max {}",
        generator.busy_max * 100.0,
        generator.stalled_us as f64 / 1e6,
        generator.saturated_seconds,
        generator.seconds,
        figure(generator.added.p50_us),
        figure(generator.added.p95_us),
        figure(generator.added.max_us)
    );
    let _ = writeln!(
        text,
        "  {:<9} {:>7} {:>7} {:>10} {:>10} {:>10} {:>10}",
        "route", "n", "errors", "p50", "p95", "p99", "max"
    );
    let rows = phase
        .routes
        .iter()
        .map(|(route, figures)| (route.as_str(), figures));
    for (route, figures) in rows.chain(std::iter::once(("all", &phase.all))) {
        text.push_str(&row(route, figures));
    }
    text
}

fn row(route: &str, figures: &RouteFigures) -> String {
    let latency = &figures.latency;
    format!(
        "  {route:<9} {:>7} {:>7} {:>10} {:>10} {:>10} {:>10}\n",
        figures.n,
        figures.error_count(),
        figure(latency.p50_us),
        figure(latency.p95_us),
        figure(latency.p99_us),
        figure(latency.max_us)
    )
}

/// A figure that too few samples allow is a dash.
fn figure(us: Option<u64>) -> String {
    us.map_or_else(|| "-".to_owned(), format_us)
}
