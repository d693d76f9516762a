//! The answers of the API as types. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Series of a result at most: beyond, nobody reads them.
const MAX_SERIES: usize = 1_000;

/// An alerting rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, which is the label `alertname` of its alerts.
    pub name: String,
    /// Its expression.
    pub query: String,
    /// Seconds for which the expression must hold (`for`).
    pub for_s: f64,
    /// Labels that it gives to its alerts; values may be templates.
    pub labels: BTreeMap<String, String>,
    /// How its last evaluation went.
    pub health: Health,
    /// Unix microseconds of its last evaluation, on the server's clock; 0 when there was none.
    pub evaluated_us: i64,
    /// Seconds between two evaluations.
    pub interval_s: f64,
    /// Pending and firing ones.
    pub alerts: Vec<Alert>,
}

/// How the last evaluation of a rule went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Without an error.
    Ok,
    /// There was none yet.
    Unknown,
    /// With this error.
    Failing(String),
}

/// An alert that is pending or firing.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// `alertname` among them.
    pub labels: BTreeMap<String, String>,
    /// Pending or firing.
    pub state: AlertState,
    /// Unix microseconds at which its expression began to hold, on the server's clock.
    pub active_us: i64,
}

/// Whether an alert waits for its `for`, or fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertState {
    /// Its expression holds, but not yet for long enough.
    Pending,
    /// It fires.
    Firing,
}

/// The result of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// A number, or series with one value each.
    Numbers(Vec<Value>),
    /// What has no values at one moment: `range vector` or `string`.
    Other(&'static str),
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Labels of its series; empty for a number.
    pub labels: BTreeMap<String, String>,
    /// `None` for a native histogram.
    pub value: Option<f64>,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct RuleGroups {
    groups: Vec<RuleGroup>,
}

#[derive(Deserialize)]
struct RuleGroup {
    interval: f64,
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRule {
    name: String,
    query: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    duration: f64,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    health: String,
    #[serde(default)]
    last_error: String,
    last_evaluation: String,
    #[serde(default)]
    alerts: Vec<RawAlert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAlert {
    labels: BTreeMap<String, String>,
    state: String,
    active_at: String,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<RawSeries>),
    Scalar((f64, String)),
    Matrix(serde::de::IgnoredAny),
    String(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct RawSeries {
    metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
}

/// The alerting rules of an answer of `/api/v1/rules`.
pub(super) fn rules(body: &[u8]) -> Result<Vec<Rule>, String> {
    let groups = data::<RuleGroups>(body)?.groups;
    let rules = groups.into_iter().flat_map(|group| {
        let interval_s = group.interval;
        let rules = group.rules.into_iter();
        rules
            .filter(|rule| rule.kind == "alerting")
            .map(move |rule| read_rule(rule, interval_s))
    });
    rules.collect()
}

fn read_rule(raw: RawRule, interval_s: f64) -> Result<Rule, String> {
    let alerts: Result<Vec<Alert>, String> = raw.alerts.into_iter().map(read_alert).collect();
    Ok(Rule {
        name: raw.name,
        query: raw.query,
        for_s: raw.duration,
        labels: raw.labels,
        health: match raw.health.as_str() {
            "ok" => Health::Ok,
            "unknown" => Health::Unknown,
            _ => Health::Failing(raw.last_error),
        },
        // The year 1 stands for "never".
        evaluated_us: microseconds(&raw.last_evaluation)?.max(0),
        interval_s,
        alerts: alerts?,
    })
}

fn read_alert(raw: RawAlert) -> Result<Alert, String> {
    Ok(Alert {
        labels: raw.labels,
        state: match raw.state.as_str() {
            "pending" => AlertState::Pending,
            "firing" => AlertState::Firing,
            other => return Err(format!("an alert is in the state {other:?}")),
        },
        active_us: microseconds(&raw.active_at)?,
    })
}

fn microseconds(time: &str) -> Result<i64, String> {
    let parsed: Result<jiff::Timestamp, _> = time.parse();
    parsed
        .map(jiff::Timestamp::as_microsecond)
        .map_err(|_| format!("{time:?} is no time"))
}

/// The result in an answer of `/api/v1/query`.
pub(super) fn values(body: &[u8]) -> Result<Values, String> {
    let series = match data(body)? {
        Data::Matrix(_) => return Ok(Values::Other("a range vector")),
        Data::String(_) => return Ok(Values::Other("a string")),
        Data::Scalar(value) => vec![RawSeries {
            metric: BTreeMap::new(),
            value: Some(value),
        }],
        Data::Vector(series) => series,
    };
    if series.len() > MAX_SERIES {
        return Err(format!(
            "{} series, more than {MAX_SERIES}: aggregate them",
            series.len()
        ));
    }
    let values: Result<Vec<Value>, String> = series.into_iter().map(read_value).collect();
    values.map(Values::Numbers)
}

fn read_value(raw: RawSeries) -> Result<Value, String> {
    let number = |text: String| -> Result<f64, String> {
        text.parse().map_err(|_| format!("{text:?} is no number"))
    };
    Ok(Value {
        labels: raw.metric,
        value: raw.value.map(|(_, text)| number(text)).transpose()?,
    })
}

/// The tree in an answer of `/api/v1/parse_query`.
pub(super) fn tree(body: &[u8]) -> Result<serde_json::Value, String> {
    data(body)
}

/// The server's words in an answer that says why there is no result.
pub(super) fn error(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refused {
        error: String,
    }
    let refused: Refused = serde_json::from_slice(body).ok()?;
    Some(refused.error)
}

fn data<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let envelope: Result<Envelope<T>, _> = serde_json::from_slice(body);
    envelope
        .map(|envelope| envelope.data)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"{"status":"success","data":{"groups":[{"name":"g","file":"r.yml","interval":15,"rules":[
        {"state":"firing","name":"Slow","query":"up > 0","duration":3,"keepFiringFor":0,"labels":{"severity":"page"},
         "annotations":{},"health":"ok","lastEvaluation":"2026-11-28T08:57:32.675489137Z","type":"alerting","alerts":[
            {"labels":{"alertname":"Slow","job":"p"},"annotations":{},"state":"firing",
             "activeAt":"2026-11-28T08:57:29.673243126Z","value":"1e+00"}]},
        {"name":"a:b","query":"up","health":"ok","lastEvaluation":"2026-11-28T08:57:32Z","type":"recording"},
        {"state":"unknown","name":"New","query":"up","duration":0,"labels":{},"health":"unknown",
         "lastEvaluation":"0001-01-01T00:00:00Z","type":"alerting","alerts":[]},
        {"state":"inactive","name":"Bad","query":"up","duration":0,"labels":{},"health":"err","lastError":"too many",
         "lastEvaluation":"2026-11-28T08:57:32Z","type":"alerting","alerts":[]}]}]}}"#;

    #[test]
    fn alerting_rules_have_their_alerts_health_and_time_of_evaluation() {
        let rules = rules(RULES.as_bytes()).expect("readable");
        let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names, ["Slow", "New", "Bad"]);
        assert_eq!(rules[0].alerts[0].state, AlertState::Firing);
        assert_eq!(rules[0].alerts[0].active_us, 1_795_856_249_673_243);
        assert_eq!((rules[0].for_s, rules[0].interval_s), (3.0, 15.0));
        assert_eq!(
            (&rules[1].health, rules[1].evaluated_us),
            (&Health::Unknown, 0)
        );
        assert_eq!(rules[2].health, Health::Failing("too many".into()));
    }

    #[test]
    fn a_state_or_a_time_that_nobody_knows_is_no_answer() {
        for (from, to) in [("\"firing\",\n", "\"burning\",\n"), ("08:57:29", "0857-29")] {
            let body = RULES.replace(from, to);
            assert_ne!(body, RULES);
            assert!(rules(body.as_bytes()).is_err(), "{to}");
        }
    }

    #[test]
    fn a_result_is_numbers_or_what_has_no_value_at_one_moment() {
        let of = |data: &str| values(format!(r#"{{"status":"success","data":{data}}}"#).as_bytes());
        let one = |value: Option<f64>| {
            Ok(Values::Numbers(vec![Value {
                labels: BTreeMap::new(),
                value,
            }]))
        };
        assert_eq!(
            of(r#"{"resultType":"scalar","result":[1.5,"2"]}"#),
            one(Some(2.0))
        );
        let vector = |value: &str| {
            of(&format!(
                r#"{{"resultType":"vector","result":[{{"metric":{{}},{value}}}]}}"#
            ))
        };
        assert_eq!(vector(r#""value":[1.5,"+Inf"]"#), one(Some(f64::INFINITY)));
        assert_eq!(vector(r#""histogram":[1.5,{"count":"3"}]"#), one(None));
        assert!(vector(r#""value":[1.5,"many"]"#).is_err());
        let matrix = r#"{"resultType":"matrix","result":[{"metric":{},"values":[]}]}"#;
        assert_eq!(of(matrix), Ok(Values::Other("a range vector")));
        assert_eq!(
            of(r#"{"resultType":"vector","result":[]}"#),
            Ok(Values::Numbers(Vec::new()))
        );
        assert!(of(r#"{"resultType":"table","result":[]}"#).is_err());
    }
}
