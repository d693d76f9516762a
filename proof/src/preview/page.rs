//! The page: what was drawn from where, the boards one after the other, and a way to see one alone.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    event::{self, Events},
    layout::{Section, sections},
    panel::{self, State},
    text::{Uids, anchor, link, markdown},
    unit,
    view::{BoardView, PanelView, Preview},
};
use crate::boards::model::{Link, Panel};

const STYLE: &str = include_str!("style.css");
/// Bytes after which no further board is drawn: browsers open larger pages only slowly.
const LARGEST: usize = 24 << 20;
/// Nothing is loaded and nothing is run, whatever a board contains.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// Events listed by name.
const LISTED: usize = 12;

/// The whole document.
pub(super) fn page(preview: &Preview) -> Markup {
    let uids: Uids = preview
        .boards
        .iter()
        .map(|view| view.board.uid.clone())
        .collect();
    let mut size = 0;
    let boards: Vec<Markup> = preview
        .boards
        .iter()
        .map(|view| {
            let drawn = (size < LARGEST).then(|| board(view, preview, &uids));
            let markup = drawn.unwrap_or_else(|| left_out(view));
            size += markup.0.len();
            markup
        })
        .collect();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Boards of " (preview.source) }
                style { (PreEscaped(report::TOKENS)) (PreEscaped(STYLE)) }
            }
            body {
                (head(preview))
                main { @for board in &boards { (board) } }
                footer {
                    p { "Drawn from the boards' files by their own queries. Times are UTC. Grafana draws the same data with more detail: "
                        "what this page does not know is named where it is missing." }
                }
            }
        }
    }
}

/// What was drawn, from where, and which boards need a look.
fn head(preview: &Preview) -> Markup {
    let range = preview.range;
    let date = |seconds: f64| unit::date(seconds, "%Y-%m-%d %H:%M:%S");
    html! {
        header id="all" {
            h1 { "Boards of " code { (preview.source) } }
            p.quiet {
                "Drawn from " code { (preview.server) } ", " (date(range.from)) " to " (date(range.to)) " UTC ("
                (unit::text(range.to - range.from, "dtdurations", None)) "), at " (date(preview.made_at)) "."
            }
        }
        nav aria-label="Boards" {
            a href="#all" { "All boards" }
            @for view in &preview.boards {
                a href=(format!("#{}", place(view))) { (name(view)) " " (badges(view)) }
            }
        }
    }
}

/// Where the board stands in the page.
fn place(view: &BoardView) -> String {
    let uid = &view.board.uid;
    anchor(if uid.is_empty() { &view.file } else { uid })
}

/// The board's title.
fn name(view: &BoardView) -> &str {
    if view.board.title.trim().is_empty() {
        &view.file
    } else {
        &view.board.title
    }
}

/// How many panels came out how. A tick stands for a board of which every panel is live or expected to be empty.
fn badges(view: &BoardView) -> Markup {
    let states: Vec<State> = states(view).map(|(_, _, state)| state).collect();
    let count = |wanted: &[State]| states.iter().filter(|state| wanted.contains(state)).count();
    let (failed, empty, other) = (
        count(&[State::Failed]),
        count(&[State::Empty, State::Partly]),
        count(&[State::NotDrawn]),
    );
    let (expected, live) = (count(&[State::Expected]), count(&[State::Drawn]));
    html! {
        @if failed > 0 { span.badge.bad { "✗ " (failed) " error" } }
        @if empty > 0 { span.badge.unknown { "? " (empty) " no data" } }
        @if other > 0 { span.badge.unknown { "– " (other) " not drawn" } }
        @if failed + empty + other == 0 && live > 0 { span.badge.good { "✓ " (live) " live" } }
        @if expected > 0 { span.badge.quiet { "○ " (expected) " empty as expected" } }
    }
}

fn states(view: &BoardView) -> impl Iterator<Item = (&Panel, &PanelView, State)> {
    view.board
        .leaf_panels()
        .into_iter()
        .zip(&view.panels)
        .filter(|(panel, _)| panel.kind != "text")
        .map(|(panel, data)| (panel, data, panel::state(panel, data)))
}

fn left_out(view: &BoardView) -> Markup {
    html! {
        section.board id=(place(view)) {
            h2 { (name(view)) }
            p.none { "Not drawn: the page has reached its limit of " (unit::text(LARGEST as f64, "bytes", None)) ". Give fewer boards." }
        }
    }
}

fn board(view: &BoardView, preview: &Preview, uids: &Uids) -> Markup {
    let board = &view.board;
    let events: Vec<Events> = view
        .events
        .iter()
        .map(|one| event::events(one, preview.range))
        .collect();
    html! {
        section.board id=(place(view)) {
            h2 { (name(view)) " " (badges(view)) }
            @if !board.description.is_empty() { div.description { (markdown(&board.description, uids)) } }
            dl.context {
                div { dt { "file" } dd { (view.file) } }
                @for (name, value) in &view.variables { div { dt { (name) } dd { (value) } } }
                @for events in &events { (annotation(events)) }
            }
            (links(view, uids))
            (attention(view))
            @for section in sections(board) { (section_markup(&section, view, &events, uids)) }
        }
    }
}

/// Links of the board's head that lead somewhere from this page.
fn links(view: &BoardView, uids: &Uids) -> Markup {
    let with_url = |one: &Link| one.url.clone().filter(|url| !url.is_empty());
    let shown: Vec<_> = view
        .board
        .links
        .iter()
        .filter_map(|one| Some((with_url(one)?, &one.title)))
        .collect();
    html! {
        @if !shown.is_empty() {
            p.links { @for (url, title) in shown { span { (link(&url, title, uids)) } } }
        }
    }
}

/// An annotation with its events: the colour alone would say nothing.
fn annotation(events: &Events) -> Markup {
    html! {
        div {
            dt { i.swatch style=(format!("--c:{}", events.colour)) {} (events.name) }
            dd {
                @if let Some(error) = &events.error { span.bad { "Error: " (error) } }
                @else if events.all.is_empty() { "none" }
                @for event in events.all.iter().take(LISTED) { span.event { (event.label) " " span.quiet { (event.time()) } } }
                @let more = events.all.len().saturating_sub(LISTED) + events.left_out;
                @if more > 0 { span.quiet { "and " (more) " more" } }
            }
        }
    }
}

/// The panels that need a look, before all panels.
fn attention(view: &BoardView) -> Markup {
    let all: Vec<_> = states(view)
        .filter(|(_, _, state)| !matches!(state, State::Drawn | State::Expected))
        .collect();
    html! {
        @if !all.is_empty() {
            details.attention {
                summary { (all.len()) " of " (states(view).count()) " panels lack data or are not drawn" }
                ul { @for (panel, data, state) in all { li { (if data.title.is_empty() { panel.name() } else { data.title.clone() }) ": " (state.word()) } } }
            }
        }
    }
}

fn section_markup(section: &Section, view: &BoardView, events: &[Events], uids: &Uids) -> Markup {
    html! {
        @if let Some(title) = section.title {
            h3 { (title) @if section.is_collapsed { " " span.quiet { "(collapsed in Grafana)" } } }
        }
        div.grid {
            @for placed in &section.panels {
                @if let Some(data) = view.panels.get(placed.leaf) { (panel::markup(placed, data, events, uids)) }
            }
        }
    }
}
