//! The panel `table`.

use maud::{Markup, html};

use super::{
    chart::Chart,
    frame::{Cell, Frame, frames},
    view::Answer,
};

/// Rows at most.
const ROWS: usize = 100;
/// Columns at most.
const COLUMNS: usize = 16;

/// The panel, and the transformations that are not known here.
pub(super) fn table(chart: &Chart, answers: &[Answer]) -> (Markup, Vec<String>) {
    let (frames, unknown) = frames(chart.panel, answers, chart.range);
    let markup = html! {
        @for frame in frames.iter().filter(|frame| !frame.rows.is_empty()) { (one(chart, frame)) }
    };
    (markup, unknown)
}

fn one(chart: &Chart, frame: &Frame) -> Markup {
    let columns = &frame.columns[..frame.columns.len().min(COLUMNS)];
    html! {
        div.scroll tabindex="0" {
            table.data {
                caption.hidden { (chart.title) }
                thead { tr { @for column in columns { th scope="col" { (frame.heading(chart.panel, column)) } } } }
                tbody {
                    @for row in frame.rows.iter().take(ROWS) {
                        tr { @for column in columns { (cell(chart, frame, column, row.get(column))) } }
                    }
                }
            }
        }
        @let more = frame.rows.len().saturating_sub(ROWS) + frame.left_out;
        @if more > 0 { p.quiet { (more) " more rows are not shown" } }
        @if frame.columns.len() > COLUMNS { p.quiet { (frame.columns.len() - COLUMNS) " more columns are not shown" } }
    }
}

fn cell(chart: &Chart, frame: &Frame, column: &str, cell: Option<&Cell>) -> Markup {
    let field = frame.field(chart.panel, column);
    match cell {
        None => html! { td.quiet { (field.no_value().unwrap_or("-")) } },
        Some(Cell::Text(text)) => {
            let mapped = field.mapped_text(text).unwrap_or_default();
            let colour = mapped.colour.map(|colour| format!("color:{colour}"));
            html! { td style=[colour] { (mapped.text.as_deref().unwrap_or(text)) } }
        }
        Some(Cell::Number(value)) => {
            // As Grafana: a cell has a colour only if the board asks for it.
            let is_coloured = field.custom("cellOptions")["type"]
                .as_str()
                .is_some_and(|kind| kind.starts_with("color-"));
            let colour = field
                .colour(*value)
                .filter(|_| is_coloured)
                .map(|colour| format!("color:{colour};font-weight:600"));
            html! { td.number style=[colour] { (field.text(*value)) } }
        }
    }
}
