//! The server that boards are proven against: its questions, bounded, and each asked once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};

use super::variables::Times;
use crate::exit::Refusal;
use crate::prometheus::{Failure, Labels, Prometheus, Range, Series};
use crate::promql::types::Types;

/// Questions that are under way at the same time. A Prometheus evaluates 20 queries at once for everybody.
const CONCURRENCY: usize = 4;
/// Steps of a range query at most: Prometheus refuses more than 11,000.
const MAX_STEPS: f64 = 10_000.0;

/// The scrapes of each target in the last minutes of the range.
const RECENT_SCRAPES: &str = "up[3m]";

/// A server and a range of time, with what was asked already.
pub struct Server {
    prometheus: Prometheus,
    from: f64,
    to: f64,
    permits: Semaphore,
    metrics: BTreeSet<String>,
    types: Types,
    series: Mutex<BTreeMap<String, Arc<Vec<Labels>>>>,
}

impl Server {
    /// Asks the server what it knows. Range in Unix seconds.
    pub async fn connect(prometheus: Prometheus, from: f64, to: f64) -> Result<Self, Refusal> {
        let names = prometheus.label_values("__name__", None, from, to).await;
        let metrics: BTreeSet<String> = names.map_err(unavailable)?.into_iter().collect();
        if metrics.is_empty() {
            return Err(Refusal::unavailable(
                "the server has no series in the range that is asked for, so nothing can be proven; wait until it has scraped, or give another --range",
            ));
        }
        let metadata = prometheus.metadata().await.map_err(unavailable)?;
        Ok(Self {
            prometheus,
            from,
            to,
            permits: Semaphore::new(CONCURRENCY),
            metrics,
            types: Types::of_metadata(&metadata),
            series: Mutex::new(BTreeMap::new()),
        })
    }

    /// The range in Unix seconds.
    pub fn range(&self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// The names of all series in the range.
    pub fn metrics(&self) -> &BTreeSet<String> {
        &self.metrics
    }

    /// What is known of metrics.
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// The scrape intervals that are in use, with a job that uses each. Of data that nobody scrapes any more, the distance
    /// of samples tells.
    pub async fn scrape_intervals(&self) -> Result<BTreeMap<Duration, String>, Refusal> {
        let scraped = self.prometheus.scrape_intervals().await;
        let scraped = scraped.map_err(unavailable)?;
        if !scraped.is_empty() {
            return Ok(scraped);
        }
        let recorded = or_wrong(self.at(RECENT_SCRAPES, self.to).await)?.unwrap_or_default();
        Ok(recorded.iter().filter_map(distance).collect())
    }

    /// The result of a query of a panel: over the range, or at its end.
    pub async fn ask(
        &self,
        expression: &str,
        times: &Times,
        instant: bool,
    ) -> Result<Vec<Series>, Failure> {
        let _permit = self.permit().await;
        if instant {
            return self.prometheus.query(expression, times.to).await;
        }
        let least = (times.to - times.from) / MAX_STEPS;
        let range = Range {
            from: times.from,
            to: times.to,
            step: times.interval.as_secs_f64().max(least).max(0.001),
        };
        self.prometheus.query_range(expression, range).await
    }

    /// The result of an expression at a moment (Unix seconds).
    pub async fn at(&self, expression: &str, moment: f64) -> Result<Vec<Series>, Failure> {
        let _permit = self.permit().await;
        self.prometheus.query(expression, moment).await
    }

    /// How many exemplars the series in an expression have in the range.
    pub async fn exemplars(&self, expression: &str) -> Result<usize, Failure> {
        let _permit = self.permit().await;
        let (from, to) = self.range();
        self.prometheus.exemplars(expression, from, to).await
    }

    /// The series that a selector matches in the range.
    pub async fn series(&self, selector: &str) -> Result<Arc<Vec<Labels>>, Failure> {
        if let Some(known) = self.series.lock().await.get(selector) {
            return Ok(known.clone());
        }
        let _permit = self.permit().await;
        let found = self.prometheus.series(selector, self.from, self.to).await?;
        let found = Arc::new(found);
        let mut known = self.series.lock().await;
        known.insert(selector.to_owned(), found.clone());
        Ok(found)
    }

    /// The values of a label.
    pub async fn label_values(
        &self,
        label: &str,
        selector: Option<&str>,
    ) -> Result<Vec<String>, Failure> {
        let _permit = self.permit().await;
        let (from, to) = self.range();
        self.prometheus
            .label_values(label, selector, from, to)
            .await
    }

    /// The names of labels.
    pub async fn label_names(&self, selector: Option<&str>) -> Result<Vec<String>, Failure> {
        let _permit = self.permit().await;
        let (from, to) = self.range();
        self.prometheus.label_names(selector, from, to).await
    }

    /// Series and values at the end of the range, as Grafana writes them for a variable.
    pub async fn result_as_text(&self, expression: &str) -> Result<Vec<String>, Failure> {
        let found = self.at(expression, self.to).await?;
        let text = |series: Series| {
            let mut text = text_of(&series.labels);
            for (at, value) in series.samples {
                let _ = write!(text, " {value} {:.0}", at * 1000.0);
            }
            text
        };
        Ok(found.into_iter().map(text).collect())
    }

    /// Series as Grafana writes them for a variable.
    pub async fn series_as_text(&self, selector: &str) -> Result<Vec<String>, Failure> {
        let found = self.series(selector).await?;
        Ok(found.iter().map(text_of).collect())
    }

    async fn permit(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        // Never closed.
        self.permits.acquire().await.ok()
    }
}

/// Separates what ends the proof (the server is away) from what is wrong with a query: the server's sentence.
pub fn or_wrong<T>(answer: Result<T, Failure>) -> Result<Result<T, String>, Refusal> {
    match answer {
        Ok(found) => Ok(Ok(found)),
        Err(Failure::Refused(sentence)) => Ok(Err(sentence)),
        Err(failure) => Err(unavailable(failure)),
    }
}

fn unavailable(failure: Failure) -> Refusal {
    match failure {
        Failure::Unavailable(sentence) => Refusal::unavailable(sentence),
        Failure::Refused(sentence) => {
            Refusal::unavailable(format!("Prometheus refused a question: {sentence}"))
        }
    }
}

/// The middle distance of the samples of a target, in whole seconds, with its job. Too few samples tell nothing.
fn distance(series: &Series) -> Option<(Duration, String)> {
    let pairs = series.samples.windows(2);
    let mut distances: Vec<f64> = pairs.map(|pair| pair[1].0 - pair[0].0).collect();
    distances.sort_by(f64::total_cmp);
    let middle = distances.get(distances.len() / 2)?.round();
    let job = series.labels.get("job")?.clone();
    Some((Duration::try_from_secs_f64(middle).ok()?, job))
}

/// `name{label="value"}`.
fn text_of(labels: &Labels) -> String {
    let name = labels.get("__name__").map_or("", String::as_str);
    let pairs: Vec<_> = labels
        .iter()
        .filter(|(label, _)| *label != "__name__")
        .map(|(label, value)| format!("{label}={value:?}"))
        .collect();
    format!("{name}{{{}}}", pairs.join(","))
}
