//! The causes file: how each alert is made to fire for its cause. Its format is documented in `docs/fired.md`.

mod command;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

pub(crate) use self::command::{Command, Length};
pub(crate) use self::run::{Column, Expected, Log, Panel, Run, Silent, Trace};
use crate::exit::Refusal;
use crate::files;

/// Runs of one file at most.
const MAX_RUNS: usize = 500;

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

fn settles_within() -> Length {
    Length(Duration::from_mins(30))
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

#[cfg(test)]
mod tests {
    use super::command::COMMAND;
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
        let inject = &causes.runs[0].inject;
        let goes_on: Vec<_> = inject.iter().map(Command::goes_on).collect();
        assert_eq!(goes_on, [false, true, false]);
        let within = [&inject[0], &inject[2]].map(Command::within);
        assert_eq!(within, [COMMAND, Duration::from_mins(2)]);
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
