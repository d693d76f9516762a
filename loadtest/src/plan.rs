//! Plans: what to send, how often, and what must hold. Nothing unparsed gets past `file`.

mod file;

use std::path::Path;
use std::time::Duration;

use self::file::RawPlan;
use crate::schedule::Schedule;
use crate::threshold::Threshold;

/// Plans that need no file.
const BUILT_IN: [(&str, &str); 2] = [
    ("browse", include_str!("../plans/browse.toml")),
    ("smoke", include_str!("../plans/smoke.toml")),
];

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
            (Err(error), None) => Err(format!(
                "{name}: the plan can't be read ({error}); built in are: {}",
                BUILT_IN.map(|b| b.0).join(", ")
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

    /// As many workers as requests can be in flight when each takes as long as the timeout.
    pub fn workers(&self) -> usize {
        let needed = (self.rate * self.timeout.as_secs_f64()).ceil() as usize;
        needed.clamp(1, self.max_workers)
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
        let smoke = Plan::load(Path::new("smoke")).expect("smoke");
        assert!(!smoke.thresholds.is_empty());
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
        ] {
            assert!(BUILT_IN[1].1.contains(from), "{from}");
            let error = Plan::parse(&BUILT_IN[1].1.replace(from, to), "p.toml").expect_err(to);
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
