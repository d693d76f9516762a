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
/// A move must be so many times what the series would have moved without the cause, so that a drift whose pace varies is none.
const ABOVE_DRIFT: f64 = 1.5;

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
    let middle = f64::midpoint(moments.control, moments.injecting);
    // So many halves of the control time the cause has lasted: a drift goes so much further.
    let halves = (now - moments.injecting) / (moments.injecting - middle).max(STEP);
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
        let control = Control {
            first: values(prometheus, &asked, (moments.control, middle)).await?,
            second: values(prometheus, &asked, (middle, moments.injecting)).await?,
        };
        let under = values(prometheus, &asked, (moments.injected, now)).await?;
        let late = f64::midpoint(moments.injected, now);
        let found = match of_series(&control, &under, halves) {
            Some(found) => Some(found),
            None => ended(&control, &values(prometheus, &asked, (late, now)).await?),
        };
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
        (None, None) => Err(
            "none of its series moved more under the cause than within the control time".to_owned(),
        ),
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

/// What a query returned in the control time, in halves: what moves from one to the other moves without a cause.
struct Control {
    first: Values,
    second: Values,
}

impl Control {
    /// How far the series would have moved by itself in so many halves of the control time; one that is new, how far those were
    /// that became new by themselves.
    fn drift(&self, labels: &Labels, halves: f64) -> f64 {
        let by = |labels: &Labels| {
            move_of(of(&self.first, labels), of(&self.second, labels)).map_or(0.0, |found| found.by)
        };
        if self.all(labels).is_empty() {
            let appeared = self.second.keys();
            let appeared = appeared.filter(|labels| of(&self.first, labels).is_empty());
            return appeared.map(by).fold(0.0, f64::max);
        }
        by(labels) * halves.max(1.0) * ABOVE_DRIFT
    }

    /// Both halves of a series.
    fn all(&self, labels: &Labels) -> Vec<f64> {
        [of(&self.first, labels), of(&self.second, labels)].concat()
    }
}

fn of<'v>(values: &'v Values, labels: &Labels) -> &'v [f64] {
    values.get(labels).map(Vec::as_slice).unwrap_or_default()
}

/// A series that moved.
struct Move {
    /// How much, by what is usual.
    score: f64,
    text: String,
}

/// The series that moved most: outside what it was before by half its width and by a tenth of its mean, and more than it had by
/// itself in the control time, drawn out over the time under the cause. One that ended is no move: single series end for other
/// reasons.
fn of_series(control: &Control, under: &Values, halves: f64) -> Option<Move> {
    let moves = under.iter().filter_map(|(labels, under)| {
        let found = move_of(&control.all(labels), under)?;
        if found.by <= control.drift(labels, halves) {
            return None;
        }
        let text = format!("{} {} → {}", name(labels), found.from, found.to)
            .trim_start()
            .to_owned();
        Some(Move {
            score: found.score,
            text,
        })
    });
    moves.max_by(|one, other| one.score.total_cmp(&other.score))
}

/// Every series of the query ended, which had values in both halves of the control time: the panel is empty.
fn ended(control: &Control, late: &Values) -> Option<Move> {
    let any = |values: &Values| values.values().any(|values| !values.is_empty());
    (any(&control.first) && any(&control.second) && !any(late)).then(|| Move {
        // Less than any move of a value.
        score: 0.0,
        text: "values → no value of any series".to_owned(),
    })
}

/// How the values of one series moved.
struct Distance {
    /// How far, in the unit of the query.
    by: f64,
    /// How far, by what is usual.
    score: f64,
    from: String,
    to: String,
}

fn move_of(before: &[f64], under: &[f64]) -> Option<Distance> {
    let Some(mean) = mean(before) else {
        let greatest = under
            .iter()
            .copied()
            .max_by(|one, other| one.abs().total_cmp(&other.abs()))?;
        return (greatest != 0.0).then(|| Distance {
            by: greatest.abs(),
            score: 1.0,
            from: "no value".to_owned(),
            to: number(greatest),
        });
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
    let by = outside(farthest);
    let usual = ((high - low) / 2.0).max(LEAST * mean.abs()).max(1e-9);
    (by > usual).then(|| Distance {
        by,
        score: by / usual,
        from: number(mean),
        to: number(farthest),
    })
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

    fn series(all: &[(&str, &[f64])]) -> Values {
        let named = |name: &str| Labels::from([("route".to_owned(), name.to_owned())]);
        all.iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(name, values)| (named(name), values.to_vec()))
            .collect()
    }

    /// With a control time that was the same in both halves.
    fn moved(before: &[f64], under: &[f64]) -> Option<String> {
        let control = Control {
            first: series(&[("/a", before)]),
            second: series(&[("/a", before)]),
        };
        of_series(&control, &series(&[("/a", under)]), 1.0).map(|found| found.text)
    }

    #[test]
    fn a_panel_moved_when_a_series_left_what_it_was() {
        for (before, under, text) in [
            (&[1.0, 1.0][..], &[1.0, 5.0][..], "route=/a 1 → 5"),
            (&[0.9, 1.1], &[0.1], "route=/a 1 → 0.1"),
            (&[], &[0.0, 3.0], "route=/a no value → 3"),
            (&[1.0], &[0.0], "route=/a 1 → 0"),
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
            // It ended.
            (&[2.0], &[]),
        ] {
            assert_eq!(moved(before, under), None);
        }
    }

    #[test]
    fn a_panel_that_is_empty_moved_and_one_without_a_series_did_not() {
        let both = series(&[("/a", &[1.0]), ("/b", &[2.0])]);
        let control = |first: &Values, second: &Values| Control {
            first: first.clone(),
            second: second.clone(),
        };
        let none = series(&[]);
        assert!(ended(&control(&both, &both), &none).is_some());
        assert!(ended(&control(&both, &both), &series(&[("/b", &[2.0])])).is_none());
        // It was empty without a cause.
        assert!(ended(&control(&both, &none), &none).is_none());
    }

    #[test]
    fn what_moves_by_itself_must_move_more_under_the_cause() {
        let control = Control {
            first: series(&[("/drifts", &[1.0, 2.0, 3.0, 4.0])]),
            second: series(&[("/drifts", &[5.0, 6.0, 7.0, 8.0]), ("/appears", &[2.0])]),
        };
        for (name, under, moves) in [
            // Twice as long at the same pace: 8 further.
            ("/drifts", &[9.0, 12.0, 16.0][..], false),
            ("/drifts", &[9.0, 12.0, 100.0], true),
            // Another one appeared without a cause.
            ("/new", &[2.0], false),
            ("/new", &[9.0], true),
        ] {
            let found = of_series(&control, &series(&[(name, under)]), 2.0);
            assert_eq!(found.is_some(), moves, "{name} {under:?}");
        }
    }
}
