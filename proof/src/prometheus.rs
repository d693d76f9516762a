//! Prometheus' HTTP API, as far as proofs need it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::http;

/// A server.
#[derive(Clone, Debug)]
pub struct Prometheus {
    http: reqwest::Client,
    base: Url,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server cannot be reached, or what answers is no Prometheus.
    #[error("{0}")]
    Unavailable(String),
    /// The server refused the query, in its own words.
    #[error("{0}")]
    Refused(String),
}

/// Labels of a series, `__name__` included where there is one.
pub type Labels = BTreeMap<String, String>;

/// One series with its samples: Unix seconds and value. An instant query gives one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// In ascending time.
    pub samples: Vec<(f64, f64)>,
}

/// Stretch and step of a range query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Unix seconds of the first step.
    pub from: f64,
    /// Unix seconds of the last step.
    pub to: f64,
    /// Seconds between two steps.
    pub step: f64,
}

#[derive(Deserialize)]
struct Answer<T> {
    status: String,
    data: Option<T>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<RawInstant>),
    Matrix(Vec<RawRange>),
    Scalar((f64, String)),
    String((f64, String)),
}

#[derive(Deserialize)]
struct RawInstant {
    metric: Labels,
    value: Option<(f64, String)>,
}

#[derive(Deserialize)]
struct RawRange {
    metric: Labels,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Prometheus {
    /// The server at this address.
    pub fn new(http: reqwest::Client, base: Url) -> Self {
        Self { http, base }
    }

    /// The result of an expression at one moment (Unix seconds).
    pub async fn query(&self, expression: &str, at: f64) -> Result<Vec<Series>, Failure> {
        let form = [
            ("query", expression.to_owned()),
            ("time", format!("{at:.3}")),
        ];
        self.ask::<Data>("api/v1/query", &form).await.map(series)
    }

    /// The result of an expression at each step of a range.
    pub async fn query_range(
        &self,
        expression: &str,
        range: Range,
    ) -> Result<Vec<Series>, Failure> {
        let form = [
            ("query", expression.to_owned()),
            ("start", format!("{:.3}", range.from)),
            ("end", format!("{:.3}", range.to)),
            ("step", format!("{:.3}", range.step)),
        ];
        self.ask::<Data>("api/v1/query_range", &form)
            .await
            .map(series)
    }

    /// The label sets of the series that a selector matches between two moments (Unix seconds).
    pub async fn series(&self, selector: &str, from: f64, to: f64) -> Result<Vec<Labels>, Failure> {
        let form = [
            ("match[]", selector.to_owned()),
            ("start", format!("{from:.3}")),
            ("end", format!("{to:.3}")),
        ];
        self.ask("api/v1/series", &form).await
    }

    /// Asks by POST, so that a query may be longer than a URL.
    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &[(&str, String)],
    ) -> Result<T, Failure> {
        let url = http::join(&self.base, path);
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let request = self
            .http
            .post(url.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.finish());
        let (status, body) = http::read(request, &url)
            .await
            .map_err(Failure::Unavailable)?;
        let answer: Answer<T> = serde_json::from_slice(&body).map_err(|error| {
            Failure::Unavailable(format!(
                "{url} answers {status} with what is not Prometheus' JSON ({error}); is it a Prometheus?"
            ))
        })?;
        match (answer.status.as_str(), answer.data) {
            ("success", Some(data)) => Ok(data),
            _ => Err(Failure::Refused(
                answer.error.unwrap_or_else(|| format!("status {status}")),
            )),
        }
    }
}

fn series(data: Data) -> Vec<Series> {
    let one = |(at, value): (f64, String)| (at, number(&value));
    match data {
        Data::Vector(found) => found
            .into_iter()
            .map(|raw| Series {
                labels: raw.metric,
                samples: raw.value.into_iter().map(one).collect(),
            })
            .collect(),
        Data::Matrix(found) => found
            .into_iter()
            .map(|raw| Series {
                labels: raw.metric,
                samples: raw.values.into_iter().map(one).collect(),
            })
            .collect(),
        Data::Scalar(value) => vec![Series {
            labels: Labels::new(),
            samples: vec![one(value)],
        }],
        Data::String(_) => Vec::new(),
    }
}

/// Prometheus writes `+Inf`, `-Inf` and `NaN` as Rust reads them.
fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}
