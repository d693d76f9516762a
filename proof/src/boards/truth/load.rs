//! A load result, as far as panels are compared with it.
//!
//! Two forms are read: the plain one, which any load generator can write (`docs/proof-findings.md`), and the result of
//! `chitram-load` (`docs/load-results.md`).

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::exit::Refusal;
use crate::files;

/// What a load generator counted and measured.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// 1.
    pub version: u32,
    /// The run's id, by which its lines are found, where it sent one along.
    #[serde(default)]
    pub run: Option<String>,
    /// Stretches of time, each with its own figures.
    pub phases: Vec<Phase>,
}

/// One stretch of time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// Unix seconds of the first request.
    pub from: f64,
    /// Unix seconds of the last answer.
    pub to: f64,
    /// Requests by route and end.
    pub requests: Vec<Requests>,
    /// Percentiles of latency.
    #[serde(default)]
    pub percentiles: Vec<Percentile>,
}

/// Requests of one route that ended in one way.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// The route, by the generator's name.
    pub route: String,
    /// How they ended: a status, or a name such as `ok` or `timeout`.
    pub status: String,
    /// How many.
    pub count: u64,
}

/// One percentile of one route's latency.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Percentile {
    /// The route; left out: all routes together.
    pub route: Option<String>,
    /// Between 0 and 1.
    pub quantile: f64,
    /// From sending to the last byte.
    pub seconds: f64,
}

impl Phase {
    /// Requests of a route (all routes) that ended in a way (any way); `!ok` is every end but `ok`. `None`: the load has no
    /// such route or end.
    pub fn count(&self, route: Option<&str>, status: Option<&str>) -> Option<f64> {
        let ended = |requests: &&Requests| match status {
            None => true,
            Some(status) => match status.strip_prefix('!') {
                Some(other) => requests.status != other,
                None => requests.status == status,
            },
        };
        let mut counts = self
            .requests
            .iter()
            .filter(|requests| route.is_none_or(|route| requests.route == route))
            .filter(ended)
            .map(|requests| requests.count)
            .peekable();
        counts.peek()?;
        Some(counts.sum::<u64>() as f64)
    }

    /// A percentile in seconds.
    pub fn percentile(&self, route: Option<&str>, quantile: f64) -> Option<f64> {
        self.percentiles
            .iter()
            .find(|one| one.route.as_deref() == route && (one.quantile - quantile).abs() < 1e-9)
            .map(|one| one.seconds)
    }
}

impl Truth {
    /// Reads either form.
    pub fn read(path: &Path) -> Result<Self, Refusal> {
        let name = path.display();
        let text = files::read(path)?;
        Self::parse(&text).map_err(|reason| Refusal::usage(format!("{name}: {reason}")))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let sentence = |error: serde_json::Error| error.to_string();
        let json: serde_json::Value = serde_json::from_str(text).map_err(sentence)?;
        let truth: Self = if json["run"].is_object() {
            serde_json::from_str::<LoadResult>(text)
                .map_err(sentence)?
                .into()
        } else {
            serde_json::from_str(text).map_err(sentence)?
        };
        match truth.version {
            1 => Ok(truth),
            other => Err(format!("version {other} is not known; version 1 is")),
        }
    }
}

/// The part of `chitram-load`'s result that is read.
#[derive(Deserialize)]
struct LoadResult {
    version: u32,
    run: Run,
    phases: Vec<LoadPhase>,
}

#[derive(Deserialize)]
struct Run {
    #[serde(default, rename = "run_id")]
    id: Option<String>,
    started_at_us: i64,
    warmup_seconds: f64,
    measure_seconds: f64,
}

#[derive(Deserialize)]
struct LoadPhase {
    name: String,
    all: Figures,
    routes: BTreeMap<String, Figures>,
}

#[derive(Deserialize)]
struct Figures {
    n: u64,
    errors: BTreeMap<String, u64>,
    latency: Latency,
}

/// In microseconds.
#[derive(Deserialize)]
struct Latency {
    #[serde(rename = "p50_us")]
    p50: Option<u64>,
    #[serde(rename = "p95_us")]
    p95: Option<u64>,
    #[serde(rename = "p99_us")]
    p99: Option<u64>,
    #[serde(rename = "p999_us")]
    p999: Option<u64>,
}

impl From<LoadResult> for Truth {
    fn from(result: LoadResult) -> Self {
        let started = result.run.started_at_us as f64 / 1e6;
        let measured = started + result.run.warmup_seconds;
        let phases = result.phases.into_iter().map(|phase| {
            let (from, to) = if phase.name == "warmup" {
                (started, measured)
            } else {
                (measured, measured + result.run.measure_seconds)
            };
            let mut percentiles = phase.all.percentiles(None);
            let mut requests = Vec::new();
            for (route, figures) in &phase.routes {
                percentiles.extend(figures.percentiles(Some(route)));
                requests.extend(figures.requests(route));
            }
            Phase {
                name: phase.name,
                from,
                to,
                requests,
                percentiles,
            }
        });
        Self {
            version: result.version,
            run: result.run.id,
            phases: phases.collect(),
        }
    }
}

impl Figures {
    fn percentiles(&self, route: Option<&str>) -> Vec<Percentile> {
        let latency = &self.latency;
        [
            (0.5, latency.p50),
            (0.95, latency.p95),
            (0.99, latency.p99),
            (0.999, latency.p999),
        ]
        .into_iter()
        .filter_map(|(quantile, us)| {
            Some(Percentile {
                route: route.map(str::to_owned),
                quantile,
                seconds: us? as f64 / 1e6,
            })
        })
        .collect()
    }

    /// `ok`, and each kind of error.
    fn requests(&self, route: &str) -> Vec<Requests> {
        let failed: u64 = self.errors.values().sum();
        let ok = ("ok".to_owned(), self.n.saturating_sub(failed));
        std::iter::once(ok)
            .chain(
                self.errors
                    .iter()
                    .map(|(kind, count)| (kind.clone(), *count)),
            )
            .map(|(status, count)| Requests {
                route: route.to_owned(),
                status,
                count,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_form_is_read() {
        let truth = Truth::parse(
            r#"{"version": 1, "phases": [{"name": "measure", "from": 10, "to": 20.5,
                "requests": [{"route": "a", "status": "200", "count": 7},
                             {"route": "a", "status": "503", "count": 3}],
                "percentiles": [{"quantile": 0.99, "seconds": 0.5}]}]}"#,
        )
        .unwrap();
        let phase = &truth.phases[0];
        assert_eq!(phase.count(None, None), Some(10.0));
        assert_eq!(phase.count(Some("a"), Some("503")), Some(3.0));
        assert_eq!(phase.count(Some("a"), Some("!200")), Some(3.0));
        assert_eq!(phase.count(Some("b"), None), None);
        assert_eq!(phase.percentile(None, 0.99), Some(0.5));
        assert_eq!(phase.percentile(Some("a"), 0.99), None);
    }

    #[test]
    fn a_load_result_is_read_and_what_was_not_measured_is_not_there() {
        let latency = r#""latency": {"n": 9, "p50_us": 1500, "p95_us": null, "p99_us": null, "p999_us": null, "max_us": 9}"#;
        let figures =
            format!(r#"{{"n": 9, "errors": {{"timeout": 2}}, "histogram": "x", {latency}}}"#);
        let truth = Truth::parse(&format!(
            r#"{{"version": 1, "run": {{"started_at_us": 5000000, "warmup_seconds": 1, "measure_seconds": 10.0}},
                "phases": [{{"name": "measure", "all": {figures}, "routes": {{"list": {figures}}}}}]}}"#
        ))
        .unwrap();
        let phase = &truth.phases[0];
        assert_eq!((phase.from, phase.to), (6.0, 16.0));
        assert_eq!(phase.count(Some("list"), Some("ok")), Some(7.0));
        assert_eq!(phase.count(Some("list"), Some("timeout")), Some(2.0));
        assert_eq!(phase.percentile(Some("list"), 0.5), Some(0.0015));
        assert_eq!(phase.percentile(Some("list"), 0.95), None);
    }

    #[test]
    fn another_version_is_refused() {
        let error = Truth::parse(r#"{"version": 2, "phases": []}"#).unwrap_err();
        assert_eq!(error, "version 2 is not known; version 1 is");
    }
}
