//! A trace as bars over time, one row for each span, as a table that a screen reader can follow.

use maud::{Markup, html};

use crate::{
    format,
    model::{SpanBar, Waterfall},
};

/// Rows shown at most; a trace of this service has about ten.
const MAX_ROWS: usize = 60;

/// The slowest traces, side by side where there is room.
pub(crate) fn waterfalls(waterfalls: &[Waterfall]) -> Markup {
    html! {
        div.waterfalls {
            @for waterfall in waterfalls { (one(waterfall)) }
        }
    }
}

fn one(waterfall: &Waterfall) -> Markup {
    let total = waterfall
        .spans
        .iter()
        .map(|span| span.start_us + span.duration_us)
        .max()
        .unwrap_or(0)
        .max(1);
    html! {
        section.waterfall {
            h4 { (waterfall.title) " " span.quiet { (format::microseconds(total)) } }
            p.trace {
                "trace "
                @if let Some(link) = waterfall.link.as_deref().filter(|link| link.starts_with("http")) {
                    a href=(link) { code { (waterfall.trace_id) } }
                } @else { code { (waterfall.trace_id) } }
            }
            table {
                caption.hidden { "Spans of the trace, parents before children" }
                thead.hidden { tr { th scope="col" { "Span" } th scope="col" { "Time" } } }
                tbody { @for span in waterfall.spans.iter().take(MAX_ROWS) { (row(span, total)) } }
            }
            @if waterfall.spans.len() > MAX_ROWS {
                p.quiet { (format!("{} more spans are in the data.", waterfall.spans.len() - MAX_ROWS)) }
            }
        }
    }
}

fn row(span: &SpanBar, total: u64) -> Markup {
    let share = |us: u64| us as f64 / total as f64 * 100.0;
    let class = match span.dependency.as_deref() {
        Some("store") => "bar store",
        Some("catalog") => "bar catalog",
        Some("cache") => "bar cache",
        Some(_) => "bar other",
        None => "bar own",
    };
    let place = format!(
        "left:{:.2}%;width:{:.2}%",
        share(span.start_us).min(99.5),
        share(span.duration_us).max(0.4)
    );
    html! {
        tr.failed[span.error.is_some()] {
            th scope="row" style=(format!("--depth:{}", span.depth.min(12))) {
                span.name { (span.name) }
                @if let Some(dependency) = &span.dependency { " " span.dependency { (dependency) } }
                @if let Some(error) = &span.error { " " span.error { "✗ " (error) } }
            }
            td {
                span.track { span class=(class) style=(place) {} }
                span.duration { (format::microseconds(span.duration_us)) }
            }
        }
    }
}
