//! What is asked before anything starts: whether the server has the alerts and takes the expressions.

use loadtest::nearest::hint;

use super::{Asked, Expected};
use crate::alerts;
use crate::clock::now_us;
use crate::definition::{ExpectedAlert, Experiment};
use crate::exit::Refusal;
use crate::prometheus::{Failure, Prometheus, Rule, Values};

/// Why a server was not asked.
pub(super) enum Unasked {
    Refused(Refusal),
    Missing(String),
}

impl From<Failure> for Unasked {
    fn from(failure: Failure) -> Self {
        Self::Missing(failure.sentence())
    }
}

/// Asks what can be known before anything starts.
pub(super) async fn ask(experiment: &Experiment, prometheus: Prometheus) -> Result<Asked, Unasked> {
    let rules = prometheus.rules([]).await?.value;
    let mut alerts = Vec::new();
    for (index, expected) in experiment.expected_alerts() {
        let rules = matching(&rules, expected, &prometheus).map_err(Unasked::Refused)?;
        let mut selectors = Ok(Vec::new());
        for rule in rules {
            selectors = match (selectors, prometheus.selectors(&rule.query).await) {
                (Ok(all), Ok(more)) => Ok([all, more].concat()),
                (Err(why), _) => Err(why),
                (_, Err(failure)) => Err(failure.sentence()),
            };
        }
        alerts.push(Expected {
            index,
            what: expected.clone(),
            selectors,
        });
    }
    let mut readings = Vec::new();
    for (index, expected) in experiment.expected_readings() {
        let query = &expected.query;
        let refused = |why: String| {
            let sentence = format!("`query` {query:?} can't be evaluated: {why}");
            Unasked::Refused(Refusal::usage(sentence))
        };
        match prometheus.query(query, now_us()).await {
            Err(Failure::Refused(why)) => return Err(refused(why)),
            Ok(Values::Other(what)) => {
                let why = format!("the result is {what}, use a number or an instant vector");
                return Err(refused(why));
            }
            // What fails now may be there later.
            Ok(Values::Numbers(_)) | Err(Failure::Unknown(_)) => {}
        }
        readings.push(Expected {
            index,
            what: expected.clone(),
            selectors: prometheus.selectors(query).await.map_err(Failure::sentence),
        });
    }
    Ok(Asked {
        prometheus,
        alerts,
        readings,
    })
}

/// The rules that can give an alert, or why none can.
fn matching<'a>(
    rules: &'a [Rule],
    expected: &ExpectedAlert,
    prometheus: &Prometheus,
) -> Result<Vec<&'a Rule>, Refusal> {
    let (alert, at) = (&expected.alert, prometheus.address());
    let named: Vec<&Rule> = rules.iter().filter(|rule| rule.name == *alert).collect();
    let refuse = |why: String| Err(Refusal::usage(why));
    if named.is_empty() {
        let all = rules.iter().map(|rule| rule.name.as_str());
        let there = if rules.is_empty() {
            "; it has no alerting rule at all".to_owned()
        } else {
            hint(alert, all)
        };
        return refuse(format!(
            "alert {alert} does not exist at Prometheus {at}{there}"
        ));
    }
    let matching: Vec<&Rule> = named
        .into_iter()
        .filter(|rule| alerts::can_match(rule, expected))
        .collect();
    if matching.is_empty() {
        return refuse(format!(
            "alert {} never comes from Prometheus {at}: its rule gives other labels",
            expected.selector()
        ));
    }
    let soonest_s = matching
        .iter()
        .map(|rule| rule.for_s)
        .fold(f64::INFINITY, f64::min);
    if soonest_s > expected.within_s as f64 {
        return refuse(format!(
            "alert {alert} waits for {soonest_s} s (`for`) before it fires, so it can't fire within {} s",
            expected.within_s
        ));
    }
    Ok(matching)
}
