//! Asks Prometheus what an experiment expects of it: the expected alerts once a second, from the warm-up to the end, and the
//! expected results at the end of their phases.
//!
//! Runs beside the session and decides nothing: what it saw is evidence, and where it could not see, that is in the evidence.

mod preflight;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use preflight::{Unasked, ask};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::alerts::{self, Look, Looks};
use crate::clock::now_us;
use crate::context::Context;
use crate::definition::{ExpectedAlert, Experiment, Reading, ReadingPhase};
use crate::evidence::Evidence;
use crate::exit::Refusal;
use crate::phases::{Marks, Span};
use crate::prometheus::{Failure, Prometheus, Selector, Value, Values};

/// Between two looks at the alerts.
const INTERVAL: Duration = Duration::from_secs(1);
/// Looks at most: more than the longest experiment has seconds.
const MAX_LOOKS: usize = 20_000;
/// A target may be scraped as seldom as this: in a shorter stretch there need not be a scrape.
const SELDOM_US: i64 = 60_000_000;

/// What was seen of metrics and alerts.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Why nothing could be asked; `None` where it could, or nothing is expected.
    pub missing: Option<String>,
    /// Looks at the expected alerts.
    pub looks: Looks,
    /// For each expected alert, whether what its rule reads was scraped all the time.
    pub scrapes: Scrapes,
    /// The same of the time in which it should have cleared.
    pub clearing_scrapes: Scrapes,
    /// The expected results, by the place of their expectation in the file.
    pub readings: Readings,
}

/// Whether scrapes succeeded, or which failed, by the place of the expectation in the file.
pub type Scrapes = BTreeMap<usize, Result<(), String>>;

/// Results of expressions, or why there are none.
pub type Readings = BTreeMap<usize, Result<Vec<Value>, String>>;

/// Asks on behalf of one experiment. Dropping it ends the asking.
pub struct Observer {
    asked: Result<Asked, String>,
    looks: Arc<Mutex<Looks>>,
    watch: JoinSet<()>,
}

struct Asked {
    prometheus: Prometheus,
    alerts: Vec<Expected<ExpectedAlert>>,
    readings: Vec<Expected<Reading>>,
}

/// An expectation with what its expressions read, or why that is unknown.
struct Expected<T> {
    index: usize,
    what: T,
    selectors: Result<Vec<Selector>, String>,
}

impl Observer {
    /// Refuses an alert that the server does not have and an expression that it can't evaluate. Without a server, that is the
    /// reason why nothing is measured.
    pub async fn prepare(experiment: &Experiment, context: &Context) -> Result<Self, Refusal> {
        let is_asked = experiment.expected_alerts().next().is_some()
            || experiment.expected_readings().next().is_some();
        let asked = match context.prometheus() {
            _ if !is_asked => Err(String::new()),
            None => Err("no Prometheus".to_owned()),
            Some(prometheus) => match ask(experiment, prometheus).await {
                Ok(asked) => Ok(asked),
                Err(Unasked::Refused(refusal)) => return Err(refusal),
                Err(Unasked::Missing(why)) => Err(format!("no Prometheus: {why}")),
            },
        };
        Ok(Self {
            asked,
            looks: Arc::default(),
            watch: JoinSet::new(),
        })
    }

    /// Begins to look at the expected alerts.
    pub fn watch(&mut self) {
        let Ok(asked) = &self.asked else { return };
        let alerts: Vec<(usize, ExpectedAlert)> = asked
            .alerts
            .iter()
            .map(|expected| (expected.index, expected.what.clone()))
            .collect();
        if !alerts.is_empty() {
            let (prometheus, looks) = (asked.prometheus.clone(), self.looks.clone());
            self.watch.spawn(look_on(prometheus, alerts, looks));
        }
    }

    /// What was seen of the alerts so far.
    pub fn looks(&self) -> Looks {
        self.looks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Why nothing was asked; `None` where it was, or nothing is expected.
    pub fn missing(&self) -> Option<String> {
        self.asked
            .as_ref()
            .err()
            .filter(|why| !why.is_empty())
            .cloned()
    }

    /// Whether each alert that fired and must clear has done so.
    pub fn is_clear(&self, marks: &Marks) -> bool {
        let Ok(asked) = &self.asked else { return true };
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let must_clear = asked
            .alerts
            .iter()
            .filter(|expected| expected.what.clears_within_s.is_some());
        must_clear
            .filter_map(|expected| looks.get(&expected.index))
            .map(|looks| alerts::times(looks, marks))
            .all(|times| times.firing.is_none() || times.cleared.is_some())
    }

    /// The expected results of a phase, at its end.
    pub async fn read(&self, phase: ReadingPhase, span: Span) -> Readings {
        let Ok(asked) = &self.asked else {
            return Readings::new();
        };
        let of_phase = asked
            .readings
            .iter()
            .filter(|expected| expected.what.phase == phase);
        let read = of_phase.map(async |expected| {
            let result = asked.prometheus.query(&expected.what.query, span.to).await;
            let values = match result {
                Ok(Values::Numbers(values)) => Ok(values),
                Ok(Values::Other(what)) => Err(format!("the result is {what}")),
                Err(failure) => Err(failure.sentence()),
            };
            let scraped = asked.scraped(&expected.selectors, span).await;
            (
                expected.index,
                values.and_then(|values| scraped.map(|()| values).map_err(Unscraped::sentence)),
            )
        });
        join_all(read).await.into_iter().collect()
    }

    /// For each expected alert, whether what its rule reads was scraped from the injection until it should have fired.
    pub async fn scrapes(&self, evidence: &Evidence) -> Scrapes {
        let (Ok(asked), Some(injecting), Some(verified)) = (
            &self.asked,
            evidence.marks.injecting,
            evidence.marks.verified,
        ) else {
            return Scrapes::new();
        };
        let read = asked.alerts.iter().map(async |expected| {
            let span = Span {
                from: injecting,
                to: verified + expected.what.within_s as i64 * 1_000_000,
            };
            let scraped = asked.scraped(&expected.selectors, span).await;
            (expected.index, scraped.map_err(Unscraped::sentence))
        });
        join_all(read).await.into_iter().collect()
    }

    /// For each alert that must clear, whether what its rule reads was scraped from the lift until it had cleared, or should
    /// have.
    pub async fn clearing_scrapes(&self, marks: &Marks) -> Scrapes {
        let Ok(asked) = &self.asked else {
            return Scrapes::new();
        };
        let looks = self.looks();
        let of = |expected: &Expected<ExpectedAlert>| {
            let looks = looks.get(&expected.index).map_or(&[][..], Vec::as_slice);
            alerts::clearing(looks, marks, expected.what.clears_within_s?)
        };
        let stretches = asked
            .alerts
            .iter()
            .filter_map(|expected| Some((expected, of(expected)?)));
        let read = stretches.map(async |(expected, span)| {
            let scraped = match asked.scraped(&expected.selectors, span).await {
                Err(Unscraped::Never(_)) if span.to - span.from < SELDOM_US => Ok(()),
                scraped => scraped.map_err(Unscraped::sentence),
            };
            (expected.index, scraped)
        });
        join_all(read).await.into_iter().collect()
    }
}

/// Why it can't be said that everything was scraped: a sentence.
enum Unscraped {
    /// There was no scrape.
    Never(String),
    /// One failed, or nobody knows.
    Failed(String),
}

impl Unscraped {
    fn sentence(self) -> String {
        match self {
            Self::Never(sentence) | Self::Failed(sentence) => sentence,
        }
    }
}

impl Asked {
    /// Whether all targets of these selectors were scraped in all of the stretch.
    async fn scraped(
        &self,
        selectors: &Result<Vec<Selector>, String>,
        span: Span,
    ) -> Result<(), Unscraped> {
        let unknown = |why: &str| {
            let sentence = format!("nobody knows whether scrapes failed meanwhile: {why}");
            Unscraped::Failed(sentence)
        };
        let selectors = selectors.as_ref().map_err(|why| unknown(why))?;
        let length_s = (span.seconds().ceil() as u64).max(1);
        let asked = selectors
            .iter()
            .filter_map(|selector| selector.scrapes(length_s));
        // That one failed is the weightier reason: all are asked.
        let mut all = Ok(());
        for scrapes in asked {
            let values = match self.prometheus.query(&scrapes.query, span.to).await {
                Ok(Values::Numbers(values)) => values,
                Ok(Values::Other(what)) => return Err(unknown(what)),
                Err(failure) => return Err(unknown(&failure.sentence())),
            };
            if let Some(targets) = scrapes.targets.filter(|_| values.is_empty()) {
                let sentence = format!("no target with {targets} was scraped");
                all = Err(Unscraped::Never(sentence));
            }
            // 1 is a scrape that succeeded.
            let failed = values.iter().find(|value| value.value != Some(1.0));
            if let Some(failed) = failed {
                let label = |name: &str| failed.labels.get(name).cloned().unwrap_or_default();
                return Err(Unscraped::Failed(format!(
                    "a scrape of {} at {} failed meanwhile",
                    label("job"),
                    label("instance")
                )));
            }
        }
        all
    }
}

/// Looks until it is dropped.
async fn look_on(
    prometheus: Prometheus,
    alerts: Vec<(usize, ExpectedAlert)>,
    looks: Arc<Mutex<Looks>>,
) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..MAX_LOOKS {
        ticks.tick().await;
        let names = alerts.iter().map(|(_, expected)| expected.alert.as_str());
        let answer = prometheus.rules(names).await.map_err(Failure::sentence);
        let at = now_us();
        let mut looks = looks.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, expected) in &alerts {
            let seen = answer
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|answer| alerts::sighting(expected, answer));
            looks.entry(*index).or_default().push(Look { at, seen });
        }
    }
}
