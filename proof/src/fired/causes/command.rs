//! Commands of a causes file, and lengths of time.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::super::scale::length;

/// How long a command may take that does not say it, in real time.
pub(crate) const COMMAND: Duration = Duration::from_mins(1);

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

    /// How long it may take where it is waited for, in real time.
    pub(crate) fn within(&self) -> Duration {
        match self {
            Self::Bounded(bounded) => bounded.within.0,
            Self::Plain(_) | Self::Background(_) => COMMAND,
        }
    }

    /// Whether it goes on until the roll-back.
    pub(crate) fn goes_on(&self) -> bool {
        matches!(self, Self::Background(_))
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
