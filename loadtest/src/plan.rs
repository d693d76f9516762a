//! Plans: what to send, how often, and what must hold. Nothing unparsed gets past `file`.

mod file;

use std::path::Path;
use std::time::Duration;

use self::file::RawPlan;
use crate::nearest::hint;
use crate::result::WARMUP;
use crate::schedule::Schedule;
use crate::threshold::Threshold;

/// Plans that need no file.
const BUILT_IN: [(&str, &str); 2] = [
    ("browse", include_str!("../plans/browse.toml")),
    ("smoke", include_str!("../plans/smoke.toml")),
];

/// The bound of workers of a plan that sets none: what a machine can start within seconds.
const DEFAULT_MAX_WORKERS: usize = 5_000;

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
    /// The bound of requests in flight, where the plan has one.
    pub max_workers: Option<usize>,
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
            (Err(error), None) => Err(format!(
                "{name}: the plan can't be read ({error}); built in are: {}{}",
                BUILT_IN.map(|b| b.0).join(", "),
                hint(&name, BUILT_IN.map(|b| b.0))
            )),
        }
    }

    /// Reads a plan from `text`; `file` is what errors call it.
    pub fn parse(text: &str, file: &str) -> Result<Self, String> {
        let raw: RawPlan = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                1 + text[..span.start.min(text.len())].matches('\n').count()
            });
            format!("{file}:{line}: {}", error.message().replace('\n', " "))
        })?;
        raw.check()
            .map_err(|sentence| format!("{file}: {sentence}"))
    }

    /// The arrivals of this plan.
    pub fn schedule(&self) -> Schedule {
        let shares: Vec<u32> = self.routes.iter().map(|route| route.share).collect();
        Schedule::constant(
            self.rate,
            self.warmup + self.measure,
            &shares,
            self.sample_one_in,
        )
    }

    /// As many workers as requests can be in flight when each takes as long as the timeout, up to `max_workers`.
    pub fn workers(&self) -> usize {
        self.workers_needed()
            .min(self.max_workers.unwrap_or(DEFAULT_MAX_WORKERS))
    }

    /// Whether there can be fewer workers than requests in flight: then one that finds no worker says nothing about the
    /// target.
    pub fn is_capped(&self) -> bool {
        self.workers() < self.workers_needed()
    }

    /// Workers with which each request is sent when it is due, whatever the target does.
    pub fn workers_needed(&self) -> usize {
        ((self.rate * self.timeout.as_secs_f64()).ceil() as usize).max(1)
    }

    /// Refuses thresholds that these lengths of the phases can't measure. Also to be asked when a length was changed. The
    /// error is a sentence that names the threshold.
    pub fn check_measurable(&self) -> Result<(), String> {
        self.thresholds.iter().try_for_each(|threshold| {
            let refuse = |why: String| Err(format!("threshold `{}`: {why}", threshold.rule));
            let length = if threshold.phase == WARMUP {
                self.warmup
            } else {
                self.measure
            };
            if length.is_zero() {
                return refuse("there is no warm-up to judge: set run.warmup".to_owned());
            }
            let rate = match &threshold.route {
                Some(route) => self.rate_of(route),
                None => self.rate,
            };
            // One more than the share: the first turn of a route may come early.
            let most = (rate * length.as_secs_f64()).ceil() as u64
                + u64::from(threshold.route.is_some());
            let needed = threshold.rule.min_samples();
            if most < needed {
                return refuse(format!(
                    "it needs {needed} requests, and the plan sends at most {most} in {} s at {rate} a second; \
                     raise the rate or the length, or choose another measure",
                    length.as_secs_f64()
                ));
            }
            Ok(())
        })
    }

    /// The names of its routes.
    pub fn route_names(&self) -> impl Iterator<Item = &'static str> {
        self.routes.iter().map(|route| route.kind.name())
    }

    /// Requests that become due a second on this route; 0 on one that the plan does not have.
    pub fn rate_of(&self, route: &str) -> f64 {
        let share = |of: &Route| f64::from(of.share);
        let all: f64 = self.routes.iter().map(share).sum();
        let known = self.routes.iter().find(|known| known.kind.name() == route);
        known.map_or(0.0, |known| self.rate * share(known) / all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_plans_are_read() {
        let browse = Plan::load(Path::new("browse")).expect("browse");
        let shares: Vec<(&str, u32)> = browse
            .routes
            .iter()
            .map(|route| (route.kind.name(), route.share))
            .collect();
        assert_eq!(
            shares,
            [
                ("list", 20),
                ("metadata", 20),
                ("content", 40),
                ("render", 18),
                ("upload", 2)
            ]
        );
        assert_eq!((browse.rate, browse.workers()), (100.0, 500));
        assert!(!browse.is_capped());
        assert!((browse.rate_of("content") - 40.0).abs() < 1e-9);
        assert!(browse.rate_of("contnet").abs() < 1e-9);
        let smoke = Plan::load(Path::new("smoke")).expect("smoke");
        assert!(!smoke.thresholds.is_empty());
    }

    #[test]
    fn workers_follow_from_rate_and_timeout_up_to_a_bound_that_the_plan_may_set() {
        let workers = |rate: &str, bound: &str| {
            let text = BUILT_IN[1].1.replace("rate = 20.0", rate);
            let text = text.replace("measure = \"5s\"", &format!("measure = \"5s\"\n{bound}"));
            let plan = Plan::parse(&text, "p.toml").expect("a plan");
            (plan.workers(), plan.is_capped())
        };
        assert_eq!(workers("rate = 20.0", ""), (100, false));
        assert_eq!(workers("rate = 1000.0", ""), (5_000, false));
        assert_eq!(workers("rate = 1001.0", ""), (5_000, true));
        assert_eq!(workers("rate = 20.0", "max_workers = 99"), (99, true));
        assert_eq!(
            workers("rate = 1500.0", "max_workers = 7500"),
            (7_500, false)
        );
    }

    #[test]
    fn bad_plans_are_refused_by_file_line_and_key() {
        let smoke = BUILT_IN[1].1;
        let line_of = |text: &str, part: &str| {
            1 + text[..text.find(part).expect("is there")]
                .matches('\n')
                .count()
        };
        for (from, to, sentence) in [
            ("rate =", "ratee =", "unknown field `ratee`"),
            (
                "shape = \"constant\"",
                "shape = \"zigzag\"",
                "unknown variant `zigzag`",
            ),
            (
                "warmup = \"1s\"",
                "warmup = \"soon\"",
                "`soon` is no duration",
            ),
            (
                "rule = \"max < 5s\"",
                "rule = \"max 5s\"",
                "`max 5s` is no threshold",
            ),
            (
                "metadata = { share",
                "metadata = { shares",
                "unknown field `shares`",
            ),
        ] {
            assert!(smoke.contains(from), "{from}");
            let text = smoke.replace(from, to);
            let error = Plan::parse(&text, "p.toml").expect_err(to);
            assert!(
                error.starts_with(&format!("p.toml:{}: ", line_of(&text, to))),
                "{error}"
            );
            assert!(error.contains(sentence), "{error}");
        }
    }

    #[test]
    fn values_without_meaning_are_refused_by_key() {
        for (from, to, sentence) in [
            ("rate = 20.0", "rate = -1.0", "arrivals.rate"),
            ("measure = \"5s\"", "measure = \"0s\"", "run.measure"),
            ("name = \"smoke\"", "name = \"a b\"", "name `a b`"),
            (
                "rule = \"max < 5s\"",
                "route = \"teapot\"\nrule = \"max < 5s\"",
                "no route `teapot`",
            ),
            (
                "rule = \"max < 5s\"",
                "route = \"lisst\"\nrule = \"max < 5s\"",
                "did you mean \"list\"?",
            ),
            (
                "rule = \"max < 5s\"",
                "phase = \"mesure\"\nrule = \"max < 5s\"",
                "did you mean \"measure\"?",
            ),
            (
                "rule = \"max < 5s\"",
                "rule = \"p99.9 < 5s\"",
                "needs 10000 requests, and the plan sends at most 100",
            ),
            (
                "rule = \"max < 5s\"",
                "rule = \"p95 < 5s\"\nroute = \"upload\"",
                "needs 200 requests, and the plan sends at most 6",
            ),
            ("warmup = \"1s\"", "warmup = \"0s\"", "there is no warm-up"),
            ("measure = \"5s\"", "measure = \"100000m\"", "run.measure"),
            (
                "measure = \"5s\"",
                "measure = \"2m\"\nmax_workers = 50001",
                "run.max_workers",
            ),
            (
                "list = { share = 20",
                "list = { page_size = 0, share = 20",
                "routes.list.page_size",
            ),
        ] {
            let smoke = BUILT_IN[1].1.replace(
                "[[thresholds]]\nrule = \"max < 5s\"",
                "[[thresholds]]\nphase = \"warmup\"\nrule = \"error_rate < 50%\"\n[[thresholds]]\nrule = \"max < 5s\"",
            );
            assert!(smoke.contains(from), "{from}");
            let error = Plan::parse(&smoke.replace(from, to), "p.toml").expect_err(to);
            assert!(error.contains(sentence), "{error}");
        }
        let error = Plan::load(Path::new("no/such/plan.toml")).expect_err("refused");
        assert!(
            error.starts_with("no/such/plan.toml: ")
                && error.contains("built in are: browse, smoke"),
            "{error}"
        );
    }
}
