//! Plans: what to send, how often, and what must hold. Read from TOML; nothing unparsed gets past this file.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::result::{MEASURE, WARMUP};
use crate::schedule::Schedule;
use crate::threshold::{Rule, Threshold};
use crate::units::parse_duration;

/// Plans that need no file.
const BUILT_IN: [(&str, &str); 2] =
    [("browse", include_str!("../plans/browse.toml")), ("smoke", include_str!("../plans/smoke.toml"))];

/// Requests a second beyond which one process is not the right generator.
const MAX_RATE: f64 = 10_000.0;

/// A load run as planned.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Letters, digits and `-`; the label `scenario` of the metrics.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// Requests a second.
    pub rate: f64,
    /// Due time that is excluded from judgement.
    pub warmup: Duration,
    /// Due time that counts.
    pub measure: Duration,
    /// Of one request, from when it is sent.
    pub timeout: Duration,
    /// The bound of requests in flight.
    pub max_workers: usize,
    /// Of each route's requests, one in this many carries the sampled flag.
    pub sample_one_in: u64,
    /// Chooses pictures and presets.
    pub seed: u64,
    /// Larger pictures of the target are left alone.
    pub max_megapixels: f64,
    /// What to send, with its share.
    pub routes: Vec<Route>,
    /// What must hold.
    pub thresholds: Vec<Threshold>,
}

/// One route and its part of the load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What is asked for.
    pub kind: RouteKind,
    /// Its share of all requests, relative to the other shares.
    pub share: u32,
}

/// The requests that a plan can make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// The first page of the list.
    List {
        /// Images on a page.
        page_size: u32,
    },
    /// One image's metadata.
    Metadata,
    /// One image's original bytes.
    Content,
    /// One image in a preset, as WebP.
    Render {
        /// Presets by weight.
        presets: Vec<(String, u32)>,
    },
    /// A new image.
    Upload,
}

impl RouteKind {
    /// The name in plans, events and results.
    pub fn name(&self) -> &'static str {
        match self {
            Self::List { .. } => "list",
            Self::Metadata => "metadata",
            Self::Content => "content",
            Self::Render { .. } => "render",
            Self::Upload => "upload",
        }
    }

    /// Whether requests are about images that the target already has.
    pub fn needs_images(&self) -> bool {
        !matches!(self, Self::Upload)
    }
}

impl Plan {
    /// Reads the file `path`, or the built-in plan of that name when there is no such file. The error is a sentence that
    /// names the file and, where there is one, the line.
    pub fn load(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let built_in = BUILT_IN.iter().find(|(built_in, _)| *built_in == name);
        match (std::fs::read_to_string(path), built_in) {
            (Ok(text), _) => Self::parse(&text, &name),
            (Err(_), Some((_, text))) => Self::parse(text, &name),
            (Err(error), None) => {
                Err(format!("{name}: the plan can't be read ({error}); built in are: {}", BUILT_IN.map(|b| b.0).join(", ")))
            }
        }
    }

    /// Reads a plan from `text`; `file` is what errors call it.
    pub fn parse(text: &str, file: &str) -> Result<Self, String> {
        let raw: RawPlan = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            format!("{file}:{line}: {}", error.message().replace('\n', " "))
        })?;
        raw.check().map_err(|sentence| format!("{file}: {sentence}"))
    }

    /// The arrivals of this plan.
    pub fn schedule(&self) -> Schedule {
        let shares: Vec<u32> = self.routes.iter().map(|route| route.share).collect();
        Schedule::constant(self.rate, self.warmup + self.measure, &shares, self.sample_one_in)
    }

    /// As many workers as requests can be in flight when each takes as long as the timeout.
    pub fn workers(&self) -> usize {
        let needed = (self.rate * self.timeout.as_secs_f64()).ceil() as usize;
        needed.clamp(1, self.max_workers)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlan {
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
    #[serde(default = "default_max_workers")]
    max_workers: usize,
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
        Self { max_megapixels: 2.0 }
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
fn default_max_workers() -> usize {
    1_000
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
    fn check(self) -> Result<Plan, String> {
        let well_named = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(well_named) {
            return Err(format!("name `{}` must be letters, digits and `-`", self.name));
        }
        let rate = self.arrivals.rate;
        if !(rate > 0.0 && rate <= MAX_RATE) {
            return Err(format!("arrivals.rate is {rate}: it must lie above 0 and be at most {MAX_RATE}"));
        }
        let run = self.run;
        for (key, value) in [("run.measure", run.measure), ("run.timeout", run.timeout)] {
            if value.is_zero() {
                return Err(format!("{key} must be longer than 0s"));
            }
        }
        if run.max_workers == 0 || run.sample_one_in == 0 {
            return Err("run.max_workers and run.sample_one_in must be at least 1".to_owned());
        }
        if self.pictures.max_megapixels.is_nan() || self.pictures.max_megapixels <= 0.0 {
            return Err("pictures.max_megapixels must lie above 0".to_owned());
        }
        let routes = self.routes.check()?;
        let thresholds = check_thresholds(self.thresholds, &routes)?;
        Ok(Plan {
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
        })
    }
}

impl RawRoutes {
    fn check(self) -> Result<Vec<Route>, String> {
        let mut routes = Vec::new();
        if let Some(list) = self.list {
            routes.push(Route { kind: RouteKind::List { page_size: list.page_size }, share: list.share });
        }
        if let Some(metadata) = self.metadata {
            routes.push(Route { kind: RouteKind::Metadata, share: metadata.share });
        }
        if let Some(content) = self.content {
            routes.push(Route { kind: RouteKind::Content, share: content.share });
        }
        if let Some(render) = self.render {
            let presets: Vec<(String, u32)> =
                render.presets.into_iter().map(|(preset, weight)| (preset.name().to_owned(), weight)).collect();
            if presets.iter().all(|(_, weight)| *weight == 0) {
                return Err("routes.render.presets needs a preset with a weight above 0".to_owned());
            }
            routes.push(Route { kind: RouteKind::Render { presets }, share: render.share });
        }
        if let Some(upload) = self.upload {
            routes.push(Route { kind: RouteKind::Upload, share: upload.share });
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
                return Err(format!("threshold `{}`: phase `{phase}` must be `{MEASURE}` or `{WARMUP}`", raw.rule));
            }
            if let Some(route) = &raw.route
                && !routes.iter().any(|known| known.kind.name() == route)
            {
                return Err(format!("threshold `{}`: the plan has no route `{route}`", raw.rule));
            }
            Ok(Threshold { rule: raw.rule, route: raw.route, phase })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_plans_are_read() {
        let browse = Plan::load(Path::new("browse")).expect("browse");
        let shares: Vec<(&str, u32)> = browse.routes.iter().map(|route| (route.kind.name(), route.share)).collect();
        assert_eq!(shares, [("list", 20), ("metadata", 20), ("content", 40), ("render", 18), ("upload", 2)]);
        assert_eq!((browse.rate, browse.workers()), (100.0, 500));
        let smoke = Plan::load(Path::new("smoke")).expect("smoke");
        assert!(!smoke.thresholds.is_empty());
    }

    #[test]
    fn bad_plans_are_refused_by_file_line_and_key() {
        let smoke = BUILT_IN[1].1;
        let line_of = |text: &str, part: &str| 1 + text[..text.find(part).expect("is there")].matches('\n').count();
        for (from, to, sentence) in [
            ("rate =", "ratee =", "unknown field `ratee`"),
            ("shape = \"constant\"", "shape = \"zigzag\"", "unknown variant `zigzag`"),
            ("warmup = \"1s\"", "warmup = \"soon\"", "`soon` is no duration"),
            ("rule = \"max < 5s\"", "rule = \"max 5s\"", "`max 5s` is no threshold"),
            ("metadata = { share", "metadata = { shares", "unknown field `shares`"),
        ] {
            assert!(smoke.contains(from), "{from}");
            let text = smoke.replace(from, to);
            let error = Plan::parse(&text, "p.toml").expect_err(to);
            assert!(error.starts_with(&format!("p.toml:{}: ", line_of(&text, to))), "{error}");
            assert!(error.contains(sentence), "{error}");
        }
    }

    #[test]
    fn values_without_meaning_are_refused_by_key() {
        for (from, to, sentence) in [
            ("rate = 20.0", "rate = -1.0", "arrivals.rate"),
            ("measure = \"5s\"", "measure = \"0s\"", "run.measure"),
            ("name = \"smoke\"", "name = \"a b\"", "name `a b`"),
            ("rule = \"max < 5s\"", "route = \"teapot\"\nrule = \"max < 5s\"", "no route `teapot`"),
        ] {
            assert!(BUILT_IN[1].1.contains(from), "{from}");
            let error = Plan::parse(&BUILT_IN[1].1.replace(from, to), "p.toml").expect_err(to);
            assert!(error.contains(sentence), "{error}");
        }
        let error = Plan::load(Path::new("no/such/plan.toml")).expect_err("refused");
        assert!(error.starts_with("no/such/plan.toml: ") && error.contains("built in are: browse, smoke"), "{error}");
    }
}
