//! Reads experiment files, and refuses bad ones with file, line and key.

mod expectation;

use std::path::{Path, PathBuf};

use loadtest::plan::Plan;

use super::{Effect, Experiment, MIN_PHASE_S, measurable};

/// Each may cost calls of a server.
const MAX_EXPECTATIONS: usize = 64;

/// Why a file is refused: `experiments/x.toml:12: unknown field ...`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}", .file.display(), .line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct BadFile {
    /// The file as it was named.
    pub file: PathBuf,
    /// Counted from 1, where a line can be told.
    pub line: Option<usize>,
    /// Names the key and says what would be right.
    pub message: String,
}

/// Reads and checks one experiment file.
pub fn read(file: &Path) -> Result<Experiment, BadFile> {
    let text = std::fs::read_to_string(file).map_err(|error| BadFile {
        file: file.to_owned(),
        line: None,
        message: format!(
            "cannot be read: {error}; `chitram-chaos list` shows the experiments there are"
        ),
    })?;
    parse(file, &text)
}

/// Checks the text of an experiment file; `file` is only for the message.
pub fn parse(file: &Path, text: &str) -> Result<Experiment, BadFile> {
    let experiment: Experiment = toml::from_str(text).map_err(|error| BadFile {
        file: file.to_owned(),
        line: line_of(text, &error),
        message: error.message().to_owned(),
    })?;
    check(&experiment).map_err(|objection| bad(file, text, objection))?;
    Ok(experiment)
}

/// The refusal of a file for an objection, on the line that it is about.
fn bad(file: &Path, text: &str, objection: Objection) -> BadFile {
    let Objection {
        key,
        value,
        message,
    } = objection;
    let of_key = || {
        text.lines()
            .enumerate()
            .filter(|(_, line)| is_key(line, key))
    };
    let quoted = format!("\"{value}\"");
    let exact = of_key().find(|(_, line)| !value.is_empty() && line.contains(&quoted));
    BadFile {
        file: file.to_owned(),
        line: exact
            .or_else(|| of_key().next())
            .map(|(index, _)| index + 1),
        message: format!("`{key}` {message}"),
    }
}

/// Checks an experiment that was read from `file` against the plan that it names: with these phases, can everything that
/// it expects be measured at all?
pub fn check_against(file: &Path, experiment: &Experiment, plan: &Plan) -> Result<(), BadFile> {
    measurable::check(experiment, plan).map_err(|objection| refuse(file, objection))
}

/// The refusal of a file that was read already.
pub fn refuse(file: &Path, objection: Objection) -> BadFile {
    bad(
        file,
        &std::fs::read_to_string(file).unwrap_or_default(),
        objection,
    )
}

/// The line of a parse error. Inside a table that is chosen by its `kind` the parser only knows where the table begins,
/// so an unknown key is looked for from there.
fn line_of(text: &str, error: &toml::de::Error) -> Option<usize> {
    let begin = error.span()?.start.min(text.len());
    let first = text.get(..begin)?.matches('\n').count();
    let unknown = error
        .message()
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split('`').next());
    let exact = unknown.and_then(|key| {
        text.lines()
            .enumerate()
            .skip(first)
            .find(|(_, line)| is_key(line, key))
            .map(|(index, _)| index)
    });
    Some(exact.unwrap_or(first) + 1)
}

/// Whether the line sets this key or opens the table of this name.
fn is_key(line: &str, key: &str) -> bool {
    let line = line.trim_start().trim_start_matches('[');
    line.strip_prefix(key)
        .is_some_and(|rest| rest.trim_start().starts_with(['=', ']', '.']))
}

/// What is wrong with an experiment.
#[derive(Debug, PartialEq, Eq)]
pub struct Objection {
    /// The key.
    pub key: &'static str,
    /// The value that is wrong, when one of several can be told by it; else empty.
    pub value: String,
    /// The rest of the sentence that begins with the key.
    pub message: String,
}

impl From<(&'static str, String)> for Objection {
    fn from((key, message): (&'static str, String)) -> Self {
        Self {
            key,
            value: String::new(),
            message,
        }
    }
}

fn check(experiment: &Experiment) -> Result<(), Objection> {
    if !is_label(&experiment.name) {
        return Err((
            "name",
            format!("is {:?}; use 1 to 64 of a-z, 0-9 and `-`", experiment.name),
        )
            .into());
    }
    if !is_label(&experiment.load.plan) {
        return Err((
            "plan",
            "is a plan's name without folder and `.toml`, such as \"browse\"".into(),
        )
            .into());
    }
    let phases = &experiment.phases;
    check_between("warm_up_s", phases.warm_up_s, 0, 600)?;
    check_between("baseline_s", phases.baseline_s, MIN_PHASE_S, 3600)?;
    check_between("fault_s", phases.fault_s, MIN_PHASE_S, 3600)?;
    check_between("within_s", experiment.recovery.within_s, 1, 600)?;
    check_share("error_ratio", experiment.guardrails.error_ratio)?;
    check_share("first_error_share", experiment.detection.first_error_share)?;
    if let Some(fault) = &experiment.fault {
        check_effect(&fault.effect)?;
    }
    if experiment.expect.is_empty() {
        return Err((
            "expect",
            "is empty; an experiment that expects nothing cannot fail".into(),
        )
            .into());
    }
    if experiment.expect.len() > MAX_EXPECTATIONS {
        let message = format!(
            "has {} entries; use at most {MAX_EXPECTATIONS}",
            experiment.expect.len()
        );
        return Err(("expect", message).into());
    }
    experiment
        .expect
        .iter()
        .try_for_each(|expect| expectation::check(expect, experiment.fault.is_some()))?;
    if experiment.fault.is_none() && experiment.detection.first_error_share.is_some() {
        return Err((
            "first_error_share",
            "asks for traces that name the fault, but there is no `[fault]`".to_owned(),
        )
            .into());
    }
    measurable::check_times(experiment)
}

fn check_effect(effect: &Effect) -> Result<(), Objection> {
    match *effect {
        Effect::Latency {
            latency_ms,
            jitter_ms,
            toxicity,
            ..
        } => {
            check_between("latency_ms", latency_ms, 1, 600_000)?;
            if jitter_ms >= latency_ms {
                return Err((
                    "jitter_ms",
                    format!("is {jitter_ms}, but must be less than `latency_ms`: no probe can feel a delay of nothing"),
                )
                    .into());
            }
            check_share("toxicity", Some(toxicity))
        }
        Effect::Timeout {
            timeout_ms,
            toxicity,
            ..
        }
        | Effect::ResetPeer {
            timeout_ms,
            toxicity,
            ..
        } => {
            check_between("timeout_ms", timeout_ms, 0, 600_000)?;
            check_share("toxicity", Some(toxicity))
        }
        Effect::Down {} => Ok(()),
    }
}

fn check_between(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), Objection> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err((key, format!("is {value}; use {least} to {most}")).into())
    }
}

fn check_share(key: &'static str, share: Option<f64>) -> Result<(), Objection> {
    match share {
        Some(share) if !(share > 0.0 && share <= 1.0) => {
            Err((key, format!("is {share}; use a share above 0, at most 1")).into())
        }
        _ => Ok(()),
    }
}

/// Whether the text can be a `run.id`, an `experiment.id` and a file's stem.
pub fn is_label(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests;
