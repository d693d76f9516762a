//! Asks Prometheus for everything that a page shows.

use std::time::Duration;

use futures::future::try_join_all;
use url::Url;

use super::view::{Answer, BoardView, EventView, PanelView, Preview, Reason};
use crate::{
    boards::{
        folder::BoardFile,
        live::{Outcome, Verdict},
        model::{Annotation, Board, Panel, Target},
        queries::{Destination, Origin, destination, source_of},
        server::{Server, or_wrong},
        variables::{Scope, Selection, Times, interval},
    },
    exit::Refusal,
    prometheus::Range,
};

/// Points of a series: as many as can be told apart in a panel of half a screen's width.
const POINTS: f64 = 240.0;
/// Values of a variable that are named.
const NAMED: usize = 8;

/// What a page is made of, and where its data comes from.
pub(crate) struct Request<'a> {
    /// The folder or file that the boards were read from, for people.
    pub(crate) source: String,
    /// The address of the server.
    pub(crate) address: &'a Url,
    /// The boards with what is chosen for their variables.
    pub(crate) boards: &'a [(&'a BoardFile, Scope)],
    /// The server with the range.
    pub(crate) server: &'a Server,
    /// Between two scrapes.
    pub(crate) scrape_interval: Duration,
    /// The moment of the request, in Unix seconds.
    pub(crate) now: f64,
    /// What the check saw, which knows why a query has no data.
    pub(crate) outcomes: &'a [Outcome<'a>],
}

/// The data of the page. A server that goes away ends it; a query that it refuses is a part of the page.
pub(crate) async fn gather(request: &Request<'_>) -> Result<Preview, Refusal> {
    let times = times(request, None, request.server.range().0);
    let mut boards = Vec::with_capacity(request.boards.len());
    for (file, scope) in request.boards {
        boards.push(board(request, file, scope, times).await?);
    }
    Ok(Preview {
        source: request.source.clone(),
        server: without_secrets(request.address),
        range: range(times),
        made_at: request.now,
        boards,
    })
}

/// A page is passed on: neither user and password nor a token in the query belong into it.
fn without_secrets(address: &Url) -> String {
    let mut shown = address.clone();
    // Only addresses without a host refuse, and those have no user.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}

async fn board(
    request: &Request<'_>,
    file: &BoardFile,
    scope: &Scope,
    times: Times,
) -> Result<BoardView, Refusal> {
    let board = &file.board;
    let panels = board
        .leaf_panels()
        .into_iter()
        .map(|one| panel(request, file, one, scope));
    let events = board
        .annotations
        .list
        .iter()
        .filter(|one| is_asked(one, board))
        .map(|one| event(request, one, scope, times));
    Ok(BoardView {
        file: file.file.clone(),
        board: board.clone(),
        variables: variables(board, scope),
        events: try_join_all(events).await?,
        panels: try_join_all(panels).await?,
    })
}

/// Steps from the end backwards, so that the newest value is one of them.
fn times(request: &Request, least: Option<Duration>, from: f64) -> Times {
    let to = request.server.range().1;
    let times = Times::of_panel((from, to), POINTS, least, request.scrape_interval);
    let step = times.interval.as_secs_f64().max(1e-3);
    Times {
        from: to - ((to - from) / step).floor() * step,
        ..times
    }
}

fn range(times: Times) -> Range {
    Range {
        from: times.from,
        to: times.to,
        step: times.interval.as_secs_f64().max(1e-3),
    }
}

async fn panel(
    request: &Request<'_>,
    file: &BoardFile,
    panel: &Panel,
    scope: &Scope,
) -> Result<PanelView, Refusal> {
    // A panel has one time axis, so the longest of its queries' steps.
    let least = panel
        .targets
        .iter()
        .filter_map(|target| target.interval.as_deref())
        .chain(panel.interval.as_deref())
        .filter_map(|text| interval(&scope.query(text).text))
        .max();
    let (from, to) = request.server.range();
    let from = panel
        .time_from
        .as_deref()
        .and_then(interval)
        .map_or(from, |length| to - length.as_secs_f64());
    let scope = scope.at(times(request, least, from));
    let mut view = PanelView {
        title: scope.title(&panel.title).text,
        range: range(scope.times),
        answers: Vec::new(),
        not_asked: Vec::new(),
    };
    for (place, target) in panel
        .targets
        .iter()
        .enumerate()
        .filter(|(_, target)| !target.hide)
    {
        match not_asked(panel, target, &file.board) {
            Some(sentence) => view.not_asked.push(sentence),
            None => view
                .answers
                .push(answer(request, panel, place, &scope).await?),
        }
    }
    Ok(view)
}

/// Why a query can't be asked here.
fn not_asked(panel: &Panel, target: &Target, board: &Board) -> Option<String> {
    let query = &target.ref_id;
    match destination(source_of(panel, target), board) {
        Destination::Prometheus { .. } if target.expr.trim().is_empty() => {
            Some(format!("Query {query} is empty."))
        }
        Destination::Prometheus { .. } => None,
        Destination::Other(kind) => Some(format!("Not asked: query {query} goes to {kind}.")),
        Destination::Grafana => Some(format!("Not asked: query {query} is computed by Grafana.")),
    }
}

async fn answer(
    request: &Request<'_>,
    panel: &Panel,
    place: usize,
    scope: &Scope,
) -> Result<Answer, Refusal> {
    let target = &panel.targets[place];
    let query = scope.query(&target.expr).text;
    let asked = request
        .server
        .ask(&query, &scope.times, target.is_instant())
        .await;
    Ok(Answer {
        target: place,
        query,
        result: or_wrong(asked)?,
        reason: reason(request.outcomes, target),
    })
}

/// Why the check found no data. Its boards are those of the request, so a target is recognised by its place in memory.
fn reason(outcomes: &[Outcome], target: &Target) -> Option<Reason> {
    let is_of_target = |outcome: &&Outcome| match outcome.query.origin {
        Origin::Panel(_, asked) => std::ptr::eq(asked, target),
        Origin::Annotation(_) => false,
    };
    match &outcomes.iter().find(is_of_target)?.verdict {
        Verdict::Empty(why) => Some(Reason::Found(why.clone())),
        Verdict::EmptyAsExpected(why) => Some(Reason::Expected(why.clone())),
        _ => None,
    }
}

/// Whether an annotation is drawn when the board opens.
fn is_asked(annotation: &Annotation, board: &Board) -> bool {
    annotation.enable != Some(false)
        && !annotation.query().trim().is_empty()
        && matches!(
            destination(annotation.datasource.as_ref(), board),
            Destination::Prometheus { .. }
        )
}

async fn event(
    request: &Request<'_>,
    annotation: &Annotation,
    scope: &Scope,
    times: Times,
) -> Result<EventView, Refusal> {
    let query = scope.at(times).query(annotation.query()).text;
    let asked = request.server.ask(&query, &times, false).await;
    Ok(EventView {
        name: annotation.name.clone(),
        colour: annotation.icon_color.clone(),
        title: annotation.title_format.clone(),
        result: or_wrong(asked)?,
    })
}

/// What is chosen, for people.
fn variables(board: &Board, scope: &Scope) -> Vec<(String, String)> {
    board
        .templating
        .list
        .iter()
        .filter(|variable| variable.kind != "datasource")
        .filter_map(|variable| {
            let label = variable.label.as_deref().filter(|label| !label.is_empty());
            let chosen = match scope.selection(&variable.name)? {
                Selection::One(value) => value.clone(),
                Selection::AllAs(pattern) => format!("All ({pattern})"),
                Selection::Many(values) => named(values),
            };
            Some((label.unwrap_or(&variable.name).to_owned(), chosen))
        })
        .collect()
}

fn named(values: &[String]) -> String {
    let shown = values[..values.len().min(NAMED)].join(", ");
    match values.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_password_nor_token_is_on_the_page() {
        let address = "http://user:secret@prometheus:9090/base?token=secret#x"
            .parse()
            .unwrap();
        assert_eq!(without_secrets(&address), "http://prometheus:9090/base");
    }
}
