//! The lines of a promise, each judged on the requests of its routes and, where it is about a dependency, on their traces.

use loadtest::events::RequestSample;
use loadtest::units::format_us;
use report::model::{Class, Expectation, Outcome, Source};

use crate::attribution::{self, MIN_TRACES_OF_ROUTE};
use crate::definition::{Expect, Experiment};
use crate::evidence::Evidence;
use crate::figures::{Figures, duration, percent};
use crate::phases::Phase;
use crate::windows::{Band, cut, needed};

pub(super) fn judge(experiment: &Experiment, evidence: &Evidence) -> Vec<Expectation> {
    let dependency = experiment
        .fault
        .as_ref()
        .map_or("", |fault| fault.dependency());
    experiment
        .expect
        .iter()
        .flat_map(|expect| rows(expect, evidence, dependency))
        .collect()
}

fn rows(expect: &Expect, evidence: &Evidence, dependency: &str) -> Vec<Expectation> {
    let mut rows = match expect {
        Expect::Steady { .. } => vec![steady(evidence)],
        Expect::Unchanged { routes, .. } => routes
            .iter()
            .map(|route| unchanged(evidence, route))
            .collect(),
        Expect::NoErrors { routes, .. } => vec![no_errors(evidence, routes)],
        Expect::SlowerPerCall {
            routes,
            added_ms,
            tolerance_ms,
            ..
        } => {
            let bounds = (*added_ms, *tolerance_ms);
            routes
                .iter()
                .map(|route| slower_per_call(evidence, route, bounds, dependency))
                .collect()
        }
        Expect::Attributed {
            routes, min_share, ..
        } => {
            vec![attributed(evidence, routes, *min_share, dependency)]
        }
        Expect::FailsFast {
            routes,
            status,
            after_s,
            p95_ms,
            ..
        } => {
            vec![fails_fast(evidence, routes, *status, *after_s, *p95_ms)]
        }
        // What metrics and alerts tell is judged by `telemetry`: none of it is about single requests.
        Expect::Alert(_) | Expect::Promql(_) => Vec::new(),
    };
    for row in &mut rows {
        row.required = !expect.is_optional();
    }
    rows
}

/// What was seen and whether it is right; or why it could not be measured.
pub(super) type Seen = Result<(bool, String), String>;

/// An expectation, required unless somebody says otherwise.
pub(super) fn row(expected: String, class: Class, source: Source, seen: Seen) -> Expectation {
    let (outcome, seen) = match seen {
        Ok((true, seen)) => (Outcome::Held, seen),
        Ok((false, seen)) => (Outcome::Broke, seen),
        Err(why) => (Outcome::NotMeasured, why),
    };
    Expectation {
        expected,
        seen,
        how: source.words().to_owned(),
        class,
        source,
        required: true,
        outcome,
    }
}

fn promise(expected: String, source: Source, seen: Seen) -> Expectation {
    row(expected, Class::Promise, source, seen)
}

fn steady(evidence: &Evidence) -> Expectation {
    let measure = || {
        let (baseline, span) = evidence
            .steady()
            .zip(evidence.span(Phase::Fault))
            .ok_or(NOT_REACHED)?;
        let windows = cut(&evidence.samples, span, baseline.window_s);
        if windows.is_empty() {
            return Err(NOT_REACHED.to_owned());
        }
        let inside = windows
            .iter()
            .filter(|window| baseline.band.holds_window(window))
            .count();
        let seen = format!(
            "{inside} of {} windows ({})",
            windows.len(),
            baseline.band.sentence()
        );
        Ok((inside >= needed(windows.len()), seen))
    };
    promise(
        "5 of 6 windows in the baseline band".into(),
        Source::Windows,
        measure(),
    )
}

pub(super) const NOT_REACHED: &str = "the experiment ended before";

/// The requests of some routes during the fault, or that there are none.
fn during<'a>(evidence: &'a Evidence, routes: &[String]) -> Result<Vec<&'a RequestSample>, String> {
    evidence.span(Phase::Fault).ok_or(NOT_REACHED)?;
    let samples = evidence.routes(Phase::Fault, routes);
    // A route without a request would be hidden among the others.
    let is_missing = |route: &&String| !samples.iter().any(|sample| sample.route == **route);
    let missing: Vec<&str> = routes
        .iter()
        .filter(is_missing)
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        Ok(samples)
    } else {
        Err(format!("no request on {}", missing.join(", ")))
    }
}

fn unchanged(evidence: &Evidence, route: &str) -> Expectation {
    let measure = || {
        let now = Figures::of(during(evidence, &[route.to_owned()])?);
        let before = evidence.figures(Phase::Baseline, route);
        let (Some(p95_before), Some(p95_now)) = (before.p95_us, now.p95_us) else {
            return Err(format!(
                "n too small: {} before, {} during; a p95 needs 200",
                before.n, now.n
            ));
        };
        let band = Band::around(p95_before, before.error_ratio());
        let seen = format!(
            "{} (before: {}; band: {})",
            now.sentence(),
            before.sentence(),
            band.sentence()
        );
        Ok((band.holds(p95_now, now.error_ratio()), seen))
    };
    promise(
        format!("{route} in its baseline band"),
        Source::Requests,
        measure(),
    )
}

fn no_errors(evidence: &Evidence, routes: &[String]) -> Expectation {
    let measure = || {
        let figures = Figures::of(during(evidence, routes)?);
        Ok((
            figures.errors == 0,
            format!("{} errors, n {}", figures.errors, figures.n),
        ))
    };
    promise(
        format!("no errors on {}", routes.join(", ")),
        Source::Requests,
        measure(),
    )
}

fn slower_per_call(
    evidence: &Evidence,
    route: &str,
    (added_ms, tolerance_ms): (u64, u64),
    dependency: &str,
) -> Expectation {
    let measure = || {
        let samples = during(evidence, &[route.to_owned()])?;
        let traces = evidence.traces()?;
        let (calls, n) = attribution::calls(&samples, traces, dependency);
        if n < MIN_TRACES_OF_ROUTE {
            return Err(format!(
                "{n} traces of {route}; {MIN_TRACES_OF_ROUTE} are needed"
            ));
        }
        let p50_before = evidence
            .figures(Phase::Baseline, route)
            .p50_us
            .ok_or("no request in the baseline")?;
        let p50_now = Figures::of(samples).p50_us.ok_or(NOT_REACHED)?;
        let added_ms_seen = (p50_now as f64 - p50_before as f64) / 1e3;
        let off_ms = (added_ms_seen - calls * added_ms as f64).abs();
        let seen = format!(
            "median {} instead of {}: {added_ms_seen:+.0} ms for {calls:.0} span(s) of {dependency} (median of {n} traces)",
            format_us(p50_now),
            format_us(p50_before)
        );
        Ok((calls > 0.0 && off_ms <= calls * tolerance_ms as f64, seen))
    };
    let expected = format!(
        "{route} slower by {added_ms} ms ± {tolerance_ms} ms for each span of {dependency} (median)"
    );
    promise(expected, Source::RequestsAndTraces, measure())
}

fn attributed(
    evidence: &Evidence,
    routes: &[String],
    min_share: f64,
    dependency: &str,
) -> Expectation {
    let measure = || {
        let now = during(evidence, routes)?;
        let before = evidence.routes(Phase::Baseline, routes);
        let seen = attribution::of_latency(&before, &now, evidence.traces()?, dependency)?;
        let (n_before, n_now) = seen.traces;
        let of_traces = format!("{n_before} traces before, {n_now} during");
        Ok(match seen.share {
            // Slower requests with traces that know nothing of it: telemetry that does not tell the truth.
            None => (
                false,
                format!(
                    "these requests became slower by {:.0} ms on average, their traces by {:.0} ms ({of_traces})",
                    seen.requests_us / 1e3,
                    seen.added_us / 1e3
                ),
            ),
            Some(share) => (
                share >= min_share,
                format!(
                    "{} of {:.0} ms added on average ({of_traces})",
                    percent(share),
                    seen.added_us / 1e3
                ),
            ),
        })
    };
    let expected = format!(
        "at least {} of the added latency of {} on spans of {dependency}",
        percent(min_share),
        routes.join(" and ")
    );
    promise(expected, Source::Traces, measure())
}

fn fails_fast(
    evidence: &Evidence,
    routes: &[String],
    status: u16,
    after_s: u64,
    most_ms: u64,
) -> Expectation {
    let measure = || {
        let verified = evidence.marks.verified.ok_or(NOT_REACHED)?;
        let from = verified + after_s as i64 * 1_000_000;
        let mut samples = during(evidence, routes)?;
        samples.retain(|sample| sample.due_us >= from);
        let figures = Figures::of(samples.iter().copied());
        let p95_us = figures
            .p95_us
            .ok_or(format!("n too small: {}; a p95 needs 200", figures.n))?;
        let right = |s: &&RequestSample| s.status == Some(status) && s.problem && s.retry_after;
        let wrong = samples.iter().filter(|sample| !right(sample)).count();
        let example = samples
            .iter()
            .find(|sample| !right(sample))
            .map(|s| format!(", such as {}", describe(s)));
        let seen = format!(
            "{wrong} of {} answered otherwise{}, p95 {}",
            figures.n,
            example.unwrap_or_default(),
            duration(Some(p95_us))
        );
        Ok((wrong == 0 && p95_us <= most_ms * 1_000, seen))
    };
    let expected = format!(
        "{} answer {status} problems with Retry-After from {after_s} s after the onset, p95 at most {most_ms} ms",
        routes.join(", ")
    );
    promise(expected, Source::Requests, measure())
}

/// `content: 200 after 12.0 ms`.
fn describe(sample: &RequestSample) -> String {
    let answer = match (sample.status, sample.error) {
        (Some(status), _) if !sample.problem => format!("{status} without a problem document"),
        (Some(status), _) if !sample.retry_after => format!("{status} without Retry-After"),
        (Some(status), _) => status.to_string(),
        (None, error) => error
            .map_or("no answer", crate::figures::error_word)
            .to_owned(),
    };
    format!(
        "{}: {answer} after {}",
        sample.route,
        format_us(sample.latency_us)
    )
}
