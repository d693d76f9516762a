//! The tables of a report: routes against their baseline, and what was expected against what was seen.

use maud::{Markup, html};

use crate::{
    format,
    model::{Expectation, Outcome, RouteFigures, RouteRow},
};

/// Routes before and during the fault.
pub(crate) fn routes(rows: &[RouteRow]) -> Markup {
    html! {
        div.scroll {
            table.figures {
                thead {
                    tr {
                        th rowspan="2" scope="col" { "Route" }
                        th colspan="4" scope="colgroup" { "Baseline" }
                        th colspan="4" scope="colgroup" { "Fault" }
                        th rowspan="2" scope="col" { "Band" }
                    }
                    tr {
                        @for _ in 0..2 {
                            th scope="col" { "n" } th scope="col" { "errors" } th scope="col" { "median" } th scope="col" { "p95" }
                        }
                    }
                }
                tbody { @for row in rows { (route(row)) } }
            }
        }
    }
}

fn route(row: &RouteRow) -> Markup {
    let (class, word) = match (row.in_band, row.expected_to_change) {
        (None, _) => ("unknown", "? too few requests"),
        (Some(true), _) => ("good", "in the band"),
        (Some(false), true) => ("quiet", "left it, as the fault implies"),
        (Some(false), false) => ("bad", "left it"),
    };
    html! {
        tr {
            th scope="row" { (row.route) }
            (figures(&row.baseline))
            (figures(&row.fault))
            td class={ "word " (class) } { (word) }
        }
    }
}

fn figures(figures: &RouteFigures) -> Markup {
    let latency =
        |value: Option<f64>| value.map_or_else(|| "n too small".to_owned(), format::milliseconds);
    html! {
        td { (figures.requests) }
        td { (format::percent(figures.errors, figures.requests)) }
        td { (latency(figures.p50_ms)) }
        td { (latency(figures.p95_ms)) }
    }
}

/// Promises: expected, seen, how it was measured, how it came out.
pub(crate) fn expectations(rows: &[Expectation]) -> Markup {
    html! {
        div.scroll {
            table.expectations {
                thead { tr { th scope="col" { "" } th scope="col" { "Expected" } th scope="col" { "Seen" } th scope="col" { "How it was measured" } } }
                tbody { @for row in rows { (expectation(row)) } }
            }
        }
    }
}

fn expectation(row: &Expectation) -> Markup {
    let (class, word) = match row.outcome {
        Outcome::Held => ("good", "✓ held"),
        Outcome::Broke => ("bad", "✗ broke"),
        Outcome::NotMeasured if row.required => ("unknown", "? not measured, but required"),
        Outcome::NotMeasured => ("unknown", "? not measured"),
    };
    html! {
        tr {
            td class={ "word " (class) } { (word) }
            td data-label="Expected" { (row.expected) }
            td data-label="Seen" { (row.seen) }
            td.quiet data-label="How it was measured" { (row.how) }
        }
    }
}
