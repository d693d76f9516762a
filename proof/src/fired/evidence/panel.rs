//! A panel that moves: its queries, as Grafana would ask them, over the control time and under the cause.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::causes::Panel;
use super::super::clock;
use super::super::rig::Rig;
use super::super::scale::expression;
use super::super::scale::length::Scale;
use super::Moments;
use super::promise::number;
use crate::boards::folder::{BoardFile, Folder};
use crate::boards::queries::{self, Query};
use crate::boards::server::Server;
use crate::boards::{choices, variables::Scope};
use crate::prometheus::{Labels, Prometheus, Range};
use crate::promql;

/// Between two points, in seconds: a scrape.
const STEP: f64 = 1.0;
/// The least change that counts, as a share of the mean before.
const LEAST: f64 = 0.1;

/// The panels of this title on this board; the error says why there are none.
pub(crate) fn on_board<'f>(boards: &'f Folder, wanted: &Panel) -> Result<Vec<Query<'f>>, String> {
    let board = board(boards, &wanted.board)?;
    let all = queries::of_board(board);
    let titled = |query: &Query<'_>| {
        query
            .panel()
            .is_some_and(|panel| panel.title.trim() == wanted.panel.trim())
    };
    let found: Vec<Query<'_>> = all.into_iter().filter(titled).collect();
    if found.is_empty() {
        return Err(format!(
            "the board {} has no panel `{}` with a query",
            wanted.board, wanted.panel
        ));
    }
    Ok(found)
}

fn board<'f>(boards: &'f Folder, name: &str) -> Result<&'f BoardFile, String> {
    let named = |board: &&BoardFile| board.board.uid == name || board.name() == name;
    boards
        .boards
        .iter()
        .find(named)
        .ok_or_else(|| format!("there is no board {name}"))
}

/// The greatest move of any series of the panel: values before and under the cause.
pub(super) async fn moved(
    rig: &Rig<'_, '_>,
    boards: &Folder,
    wanted: &Panel,
    scale: Scale,
    moments: Moments,
) -> Result<String, String> {
    let queries = on_board(boards, wanted)?;
    let prometheus = rig
        .prometheus()
        .map_err(|_| "Prometheus does not run".to_owned())?;
    let now = clock::now();
    let server = Server::connect(prometheus.clone(), moments.control, now).await;
    let server = server.map_err(|refusal| refusal.sentence)?;
    // As the data source is told in unscaled time; then everything is scaled with the query.
    let interval = Duration::from_secs_f64(STEP * scale.by());
    let board = board(boards, &wanted.board)?;
    let (scope, _) = choices::of_server(board, &server, interval)
        .await
        .map_err(|refusal| refusal.sentence)?;
    let mut greatest: Option<Move> = None;
    let mut wrong = None;
    for query in queries {
        let asked = match scaled(query, &scope, scale, (moments.control, now), interval) {
            Ok(asked) => asked,
            Err(sentence) => {
                wrong = Some(sentence);
                continue;
            }
        };
        let before = values(prometheus, &asked, (moments.control, moments.injecting)).await?;
        let under = values(prometheus, &asked, (moments.injected, now)).await?;
        let found = of_series(&before, &under);
        if let Some(found) = found.filter(|found| {
            greatest
                .as_ref()
                .is_none_or(|known| known.score < found.score)
        }) {
            greatest = Some(found);
        }
    }
    match (greatest, wrong) {
        (Some(found), _) => Ok(found.text),
        (None, Some(sentence)) => Err(sentence),
        (None, None) => Err("it shows the same before and under the cause".to_owned()),
    }
}

/// The query in scaled time, with what is chosen on the board filled in.
fn scaled(
    query: Query<'_>,
    scope: &Scope,
    scale: Scale,
    (from, to): (f64, f64),
    interval: Duration,
) -> Result<String, String> {
    let range = (to - (to - from) * scale.by(), to);
    let times = query.times(range, scope, interval);
    let filled = scope.at(times).query(query.expr()).text;
    let expr =
        promql::parse(&filled).map_err(|error| format!("`{filled}` can't be parsed: {error}"))?;
    Ok(expression::scaled(&expr, scale, &[])?.text)
}

type Values = BTreeMap<Labels, Vec<f64>>;

/// Every number of every series.
async fn values(
    server: &Prometheus,
    query: &str,
    (from, to): (f64, f64),
) -> Result<Values, String> {
    let range = Range {
        from,
        to: to.max(from),
        step: STEP,
    };
    let found = server
        .query_range(query, range)
        .await
        .map_err(|error| format!("`{query}`: {error}"))?;
    let numbers = |samples: Vec<(f64, f64)>| {
        samples
            .into_iter()
            .map(|(_, value)| value)
            .filter(|value| value.is_finite())
    };
    Ok(found
        .into_iter()
        .map(|series| (series.labels, numbers(series.samples).collect()))
        .collect())
}

/// A series that moved.
struct Move {
    /// How much, by what is usual.
    score: f64,
    text: String,
}

/// The series that moved most: outside what it was before by half its width, and by a tenth of its mean.
fn of_series(before: &Values, under: &Values) -> Option<Move> {
    let moves = under.iter().filter_map(|(labels, under)| {
        let before = before.get(labels).map(Vec::as_slice).unwrap_or_default();
        let (score, from, to) = move_of(before, under)?;
        let text = format!("{} {from} → {to}", name(labels))
            .trim_start()
            .to_owned();
        Some(Move { score, text })
    });
    let gone = before.iter().filter_map(|(labels, values)| {
        let left = under.get(labels).is_some_and(|under| !under.is_empty());
        let mean = mean(values)?;
        // Less than any move of a value: series also go for other reasons.
        (!left).then(|| Move {
            score: 0.0,
            text: format!("{} {} → no value", name(labels), number(mean))
                .trim_start()
                .to_owned(),
        })
    });
    moves
        .chain(gone)
        .max_by(|one, other| one.score.total_cmp(&other.score))
}

fn move_of(before: &[f64], under: &[f64]) -> Option<(f64, String, String)> {
    let Some(mean) = mean(before) else {
        let greatest = under
            .iter()
            .copied()
            .max_by(|one, other| one.abs().total_cmp(&other.abs()))?;
        return (greatest != 0.0).then(|| (1.0, "no value".to_owned(), number(greatest)));
    };
    let (low, high) = before
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
    let outside = |value: f64| (value - high).max(low - value);
    let farthest = under
        .iter()
        .copied()
        .max_by(|one, other| outside(*one).total_cmp(&outside(*other)))?;
    let distance = outside(farthest);
    let usual = ((high - low) / 2.0).max(LEAST * mean.abs()).max(1e-9);
    (distance > usual).then(|| (distance / usual, number(mean), number(farthest)))
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The labels of a series, without the name and what is the same for everything of one target.
fn name(labels: &Labels) -> String {
    let told = labels
        .iter()
        .filter(|(label, _)| !["__name__", "instance", "job"].contains(&label.as_str()));
    let pairs: Vec<String> = told
        .map(|(label, value)| format!("{label}={value}"))
        .collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(before: &[f64], under: &[f64]) -> Option<String> {
        let labels = Labels::from([("route".to_owned(), "/a".to_owned())]);
        let values = |values: &[f64]| -> Values {
            if values.is_empty() {
                Values::new()
            } else {
                Values::from([(labels.clone(), values.to_vec())])
            }
        };
        of_series(&values(before), &values(under)).map(|found| found.text)
    }

    #[test]
    fn a_panel_moved_when_a_series_left_what_it_was() {
        for (before, under, text) in [
            (&[1.0, 1.0][..], &[1.0, 5.0][..], "route=/a 1 → 5"),
            (&[0.9, 1.1], &[0.1], "route=/a 1 → 0.1"),
            (&[], &[0.0, 3.0], "route=/a no value → 3"),
            (&[2.0], &[], "route=/a 2 → no value"),
            (&[0.0, 0.0], &[0.5], "route=/a 0 → 0.5"),
        ] {
            assert_eq!(moved(before, under).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_usual_is_no_move() {
        for (before, under) in [
            (&[1.0, 1.0][..], &[1.0, 1.05][..]),
            (&[0.5, 1.5], &[1.9]),
            (&[0.0], &[0.0]),
            (&[], &[0.0]),
            (&[], &[]),
        ] {
            assert_eq!(moved(before, under), None);
        }
    }
}
