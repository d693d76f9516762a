//! The legend: a table of the series with their figures, which also says in text what a plot shows.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::{
    line::{Line, time_of},
    reduction::Reduction,
    unit,
};
use crate::prometheus::Range;

/// Series listed at first sight; the rest unfolds.
const AT_SIGHT: usize = 8;
/// Series named in a description.
const DESCRIBED: usize = 8;
/// Figures that every legend has, with their headings.
const FIGURES: [(Reduction, &str); 3] = [
    (Reduction::Min, "min"),
    (Reduction::Max, "max"),
    (Reduction::LastNotNull, "last"),
];

/// A series with its place in the drawing.
pub(super) struct Entry<'a> {
    /// The series.
    pub(super) line: &'a Line<'a>,
    /// Its colour as CSS.
    pub(super) colour: String,
    /// Its dashes, from 0 to 3.
    pub(super) dash: usize,
    /// The drawing's scale is not the one at the edges.
    pub(super) own_scale: bool,
}

/// The table. `more` are figures that the board wants beyond those that every legend has.
pub(super) fn legend(entries: &[Entry], more: &[Reduction], range: Range) -> Markup {
    let is_more =
        |one: &Reduction| *one != Reduction::Last && FIGURES.iter().all(|(known, _)| known != one);
    let more: Vec<Reduction> = more.iter().copied().filter(is_more).collect();
    let entries = by_interest(entries);
    let (first, rest) = entries.split_at(entries.len().min(AT_SIGHT));
    html! {
        (table(first, &more, range, true))
        @if !rest.is_empty() {
            details.rest {
                summary { (rest.len()) " more series" }
                (table(rest, &more, range, false))
            }
        }
    }
}

/// The order of the board, but if not all are seen at sight, those that are never other than 0 come last.
fn by_interest<'a>(entries: &'a [Entry<'a>]) -> Vec<&'a Entry<'a>> {
    let is_flat = |entry: &&Entry| {
        let mut values = entry.line.values.iter().flatten();
        entries.len() > AT_SIGHT && values.all(|value| *value == 0.0 || value.is_nan())
    };
    let (flat, lively): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(is_flat);
    lively.into_iter().chain(flat).collect()
}

fn table(entries: &[&Entry], more: &[Reduction], range: Range, with_head: bool) -> Markup {
    html! {
        table.legend {
            thead.hidden[!with_head] {
                tr {
                    th scope="col" { span.hidden { "Series" } }
                    @for one in more { th scope="col" { (one.heading()) } }
                    @for (_, heading) in FIGURES { th scope="col" { (heading) } }
                }
            }
            tbody { @for entry in entries { (row(entry, more, range)) } }
        }
    }
}

fn row(entry: &Entry, more: &[Reduction], range: Range) -> Markup {
    let line = entry.line;
    let figure = |one: Reduction| {
        line.figure(one)
            .map_or_else(|| "-".to_owned(), |value| line.field.text(value))
    };
    html! {
        tr {
            th scope="row" {
                i class=(format!("key d{}", entry.dash)) style=(format!("--c:{}", entry.colour)) {}
                (line.name)
                @if entry.own_scale { " " span.quiet { "(scale of its own)" } }
                @if let Some(step) = line.ended() { " " span.ended { "ended " (unit::date(time_of(range, step), "%H:%M:%S")) } }
            }
            @for one in more { td { (figure(*one)) } }
            @for (one, _) in FIGURES { td { (figure(one)) } }
        }
    }
}

/// The drawing in words: what, in which unit, and the figures of each series.
pub(super) fn described(title: &str, kind: &str, lines: &[Line]) -> String {
    let units: BTreeSet<&str> = lines
        .iter()
        .map(|line| unit::name(&line.field.unit))
        .collect();
    let units: Vec<&str> = units.into_iter().collect();
    let mut text = format!(
        "{title}: {kind} in {}, {} series.",
        units.join(" and "),
        lines.len()
    );
    for line in lines.iter().take(DESCRIBED) {
        let [min, max, last] = FIGURES.map(|(one, _)| {
            let value = line.figure(one);
            value.map_or_else(|| "none".to_owned(), |value| line.field.text(value))
        });
        // Writing to a string does not fail.
        let _ = write!(text, " {}: last {last}, min {min}, max {max}.", line.name);
    }
    if lines.len() > DESCRIBED {
        text.push_str(" The legend lists the others.");
    }
    text
}
