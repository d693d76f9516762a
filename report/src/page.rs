//! The page: what a reader sees first, and the order of the rest.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    model::{Ended, Experiment, Report},
    tables, timeline, waterfall,
};

const STYLE: &str = include_str!("style.css");

/// The whole document.
pub(crate) fn page(report: &Report) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (report.title) ": " (report.summary) }
                style { (PreEscaped(crate::TOKENS)) (PreEscaped(STYLE)) }
            }
            body {
                (first_screen(report))
                main { @for experiment in &report.experiments { (section(experiment)) } }
                (foot(report))
                script type="application/json" id="data" { (PreEscaped(embedded(report))) }
            }
        }
    }
}

/// The verdict and why, before anything else.
fn first_screen(report: &Report) -> Markup {
    let (class, mark) = sign(report);
    html! {
        header {
            p.kicker { (report.title) }
            h1 class=(class) { span.mark aria-hidden="true" { (mark) } (report.summary) }
            ol.verdicts {
                @for experiment in &report.experiments {
                    li class=(tone(experiment)) {
                        a href=(format!("#{}", anchor(&experiment.name))) {
                            b { (experiment.title) }
                            span.verdict { (mark_of(experiment)) " " (experiment.verdict) }
                        }
                        @for reason in experiment.reasons.iter().take(3) { p { (reason) } }
                    }
                }
                @for unfinished in &report.unfinished {
                    li.unknown {
                        b { (unfinished.title) }
                        span.verdict { "– " (unfinished.state.word()) ": no verdict" }
                        @if !unfinished.why.is_empty() { p { (unfinished.why) } }
                    }
                }
            }
            p.again { span { "Run it again: " } code { (report.command) } span.quiet { (report.generated_at) } }
        }
    }
}

/// The colour and the mark of the whole. A tick stands for results: a page without one has none.
fn sign(report: &Report) -> (&'static str, &'static str) {
    let is_whole = report.ended == Ended::Finished && report.unfinished.is_empty();
    match (
        is_whole && !report.experiments.is_empty(),
        report.as_expected,
    ) {
        (true, true) => ("good", "✓"),
        (true, false) => ("bad", "✗"),
        (false, _) => ("unknown", "–"),
    }
}

fn section(experiment: &Experiment) -> Markup {
    html! {
        section.experiment id=(anchor(&experiment.name)) {
            h2 { (experiment.title) " " span class=(format!("badge {}", tone(experiment))) { (mark_of(experiment)) " " (experiment.verdict) } }
            p.promise { (experiment.promise) }
            @if !experiment.as_expected { p.bad { "Expected verdict: " (experiment.expected_verdict) "." } }
            @if !experiment.reasons.is_empty() {
                ul.reasons { @for reason in &experiment.reasons { li { (reason) } } }
            }
            h3 { "What happened" }
            (timeline::timeline(&experiment.timeline, &anchor(&experiment.name)))
            @if !experiment.expectations.is_empty() {
                h3 { "Expected and seen" }
                (tables::expectations(&experiment.expectations))
            }
            @if !experiment.routes.is_empty() {
                h3 { "Routes against their baseline" }
                (tables::routes(&experiment.routes))
            }
            @if !experiment.waterfalls.is_empty() {
                h3 { "Where the time went" }
                (waterfall::waterfalls(&experiment.waterfalls))
            }
            @if !experiment.not_measured.is_empty() {
                h3 { "Not measured" }
                ul { @for line in &experiment.not_measured { li { (line) } } }
            }
            @if !experiment.events.is_empty() {
                details {
                    summary { "Every step, in seconds since the first request was due" }
                    table.steps { tbody {
                        @for (at, what) in &experiment.events { tr { td { (format!("{at:.1}")) } td { (what) } } }
                    } }
                }
            }
        }
    }
}

fn foot(report: &Report) -> Markup {
    html! {
        footer {
            h2 { "Where this was measured" }
            dl {
                @for (name, value) in &report.environment { div { dt { (name) } dd { (value) } } }
            }
            p.quiet {
                "Latency is measured from the moment a request was due to the last byte of its body, so that a stall cannot hide. "
                "The figures behind this page are embedded in it as JSON, in the element with the id data."
            }
        }
    }
}

fn tone(experiment: &Experiment) -> &'static str {
    match (experiment.as_expected, experiment.inconclusive) {
        (true, _) => "good",
        (false, true) => "unknown",
        (false, false) => "bad",
    }
}

fn mark_of(experiment: &Experiment) -> &'static str {
    match tone(experiment) {
        "good" => "✓",
        "unknown" => "?",
        _ => "✗",
    }
}

/// A name that is safe within an address and an id.
fn anchor(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

/// JSON that can't end its script element: within strings, `<` may be written as an escape.
fn embedded(report: &Report) -> String {
    serde_json::to_string(report)
        .map_or_else(|_| "null".to_owned(), |json| json.replace('<', "\\u003c"))
}
