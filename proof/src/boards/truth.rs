//! What panels show, against what a load generator counted and measured.
//!
//! Which panel is compared with which figure is written in the expectations, never guessed from titles. Each panel's query
//! is run with its macros as long as the load's phase, so that the whole phase is in one window.

mod load;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::codes;
use super::expectations::Place;
use super::notes::{Note, found_in};
use super::queries::{Origin, Query};
use super::server::{Server, or_wrong};
use super::units;
use super::variables::{Scope, Times};
use crate::exit::Refusal;
use crate::prometheus::Series;
use crate::promql;

pub use load::{Phase, Truth};

/// How far ratios may be apart: half a point of per cent, beside what a late series is extrapolated less.
const RATIO_TOLERANCE: f64 = 0.005;
/// Buckets that a percentile may be away: the generator measures at its own side of the wire.
const BUCKET_TOLERANCE: usize = 1;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A number of requests; the panel shows it as a rate or an increase.
    Count,
    /// The share of requests that ended in a certain way.
    Ratio,
    /// A percentile of latency.
    Percentile,
}

/// One entry `[[compare]]` of the expectations.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The board: its uid, or the name of its file without `.json`.
    pub board: String,
    /// The panel by its id.
    pub id: Option<i64>,
    /// The panel by its title.
    pub title: Option<String>,
    /// The letter of the query; the first one if left out.
    pub query: Option<String>,
    /// What is compared.
    pub what: What,
    /// The route of the load; all routes if left out.
    pub route: Option<String>,
    /// How the requests ended, as the truth names it; `!ok` is every end but `ok`. Needed for a ratio.
    pub status: Option<String>,
    /// Of a percentile: between 0 and 1.
    pub quantile: Option<f64>,
    /// The phase of the load: `measure` if left out.
    pub phase: Option<String>,
    /// Labels of the series of the result that count. All that fit are added up.
    #[serde(default)]
    pub series: BTreeMap<String, String>,
    /// Of a count: the counter, as an expression, of which the same series count; its rise over the phase must be the count to
    /// the unit.
    pub counter: Option<String>,
}

/// One comparison that was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The file.
    pub file: String,
    /// The panel and query.
    pub subject: String,
    /// What was compared.
    pub what: What,
    /// What the load says: requests, a ratio, or seconds.
    pub truth: f64,
    /// What the panel says, in the same unit.
    pub shown: f64,
    /// How far they may be apart, for a person.
    pub tolerance: String,
    /// Whether they agree.
    pub agrees: bool,
}

/// Compares every entry. The queries are those of all boards, each with what is chosen on its board.
pub async fn compare<'a>(
    comparisons: &[Comparison],
    truth: &Truth,
    queries: &[(Query<'a>, &Scope)],
    server: &Server,
    scrape_interval: Duration,
) -> Result<(Vec<Compared>, Vec<Note<'a>>), Refusal> {
    let mut compared = Vec::new();
    let mut notes = Vec::new();
    for entry in comparisons {
        let place = Place {
            board: Some(&entry.board),
            id: entry.id,
            title: entry.title.as_deref(),
            query: entry.query.as_deref(),
        };
        let meant = queries
            .iter()
            .find(|(query, _)| place.fits(found_in(*query)));
        let Some((query, scope)) = meant else {
            return Err(Refusal::usage(format!(
                "the expectations compare a panel (id {:?}, title {:?}) of the board {}, which has no such query",
                entry.id, entry.title, entry.board
            )));
        };
        let pair = Pair {
            entry,
            truth,
            query: *query,
            scope,
            server,
            scrape_interval,
        };
        match pair.compare().await? {
            Ok(all) => {
                let untrue = all.iter().filter(|one| !one.agrees);
                notes.extend(untrue.map(|one| pair.untrue(one)));
                compared.extend(all);
            }
            Err(reason) => notes.push(Note::of_query(
                *query,
                codes::NOT_COMPARED,
                format!("the panel was not compared with the load: {reason}"),
            )),
        }
    }
    Ok((compared, notes))
}

/// A panel's query and the figure that it must show.
struct Pair<'c, 'a> {
    entry: &'c Comparison,
    truth: &'c Truth,
    query: Query<'a>,
    scope: &'c Scope,
    server: &'c Server,
    scrape_interval: Duration,
}

impl<'a> Pair<'_, 'a> {
    /// What was compared; or why it can't be.
    async fn compare(&self) -> Result<Result<Vec<Compared>, String>, Refusal> {
        let name = self.entry.phase.as_deref().unwrap_or("measure");
        let Some(phase) = self.truth.phases.iter().find(|phase| phase.name == name) else {
            return Ok(Err(format!("the load has no phase `{name}`")));
        };
        let times = self.times(phase);
        if times.to > self.server.range().1 {
            return Ok(Err(format!(
                "the phase ended less than three scrapes ago; ask again in {:.0} s",
                times.to - self.server.range().1
            )));
        }
        let truth = match self.figure(phase) {
            Ok(truth) => truth,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut all = Vec::new();
        match self.shown(&times, phase, truth).await? {
            Ok(shown) => all.push(shown),
            Err(reason) => return Ok(Err(reason)),
        }
        if let (What::Count, Some(counter)) = (self.entry.what, &self.entry.counter) {
            match self.counted(counter, &times, truth).await? {
                Ok(counted) => all.push(counted),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        Ok(Ok(all))
    }

    /// A scrape before the phase and two after it, in one window: `$__rate_interval` and `$__range` are its length.
    fn times(&self, phase: &Phase) -> Times {
        let scrape = self.scrape_interval.as_secs_f64();
        let (from, to) = (phase.from - scrape, phase.to + 2.0 * scrape);
        let interval = Duration::try_from_secs_f64(to - from - scrape).unwrap_or_default();
        Times {
            from,
            to,
            interval,
            scrape_interval: self.scrape_interval,
        }
    }

    /// What the load says.
    fn figure(&self, phase: &Phase) -> Result<f64, String> {
        let route = self.entry.route.as_deref();
        match self.entry.what {
            What::Count => phase
                .count(route, self.entry.status.as_deref())
                .ok_or_else(|| "the load has no such requests".to_owned()),
            What::Ratio => {
                let status = self
                    .entry
                    .status
                    .as_deref()
                    .ok_or("a ratio needs `status`")?;
                let all = phase.count(route, None).filter(|all| *all > 0.0);
                let all = all.ok_or("the load has no such requests")?;
                Ok(phase.count(route, Some(status)).unwrap_or(0.0) / all)
            }
            What::Percentile => {
                let quantile = self.entry.quantile.ok_or("a percentile needs `quantile`")?;
                phase.percentile(route, quantile).ok_or_else(|| {
                    format!("the load has no percentile {quantile}: it needs more samples")
                })
            }
        }
    }

    /// The panel's value, in the unit of the truth.
    async fn shown(
        &self,
        times: &Times,
        phase: &Phase,
        truth: f64,
    ) -> Result<Result<Compared, String>, Refusal> {
        let asked = self.scope.at(*times).query(self.query.expr()).text;
        let value = match self.value(&asked, &self.entry.series, times.to).await? {
            Ok(Some(value)) => value,
            Ok(None) => return Ok(Err(format!("no series of the result fits: {asked}"))),
            Err(reason) => return Ok(Err(reason)),
        };
        // As a reader takes it: by the unit beside the number.
        let (per_second, scale) = units::shown_in(self.unit());
        let mut shown = value / scale;
        if self.entry.what == What::Count {
            // The samples of a window are one scrape less apart than the window is long; Prometheus extrapolates over the
            // rest, in which the load does nothing.
            let range = times.range().as_secs_f64();
            let sampled = range - self.scrape_interval.as_secs_f64();
            shown *= if per_second { sampled } else { sampled / range };
        }
        let (agrees, tolerance) = match self.entry.what {
            What::Count => {
                let length = (phase.to - phase.from).max(1.0);
                // Less than one for a few events: of four, each counts.
                let tolerance = truth * self.scrape_interval.as_secs_f64() / length + 0.5;
                (
                    (shown - truth).abs() <= tolerance,
                    format!("{tolerance:.1} requests"),
                )
            }
            What::Ratio => {
                let tolerance = of_ratio(truth, self.scrape_interval, times.range());
                (
                    (shown - truth).abs() <= tolerance,
                    format!("{tolerance:.3}"),
                )
            }
            What::Percentile => {
                let bounds = match self.bounds(&asked).await? {
                    Ok(bounds) => bounds,
                    Err(reason) => return Ok(Err(reason)),
                };
                let apart = bucket(&bounds, shown).abs_diff(bucket(&bounds, truth));
                (apart <= BUCKET_TOLERANCE, "one bucket".to_owned())
            }
        };
        Ok(Ok(self.compared(truth, shown, agrees, tolerance)))
    }

    /// The rise of the counter, to the unit.
    async fn counted(
        &self,
        counter: &str,
        times: &Times,
        truth: f64,
    ) -> Result<Result<Compared, String>, Refusal> {
        let series = &self.entry.series;
        let (after, before) = (
            self.value(counter, series, times.to).await?,
            self.value(counter, series, times.from).await?,
        );
        let (after, before) = match (after, before) {
            (Ok(Some(after)), Ok(before)) => (after, before.unwrap_or(0.0)),
            (Ok(None), _) => return Ok(Err(format!("no series of {counter} after the load"))),
            (Err(reason), _) | (_, Err(reason)) => return Ok(Err(reason)),
        };
        let shown = after - before;
        let agrees = (shown - truth).abs() < 0.5;
        Ok(Ok(self.compared(truth, shown, agrees, "exact".to_owned())))
    }

    /// The sum of the series that have these labels, at a moment.
    async fn value(
        &self,
        expression: &str,
        labels: &BTreeMap<String, String>,
        at: f64,
    ) -> Result<Result<Option<f64>, String>, Refusal> {
        let found = or_wrong(self.server.at(expression, at).await)?;
        let fits = |series: &&Series| {
            labels
                .iter()
                .all(|(label, value)| series.labels.get(label).map_or("", String::as_str) == value)
        };
        Ok(found.map(|series| {
            let values: Vec<f64> = series
                .iter()
                .filter(fits)
                .flat_map(|series| &series.samples)
                .map(|(_, value)| *value)
                .filter(|value| !value.is_nan())
                .collect();
            (!values.is_empty()).then(|| values.iter().sum())
        }))
    }

    /// The bounds of the buckets from which the panel takes its percentile.
    async fn bounds(&self, asked: &str) -> Result<Result<Vec<f64>, String>, Refusal> {
        let Ok(expr) = promql::parse(asked) else {
            return Ok(Err("the query was not analysed".to_owned()));
        };
        let mut bounds = BTreeSet::new();
        for selector in promql::selectors(&expr) {
            let text = promql::text_of_selector(selector);
            match or_wrong(self.server.series(&text).await)? {
                Ok(series) => {
                    bounds.extend(series.iter().filter_map(|labels| labels.get("le").cloned()));
                }
                Err(sentence) => return Ok(Err(sentence)),
            }
        }
        let mut bounds: Vec<f64> = bounds
            .iter()
            .filter_map(|bound| bound.parse().ok())
            .collect();
        bounds.sort_by(f64::total_cmp);
        if bounds.is_empty() {
            return Ok(Err("the query uses no buckets".to_owned()));
        }
        Ok(Ok(bounds))
    }

    fn unit(&self) -> &str {
        match self.query.origin {
            Origin::Panel(panel, target) => panel.unit_of(target),
            Origin::Annotation(_) => "",
        }
    }

    fn compared(&self, truth: f64, shown: f64, agrees: bool, tolerance: String) -> Compared {
        Compared {
            file: self.query.board.file.clone(),
            subject: self.query.subject(),
            what: self.entry.what,
            truth,
            shown,
            tolerance,
            agrees,
        }
    }

    fn untrue(&self, one: &Compared) -> Note<'a> {
        let sentence = format!(
            "the load says {:.6}, the panel {:.6}; they may be apart by {}",
            one.truth, one.shown, one.tolerance
        );
        Note::of_query(self.query, codes::UNTRUE, sentence)
    }
}

/// How far a ratio may be from the truth. A series that began within the window is extrapolated over up to one scrape less than
/// the others. That is noticed only where it is the small part: the large part has been there from the start.
fn of_ratio(truth: f64, scrape_interval: Duration, window: Duration) -> f64 {
    let small = truth.min(1.0 - truth).max(0.0);
    RATIO_TOLERANCE + small * scrape_interval.as_secs_f64() / window.as_secs_f64().max(1.0)
}

/// The bucket that a value falls into.
fn bucket(bounds: &[f64], value: f64) -> usize {
    bounds.partition_point(|bound| *bound < value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_near_none_or_all_must_be_true_to_half_a_point() {
        let tolerance = |truth| of_ratio(truth, Duration::from_secs(5), Duration::from_mins(1));
        for (truth, expected) in [
            (0.0, 0.005),
            (0.01, 0.0058),
            (0.5, 0.0467),
            (0.99, 0.0058),
            (1.0, 0.005),
            // More of them than of all is a mistake of the load's, and no reason to be lenient.
            (1.2, 0.005),
        ] {
            let found = tolerance(truth);
            assert!((found - expected).abs() < 1e-4, "{truth}: {found}");
        }
    }

    #[test]
    fn a_value_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
        let bounds = [0.1, 0.25, 1.0, f64::INFINITY];
        for (value, expected) in [(0.05, 0), (0.1, 0), (0.11, 1), (0.9, 2), (7.0, 3)] {
            assert_eq!(bucket(&bounds, value), expected, "{value}");
        }
    }
}
