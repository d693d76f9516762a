//! One run: a cause, and what it must lead to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::command::{Command, Length};

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

impl Run {
    /// What the types do not say.
    pub(super) fn check(&self) -> Result<(), String> {
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

fn control() -> Length {
    Length(Duration::from_mins(15))
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
