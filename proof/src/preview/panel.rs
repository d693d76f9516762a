//! One panel: its head, what is drawn, and what could not be.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{
    axis::is_drawable,
    chart::Chart,
    event::Events,
    figure, heatmap,
    layout::Placed,
    line::lines,
    states, table,
    text::{self, Uids},
    timeseries, unit,
    view::{Answer, PanelView, Reason},
};
use crate::boards::model::{Panel, Target};

/// Series of a panel that are drawn.
const SERIES: usize = 40;
/// Buckets of a heatmap.
const BUCKETS: usize = 200;
/// The kinds of panels that are drawn from queries.
const KINDS: [&str; 7] = [
    "timeseries",
    "stat",
    "gauge",
    "bargauge",
    "heatmap",
    "table",
    "state-timeline",
];

/// How a panel came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Every query has data.
    Drawn,
    /// A query has data, another has none.
    Partly,
    /// No query has data.
    Empty,
    /// The queries without data are expected to have none now.
    Expected,
    /// A query was refused, or not asked.
    Failed,
    /// Its kind is not known here.
    NotDrawn,
}

impl State {
    /// For people.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Drawn => "data",
            Self::Partly => "a query without data",
            Self::Empty => "no data",
            Self::Expected => "no data, as expected",
            Self::Failed => "error",
            Self::NotDrawn => "not drawn",
        }
    }
}

/// How the panel came out.
pub(super) fn state(panel: &Panel, view: &PanelView) -> State {
    if panel.kind == "text" {
        return State::Drawn;
    }
    if !KINDS.contains(&panel.kind.as_str()) || panel.library_panel.is_some() {
        return State::NotDrawn;
    }
    if !view.not_asked.is_empty() || view.answers.iter().any(|answer| answer.result.is_err()) {
        return State::Failed;
    }
    let (live, empty): (Vec<&Answer>, Vec<&Answer>) =
        view.answers.iter().partition(|answer| has_data(answer));
    let is_expected = empty
        .iter()
        .all(|answer| matches!(answer.reason, Some(Reason::Expected(_))));
    match (live.is_empty(), is_expected) {
        (false, true) => State::Drawn,
        (false, false) => State::Partly,
        (true, true) if !empty.is_empty() => State::Expected,
        (true, _) => State::Empty,
    }
}

/// Whether a query returned a number.
fn has_data(answer: &Answer) -> bool {
    answer.result.as_ref().is_ok_and(|series| {
        series
            .iter()
            .any(|one| one.samples.iter().any(|(_, value)| !value.is_nan()))
    })
}

/// The panel in its place.
pub(super) fn markup(placed: &Placed, view: &PanelView, events: &[Events], uids: &Uids) -> Markup {
    let (panel, place) = (placed.panel, placed.place);
    let style = format!(
        "--x:{};--y:{};--w:{};--h:{}",
        place.x + 1,
        place.y + 1,
        place.w,
        place.h
    );
    let size = if place.w <= 6 { "small" } else { "large" };
    let (drawing, notes) = body(panel, view, events, uids);
    html! {
        article class=(format!("panel {size} is-{}", class(&panel.kind))) style=(style) {
            @if !view.title.is_empty() || panel.kind != "text" {
                div.head {
                    h4 { (title(panel, view)) }
                    (about(panel, view, uids))
                }
            }
            div.body { (drawing) }
            @if !notes.is_empty() { ul.notes { @for note in &notes { li { (note) } } } }
        }
    }
}

/// The kind as a class, if it is one that is drawn.
fn class(kind: &str) -> &str {
    if kind == "text" || KINDS.contains(&kind) {
        kind
    } else {
        "other"
    }
}

fn title(panel: &Panel, view: &PanelView) -> String {
    if view.title.trim().is_empty() {
        panel.name()
    } else {
        view.title.clone()
    }
}

/// What the board says of the panel, on demand: description, unit, links, queries.
fn about(panel: &Panel, view: &PanelView, uids: &Uids) -> Markup {
    html! {
        details.about {
            summary aria-label=(format!("About {}", title(panel, view))) { "i" }
            div {
                @if panel.description.trim().is_empty() { p.quiet { "The board has no description of this panel." } }
                @else { (text::markdown(&panel.description, uids)) }
                @if panel.kind != "text" { p.quiet { "Unit: " (unit::name(panel.unit())) ". Kind: " (panel.kind) "." } }
                @for link in &panel.links {
                    p { (text::link(link.url.as_deref().unwrap_or_default(), &link.title, uids)) }
                }
                @for answer in &view.answers {
                    p.query { b { (ref_id(panel, answer)) } " " code { (answer.query) } }
                }
            }
        }
    }
}

fn ref_id<'a>(panel: &'a Panel, answer: &Answer) -> &'a str {
    panel
        .targets
        .get(answer.target)
        .map_or("", |target: &Target| &target.ref_id)
}

/// The drawing, and notes on what is missing in it.
fn body(panel: &Panel, view: &PanelView, events: &[Events], uids: &Uids) -> (Markup, Vec<String>) {
    if panel.kind == "text" {
        return (text_panel(panel, uids), Vec::new());
    }
    let mut notes = failures(panel, view);
    if let Some(library) = &panel.library_panel {
        let sentence = format!(
            "Not drawn: the panel \u{201c}{}\u{201d} of Grafana's library is not in the file.",
            library.name
        );
        return (html! { p.none { (sentence) } }, notes);
    }
    if !KINDS.contains(&panel.kind.as_str()) {
        return (html! { p.none { "Not drawn: " (panel.kind) } }, notes);
    }
    if !view.answers.iter().any(has_data) {
        return (without_data(panel, view), notes);
    }
    let most = if panel.kind == "heatmap" {
        BUCKETS
    } else {
        SERIES
    };
    let (lines, left_out) = lines(panel, &view.answers, view.range, most);
    let chart = Chart {
        panel,
        title: title(panel, view),
        range: view.range,
        lines,
        events,
    };
    let mut unapplied: Vec<String> = panel
        .transformations
        .iter()
        .filter(|step| !step.disabled && panel.kind != "table")
        .map(|step| step.id.clone())
        .collect();
    let drawing = match panel.kind.as_str() {
        "timeseries" => timeseries::timeseries(&chart),
        "stat" => figure::stat(&chart),
        "gauge" => figure::gauge(&chart),
        "bargauge" => figure::bargauge(&chart),
        "heatmap" => heatmap::heatmap(&chart),
        "state-timeline" => states::states(&chart),
        _ => {
            let (drawing, unknown) = table::table(&chart, &view.answers);
            unapplied = unknown;
            drawing
        }
    };
    if left_out > 0 && panel.kind != "table" {
        notes.push(format!("{left_out} more series are not drawn."));
    }
    notes.extend(
        unapplied
            .iter()
            .map(|id| format!("Not applied: the transformation {id}.")),
    );
    notes.extend(unlike_grafana(&chart));
    (drawing, notes)
}

/// What Grafana would draw differently.
fn unlike_grafana(chart: &Chart) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(variable) = &chart.panel.repeat {
        notes.push(format!(
            "Grafana repeats this panel for each value of {variable}."
        ));
    }
    if chart
        .lines
        .iter()
        .any(|line| line.field.custom_text("transform") == "negative-Y")
    {
        notes.push("Not applied: the transform negative-Y.".to_owned());
    }
    let infinite = |value: &f64| value.is_infinite() || (value.is_finite() && !is_drawable(*value));
    let is_plotted = matches!(chart.panel.kind.as_str(), "timeseries" | "heatmap");
    if is_plotted
        && chart
            .lines
            .iter()
            .flat_map(|line| line.values.iter().flatten())
            .any(infinite)
    {
        notes.push("Infinite values are gaps.".to_owned());
    }
    notes
}

/// What the server or the check says of queries that are not drawn, in a panel of which something is.
fn failures(panel: &Panel, view: &PanelView) -> Vec<String> {
    let mut notes = view.not_asked.clone();
    let is_live = view.answers.iter().any(has_data);
    for answer in &view.answers {
        let query = ref_id(panel, answer);
        match &answer.result {
            Err(sentence) => notes.push(format!("Error in query {query}: {sentence}")),
            Ok(_) if is_live && !has_data(answer) => {
                notes.push(match &answer.reason {
                    Some(Reason::Found(why)) => format!("No data from query {query}: {why}"),
                    Some(Reason::Expected(why)) => {
                        format!("No data from query {query}, as expected: {why}")
                    }
                    None => format!("No data from query {query}"),
                });
            }
            Ok(_) => {}
        }
    }
    notes
}

/// In place of a drawing: that there is nothing, and why.
fn without_data(panel: &Panel, view: &PanelView) -> Markup {
    let only_nan = view.answers.iter().any(|answer| {
        answer
            .result
            .as_ref()
            .is_ok_and(|series| series.iter().any(|one| !one.samples.is_empty()))
    });
    let word = if view.answers.iter().any(|answer| answer.result.is_err()) {
        "Error"
    } else if state(panel, view) == State::Expected {
        "No data, as expected"
    } else if only_nan {
        "NaN only"
    } else {
        "No data"
    };
    let no_value = panel
        .field_config
        .defaults
        .no_value
        .as_deref()
        .filter(|text| !text.is_empty());
    html! {
        div.none {
            b { (word) }
            @for why in reasons(view) { p { (why) } }
            @if view.answers.is_empty() && view.not_asked.is_empty() { p { "The panel has no query." } }
            @if let Some(text) = no_value { p.quiet { "Grafana shows \u{201c}" (text) "\u{201d} here." } }
        }
    }
}

/// Queries of a panel often have the same reason.
fn reasons(view: &PanelView) -> BTreeSet<&str> {
    let reasons = view
        .answers
        .iter()
        .filter_map(|answer| answer.reason.as_ref());
    reasons
        .map(|(Reason::Found(why) | Reason::Expected(why))| why.as_str())
        .collect()
}

fn text_panel(panel: &Panel, uids: &Uids) -> Markup {
    let content = panel.options["content"].as_str().unwrap_or_default();
    match panel.options["mode"].as_str() {
        None | Some("markdown") => text::markdown(content, uids),
        Some(_) => text::plain(content),
    }
}
