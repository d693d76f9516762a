//! A plan's TOML: keys, defaults, and what is refused with the key's name.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::{Plan, Route, RouteKind};
use crate::nearest::hint;
use crate::result::{MEASURE, WARMUP};
use crate::threshold::{Rule, Threshold};
use crate::units::parse_duration;

/// Requests a second that a plan may ask for. Far more than one process can send: what a machine can't do it says itself.
const MAX_RATE: f64 = 200_000.0;
/// The most requests in flight: each has a worker, a connection and a port.
const MAX_WORKERS: usize = 50_000;
/// The longest phase, and the longest timeout.
const MAX_PHASE: Duration = Duration::from_hours(24);
const MAX_TIMEOUT: Duration = Duration::from_hours(1);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlan {
    name: String,
    #[serde(default)]
    summary: String,
    arrivals: RawArrivals,
    run: RawRun,
    #[serde(default)]
    pictures: RawPictures,
    routes: RawRoutes,
    #[serde(default)]
    thresholds: Vec<RawThreshold>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawArrivals {
    #[serde(rename = "shape")]
    _shape: Shape,
    rate: f64,
}

/// How arrivals are spread over time.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shape {
    Constant,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRun {
    #[serde(deserialize_with = "duration")]
    warmup: Duration,
    #[serde(deserialize_with = "duration")]
    measure: Duration,
    #[serde(default = "default_timeout", deserialize_with = "duration")]
    timeout: Duration,
    max_workers: Option<usize>,
    #[serde(default = "default_sample_one_in")]
    sample_one_in: u64,
    #[serde(default = "default_seed")]
    seed: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPictures {
    max_megapixels: f64,
}

impl Default for RawPictures {
    fn default() -> Self {
        Self {
            max_megapixels: 2.0,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoutes {
    list: Option<RawList>,
    metadata: Option<RawShare>,
    content: Option<RawShare>,
    render: Option<RawRender>,
    upload: Option<RawShare>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawShare {
    share: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawList {
    share: u32,
    #[serde(default = "default_page_size")]
    page_size: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRender {
    share: u32,
    presets: BTreeMap<Preset, u32>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
enum Preset {
    Thumb,
    Small,
    Medium,
    Large,
}

impl Preset {
    fn name(self) -> &'static str {
        match self {
            Self::Thumb => "thumb",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawThreshold {
    #[serde(deserialize_with = "rule")]
    rule: Rule,
    route: Option<String>,
    phase: Option<String>,
}

fn default_timeout() -> Duration {
    Duration::from_secs(5)
}
fn default_sample_one_in() -> u64 {
    5
}
fn default_seed() -> u64 {
    1
}
fn default_page_size() -> u32 {
    20
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn rule<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rule, D::Error> {
    Rule::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

impl RawPlan {
    /// The plan, when its values mean something; else a sentence that names the key.
    pub(super) fn check(self) -> Result<Plan, String> {
        let well_named = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(well_named) {
            return Err(format!(
                "name `{}` must be letters, digits and `-`",
                self.name
            ));
        }
        let rate = self.arrivals.rate;
        if !(rate > 0.0 && rate <= MAX_RATE) {
            return Err(format!(
                "arrivals.rate is {rate}: it must lie above 0 and be at most {MAX_RATE}"
            ));
        }
        let run = self.run;
        for (key, value) in [("run.measure", run.measure), ("run.timeout", run.timeout)] {
            if value.is_zero() {
                return Err(format!("{key} must be longer than 0s"));
            }
        }
        for (key, value, most) in [
            ("run.warmup", run.warmup, MAX_PHASE),
            ("run.measure", run.measure, MAX_PHASE),
            ("run.timeout", run.timeout, MAX_TIMEOUT),
        ] {
            if value > most {
                return Err(format!(
                    "{key} is {} s: it may be at most {} s",
                    value.as_secs(),
                    most.as_secs()
                ));
            }
        }
        if run
            .max_workers
            .is_some_and(|workers| !(1..=MAX_WORKERS).contains(&workers))
        {
            return Err(format!("run.max_workers must be 1 to {MAX_WORKERS}"));
        }
        if run.sample_one_in == 0 {
            return Err("run.sample_one_in must be at least 1".to_owned());
        }
        if self.pictures.max_megapixels.is_nan() || self.pictures.max_megapixels <= 0.0 {
            return Err("pictures.max_megapixels must lie above 0".to_owned());
        }
        let routes = self.routes.check()?;
        let thresholds = check_thresholds(self.thresholds, &routes)?;
        let plan = Plan {
            name: self.name,
            summary: self.summary,
            rate,
            warmup: run.warmup,
            measure: run.measure,
            timeout: run.timeout,
            max_workers: run.max_workers,
            sample_one_in: run.sample_one_in,
            seed: run.seed,
            max_megapixels: self.pictures.max_megapixels,
            routes,
            thresholds,
        };
        plan.check_measurable()?;
        Ok(plan)
    }
}

impl RawRoutes {
    fn check(self) -> Result<Vec<Route>, String> {
        let mut routes = Vec::new();
        if let Some(list) = self.list {
            if list.page_size == 0 {
                return Err("routes.list.page_size must be at least 1".to_owned());
            }
            routes.push(Route {
                kind: RouteKind::List {
                    page_size: list.page_size,
                },
                share: list.share,
            });
        }
        if let Some(metadata) = self.metadata {
            routes.push(Route {
                kind: RouteKind::Metadata,
                share: metadata.share,
            });
        }
        if let Some(content) = self.content {
            routes.push(Route {
                kind: RouteKind::Content,
                share: content.share,
            });
        }
        if let Some(render) = self.render {
            let presets: Vec<(String, u32)> = render
                .presets
                .into_iter()
                .map(|(preset, weight)| (preset.name().to_owned(), weight))
                .collect();
            if presets.iter().all(|(_, weight)| *weight == 0) {
                return Err("routes.render.presets needs a preset with a weight above 0".to_owned());
            }
            routes.push(Route {
                kind: RouteKind::Render { presets },
                share: render.share,
            });
        }
        if let Some(upload) = self.upload {
            routes.push(Route {
                kind: RouteKind::Upload,
                share: upload.share,
            });
        }
        routes.retain(|route| route.share > 0);
        if routes.is_empty() {
            return Err("routes needs a route with a share above 0".to_owned());
        }
        Ok(routes)
    }
}

fn check_thresholds(raw: Vec<RawThreshold>, routes: &[Route]) -> Result<Vec<Threshold>, String> {
    raw.into_iter()
        .map(|raw| {
            let phase = raw.phase.unwrap_or_else(|| MEASURE.to_owned());
            if phase != MEASURE && phase != WARMUP {
                return Err(format!(
                    "threshold `{}`: phase `{phase}` must be `{MEASURE}` or `{WARMUP}`{}",
                    raw.rule,
                    hint(&phase, [MEASURE, WARMUP])
                ));
            }
            if let Some(route) = &raw.route
                && !routes.iter().any(|known| known.kind.name() == route)
            {
                let names = || routes.iter().map(|known| known.kind.name());
                let there: Vec<&str> = names().collect();
                return Err(format!(
                    "threshold `{}`: the plan has no route `{route}`, only {}{}",
                    raw.rule,
                    there.join(", "),
                    hint(route, names())
                ));
            }
            Ok(Threshold {
                rule: raw.rule,
                route: raw.route,
                phase,
            })
        })
        .collect()
}
