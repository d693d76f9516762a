//! The causes file: how each alert is made to fire for its cause. Its format is documented in `docs/fired.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::scale::length;
use crate::exit::Refusal;
use crate::files;

/// Runs of one file at most.
const MAX_RUNS: usize = 500;
/// How long a command may take that does not say it, in real time.
const COMMAND: Duration = Duration::from_mins(1);

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Causes {
    /// The alert that always fires: it must be seen before each cause, or nothing would be seen.
    pub(crate) watchdog: Option<String>,
    /// What is broken.
    pub(crate) system: System,
    /// The runs.
    #[serde(rename = "run", default)]
    pub(crate) runs: Vec<Run>,
    /// Alerts that no run proves.
    #[serde(default)]
    pub(crate) unproven: Vec<Unproven>,
}

/// The system that is started for each run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct System {
    /// Starts it, in the foreground. It is ended by SIGTERM.
    pub(crate) start: Vec<String>,
    /// Environment of the system and of every command.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// A TOML file that it writes, whose keys become placeholders.
    pub(crate) values: Option<String>,
    /// A URL that returns 200 when the system is ready.
    pub(crate) ready: Option<String>,
    /// How long alerts may be active from the start, unscaled: an empty cache, or the first connections.
    #[serde(default = "settles_within")]
    pub(crate) settles_within: Length,
    /// A `prometheus.yml` whose scrape configurations are taken.
    pub(crate) scrapes: Option<String>,
    /// Scrape configurations, as Prometheus reads them.
    #[serde(default)]
    pub(crate) scrape: Vec<Value>,
    /// Keys of Prometheus' `global` configuration; its intervals are not taken from here.
    #[serde(default)]
    pub(crate) global: serde_json::Map<String, Value>,
    /// Base URL of the index or data stream in which log lines are searched.
    pub(crate) logs: Option<String>,
    /// Base URL of Jaeger's query API.
    pub(crate) traces: Option<String>,
    /// Run once, before the first system starts.
    #[serde(default)]
    pub(crate) prepare_once: Vec<Command>,
    /// Run for each system, when it is ready.
    #[serde(default)]
    pub(crate) prepare: Vec<Command>,
    /// Load that goes on for the whole run.
    #[serde(default)]
    pub(crate) load: Vec<String>,
}

/// One cause and what it must lead to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    /// Names it, also as a folder: lower-case letters, digits and dashes.
    pub(crate) name: String,
    /// What is broken: one sentence.
    pub(crate) cause: String,
    /// Belongs to the few that run on each change.
    #[serde(default)]
    pub(crate) core: bool,
    /// More arguments of the system's start.
    #[serde(default)]
    pub(crate) arguments: Vec<String>,
    /// Another URL that returns 200 when the system is ready for this run.
    pub(crate) ready: Option<String>,
    /// Environment of the system, besides its own.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Run before the system starts, in its empty folder.
    #[serde(default)]
    pub(crate) before: Vec<Command>,
    /// Run when the system is ready, after its own `prepare`.
    #[serde(default)]
    pub(crate) prepare: Vec<Command>,
    /// Run when the system has ended; always.
    #[serde(default)]
    pub(crate) after: Vec<Command>,
    /// Load instead of the system's.
    pub(crate) load: Option<Vec<String>>,
    /// How long nothing may fire before the cause, unscaled.
    #[serde(default = "control")]
    pub(crate) control: Length,
    /// How long a run without a cause is watched, unscaled.
    pub(crate) lasts: Option<Length>,
    /// Injects the cause, one command after the other.
    #[serde(default)]
    pub(crate) inject: Vec<Command>,
    /// Rolls it back; always run.
    #[serde(default)]
    pub(crate) restore: Vec<Command>,
    /// Alerts that may fire as well: consequences of the cause.
    #[serde(default)]
    pub(crate) may_fire: Vec<String>,
    /// Alerts that must fire and clear.
    #[serde(rename = "alert", default)]
    pub(crate) alerts: Vec<Expected>,
    /// Alerts that always fire and must fall silent.
    #[serde(rename = "silent", default)]
    pub(crate) silent: Vec<Silent>,
    /// Panels that must show it.
    #[serde(rename = "panel", default)]
    pub(crate) panels: Vec<Panel>,
    /// Log lines that must name it.
    pub(crate) log: Option<Log>,
    /// A trace that must name it.
    pub(crate) trace: Option<Trace>,
    /// What is kept under it.
    #[serde(rename = "promise", default)]
    pub(crate) promises: Vec<Promise>,
    /// Columns of the matrix that do not apply, with the reason.
    #[serde(default)]
    pub(crate) not_applicable: BTreeMap<Column, String>,
}

/// A kind of evidence: a column of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Column {
    /// Promises that are kept.
    Promise,
    /// Panels that move.
    Panel,
    /// A trace that names the cause.
    Trace,
    /// A log line that names it.
    Log,
}

impl Column {
    /// All of them, in the order of the matrix.
    pub(crate) const ALL: [Self; 4] = [Self::Promise, Self::Panel, Self::Trace, Self::Log];

    /// Its key in the file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Promise => "promise",
            Self::Panel => "panel",
            Self::Trace => "trace",
            Self::Log => "log",
        }
    }
}

/// An alert that must fire.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// Its name.
    pub(crate) name: String,
    /// Labels that it must have, among others.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// The longest time from the injection to the notification, unscaled.
    pub(crate) within: Length,
    /// The longest time from the roll-back to the notification that it is resolved, unscaled.
    pub(crate) clears_within: Length,
}

/// An alert whose notifications must stop.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Silent {
    /// Its name.
    pub(crate) alert: String,
    /// The longest time until its silence is noticed, unscaled.
    pub(crate) within: Length,
    /// The longest time after the roll-back until it is heard again, unscaled.
    pub(crate) clears_within: Length,
}

/// A panel of a board.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Panel {
    /// The board's uid, or the name of its file without `.json`.
    pub(crate) board: String,
    /// The panel's title.
    pub(crate) panel: String,
}

/// Log lines.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    /// Elasticsearch's query string: no line before the cause, at least one under it.
    pub(crate) query: String,
}

/// A trace.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trace {
    /// The service by whose name traces are searched.
    pub(crate) service: String,
    /// The operation of the span that names the cause.
    pub(crate) span: Option<String>,
    /// Tags of that span.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// Something that is kept under the cause.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Promise {
    /// What, for a person.
    pub(crate) says: String,
    /// PromQL that has a result if it is kept; its lengths are scaled.
    pub(crate) expr: String,
}

/// An alert that no run proves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unproven {
    /// Its name.
    pub(crate) alert: String,
    /// Labels that tell it from others of its name.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// Why not.
    pub(crate) reason: String,
}

/// A command and how it is run.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a command: a list of words, { run = [words], within = \"2m\" }, or { background = [words] }"
)]
pub(crate) enum Command {
    /// Run to its end.
    Plain(Vec<String>),
    /// Run to its end, which may take longer.
    Bounded(Bounded),
    /// Goes on until the roll-back.
    Background(Background),
}

/// A command that says how long it may take.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bounded {
    run: Vec<String>,
    /// In real time.
    within: Length,
}

/// A command that goes on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Background {
    background: Vec<String>,
}

impl Command {
    /// Program and arguments.
    pub(crate) fn words(&self) -> &[String] {
        match self {
            Self::Plain(words) => words,
            Self::Bounded(bounded) => &bounded.run,
            Self::Background(background) => &background.background,
        }
    }

    /// How long it may take, in real time; `None` when it goes on until the roll-back.
    pub(crate) fn within(&self) -> Option<Duration> {
        match self {
            Self::Plain(_) => Some(COMMAND),
            Self::Bounded(bounded) => Some(bounded.within.0),
            Self::Background(_) => None,
        }
    }
}

/// A length of time as Prometheus writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Length(pub(crate) Duration);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        length::parse(&text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

fn settles_within() -> Length {
    Length(Duration::from_mins(30))
}

fn control() -> Length {
    Length(Duration::from_mins(15))
}

impl Run {
    /// Whether the run shows evidence of this kind.
    pub(crate) fn shows(&self, column: Column) -> bool {
        match column {
            Column::Promise => !self.promises.is_empty(),
            Column::Panel => !self.panels.is_empty(),
            Column::Trace => self.trace.is_some(),
            Column::Log => self.log.is_some(),
        }
    }

    /// Whether it only watches that nothing fires.
    pub(crate) fn is_control(&self) -> bool {
        self.alerts.is_empty() && self.silent.is_empty()
    }
}

impl Causes {
    /// Reads a file.
    pub(crate) fn read(file: &Path) -> Result<Self, Refusal> {
        let name = file.display();
        Self::parse(&files::read(file)?).map_err(|error| Refusal::usage(format!("{name}: {error}")))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let causes: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        causes.check()?;
        Ok(causes)
    }

    /// What the types do not say.
    fn check(&self) -> Result<(), String> {
        if self.system.start.is_empty() {
            return Err("system.start: a command is expected".to_owned());
        }
        if self.system.scrapes.is_none() == self.system.scrape.is_empty() {
            return Err("[system]: give either `scrapes` or [[system.scrape]]".to_owned());
        }
        if self.runs.len() > MAX_RUNS {
            return Err(format!("more than {MAX_RUNS} runs"));
        }
        let mut names = BTreeSet::new();
        for run in &self.runs {
            if !names.insert(&run.name) {
                return Err(format!("run {}: its name is another's", run.name));
            }
            run.check()
                .map_err(|error| format!("run {}: {error}", run.name))?;
        }
        let commands = self.system.prepare_once.iter().chain(&self.system.prepare);
        if commands
            .into_iter()
            .any(|command| command.words().is_empty())
        {
            return Err("[system]: an empty command".to_owned());
        }
        Ok(())
    }
}

impl Run {
    fn check(&self) -> Result<(), String> {
        let plain =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err("its name must be lower-case letters, digits and dashes".to_owned());
        }
        match (self.is_control(), self.lasts) {
            (true, None) => {
                return Err("it expects no alert, so say how long it `lasts`".to_owned());
            }
            (false, Some(_)) => return Err("`lasts` is for runs that expect no alert".to_owned()),
            _ => {}
        }
        if !self.is_control() && self.inject.is_empty() {
            return Err("it expects an alert and injects nothing".to_owned());
        }
        if [
            &self.before,
            &self.prepare,
            &self.inject,
            &self.restore,
            &self.after,
        ]
        .into_iter()
        .flatten()
        .any(|command| command.words().is_empty())
        {
            return Err("an empty command".to_owned());
        }
        let both = Column::ALL
            .iter()
            .find(|column| self.shows(**column) && self.not_applicable.contains_key(column));
        if let Some(column) = both {
            return Err(format!(
                "{} is shown and declared not to apply",
                column.name()
            ));
        }
        if self
            .not_applicable
            .values()
            .any(|reason| reason.trim().is_empty())
        {
            return Err("not_applicable: a reason is expected".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "[system]\nstart = ['a']\nscrape = [{job_name = 'a'}]\n";

    fn refused(runs: &str) -> String {
        Causes::parse(&format!("{SYSTEM}{runs}")).unwrap_err()
    }

    #[test]
    fn a_command_is_words_or_says_how_it_is_run() {
        let causes = Causes::parse(&format!(
            "{SYSTEM}[[run]]\nname = 'a'\ncause = 'A.'\ninject = [['x', 'y'], {{ background = ['z'] }}, {{ run = ['w'], within = '2m' }}]
            [[run.alert]]\nname = 'A'\nwithin = '10m'\nclears_within = '10m'\n"
        ))
        .unwrap();
        let within: Vec<_> = causes.runs[0].inject.iter().map(Command::within).collect();
        assert_eq!(within, [Some(COMMAND), None, Some(Duration::from_mins(2))]);
        assert_eq!(causes.runs[0].control.0, Duration::from_mins(15));
    }

    #[test]
    fn what_can_not_be_meant_is_refused_with_its_place() {
        let alert = "[[run.alert]]\nname = 'A'\nwithin = '10m'\nclears_within = '10m'\n";
        for (runs, said) in [
            (
                "[[run]]\nname = 'a'\ncause = 'A.'\n",
                "run a: it expects no alert",
            ),
            (
                &format!("[[run]]\nname = 'a'\ncause = 'A.'\n{alert}"),
                "injects nothing",
            ),
            (
                &format!("[[run]]\nname = 'A b'\ncause = 'A.'\ninject = [['x']]\n{alert}"),
                "lower-case",
            ),
            (
                &format!("[[run]]\nname = 'a'\ncause = 'A.'\ninject = [[]]\n{alert}"),
                "empty command",
            ),
            (
                "[[run]]\nname = 'a'\ncause = 'A.'\ninjects = []\n",
                "unknown field `injects`",
            ),
            (
                "[[run]]\nname = 'a'\ncause = 'A.'\ninject = ['x']\n",
                "expected a command",
            ),
            (
                "[[run]]\nname = 'a'\ncause = 'A.'\nlasts = '5'\n",
                "no unit",
            ),
            (
                "[[run]]\nname = 'a'\ncause = 'A.'\nlasts = '5m'\nlog = { query = 'x' }\nnot_applicable = { log = 'y' }\n",
                "shown and declared",
            ),
        ] {
            let error = refused(runs);
            assert!(error.contains(said), "{error}");
        }
        let twice = "[[run]]\nname = 'a'\ncause = 'A.'\nlasts = '5m'\n".repeat(2);
        assert!(refused(&twice).contains("another's"));
        assert!(
            Causes::parse("[system]\nstart = ['a']\n")
                .unwrap_err()
                .contains("scrape")
        );
    }
}
