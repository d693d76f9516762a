//! Prometheus' HTTP API, as far as proofs need it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::http;
use crate::promql;

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

/// One series with its samples: Unix seconds and value. An instant query gives one sample. A native histogram stands as the
/// number of its observations.
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
    histogram: Option<(f64, RawHistogram)>,
}

#[derive(Deserialize)]
struct RawRange {
    metric: Labels,
    #[serde(default)]
    values: Vec<(f64, String)>,
    #[serde(default)]
    histograms: Vec<(f64, RawHistogram)>,
}

/// A native histogram, of which only the number of observations is of use here.
#[derive(Deserialize)]
struct RawHistogram {
    count: String,
}

#[derive(Deserialize)]
struct Exemplars {
    #[serde(default)]
    exemplars: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Targets {
    #[serde(rename = "activeTargets", default)]
    active: Vec<Target>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Target {
    scrape_pool: String,
    scrape_interval: String,
}

/// What a program says of one of its metrics, as Prometheus saw it at the last scrape.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    /// `counter`, `gauge`, `histogram`, `summary`, `unknown`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// The help text.
    #[serde(default)]
    pub help: String,
    /// The unit, where the exposition says it (OpenMetrics).
    #[serde(default)]
    pub unit: String,
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

    /// The names of all labels, or of those of a selector's series, between two moments (Unix seconds).
    pub async fn label_names(
        &self,
        selector: Option<&str>,
        from: f64,
        to: f64,
    ) -> Result<Vec<String>, Failure> {
        self.ask("api/v1/labels", &label_form(selector, from, to))
            .await
    }

    /// The values of a label, of all series or of a selector's, between two moments (Unix seconds).
    pub async fn label_values(
        &self,
        label: &str,
        selector: Option<&str>,
        from: f64,
        to: f64,
    ) -> Result<Vec<String>, Failure> {
        let mut url = http::join(&self.base, &format!("api/v1/label/{label}/values"));
        url.query_pairs_mut()
            .extend_pairs(label_form(selector, from, to));
        self.read(self.http.get(url.clone()), &url).await
    }

    /// What programs say of their metrics. Histograms and summaries stand under their name without `_bucket`, `_sum`,
    /// `_count`. Where programs differ, there is an entry for each.
    pub async fn metadata(&self) -> Result<BTreeMap<String, Vec<Metadata>>, Failure> {
        let url = http::join(&self.base, "api/v1/metadata");
        self.read(self.http.get(url.clone()), &url).await
    }

    /// How many exemplars the series in an expression have between two moments (Unix seconds).
    pub async fn exemplars(&self, expression: &str, from: f64, to: f64) -> Result<usize, Failure> {
        let form = [
            ("query", expression.to_owned()),
            ("start", format!("{from:.3}")),
            ("end", format!("{to:.3}")),
        ];
        let found: Vec<Exemplars> = self.ask("api/v1/query_exemplars", &form).await?;
        Ok(found.iter().map(|series| series.exemplars.len()).sum())
    }

    /// The scrape intervals of the targets that are scraped now, each with a job that has it.
    pub async fn scrape_intervals(&self) -> Result<BTreeMap<Duration, String>, Failure> {
        let mut url = http::join(&self.base, "api/v1/targets");
        url.set_query(Some("state=active"));
        let targets: Targets = self.read(self.http.get(url.clone()), &url).await?;
        Ok(targets
            .active
            .into_iter()
            .filter_map(|target| {
                let length = promql::duration(&target.scrape_interval).ok()?;
                Some((length, target.scrape_pool))
            })
            .collect())
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
        self.read(request, &url).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
        url: &Url,
    ) -> Result<T, Failure> {
        let (status, body) = http::read(request, url)
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

fn label_form(selector: Option<&str>, from: f64, to: f64) -> Vec<(&'static str, String)> {
    let mut form = vec![("start", format!("{from:.3}")), ("end", format!("{to:.3}"))];
    form.extend(selector.map(|selector| ("match[]", selector.to_owned())));
    form
}

fn series(data: Data) -> Vec<Series> {
    let one = |(at, value): (f64, String)| (at, number(&value));
    let count = |(at, histogram): (f64, RawHistogram)| (at, number(&histogram.count));
    match data {
        Data::Vector(found) => found
            .into_iter()
            .map(|raw| Series {
                labels: raw.metric,
                samples: (raw.value.map(one))
                    .or(raw.histogram.map(count))
                    .into_iter()
                    .collect(),
            })
            .collect(),
        Data::Matrix(found) => found
            .into_iter()
            .map(|raw| Series {
                labels: raw.metric,
                samples: merged(
                    raw.values.into_iter().map(one).collect(),
                    raw.histograms.into_iter().map(count),
                ),
            })
            .collect(),
        Data::Scalar(value) => vec![Series {
            labels: Labels::new(),
            samples: vec![one(value)],
        }],
        // A text is no number.
        Data::String((at, _)) => vec![Series {
            labels: Labels::new(),
            samples: vec![(at, f64::NAN)],
        }],
    }
}

/// A series may turn from plain samples to native histograms; either way its time ascends.
fn merged(mut plain: Vec<(f64, f64)>, native: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    plain.extend(native);
    plain.sort_by(|one, other| one.0.total_cmp(&other.0));
    plain
}

/// Prometheus writes `+Inf`, `-Inf` and `NaN` as Rust reads them.
fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}
