//! `result.json`: the verdicts for programs. The format is part of `docs/experiments.md`.

use report::model::{Ended, Expectation, State, Unfinished};
use serde::Serialize;

use crate::definition::Experiment;
use crate::exit::{Exit, Refusal};
use crate::judge;
use crate::lifecycle::Outcome;
use crate::verdict::{self, Finding, Verdict};

/// The version of the file's format.
const VERSION: u32 = 1;

/// One experiment that ran, with how often it was tried.
pub struct Done {
    /// Its file.
    pub experiment: Experiment,
    /// How it went, in the last attempt.
    pub outcome: Outcome,
    /// Why the attempt before was inconclusive, when there was one.
    pub repeated: Option<String>,
}

impl Done {
    /// Its verdict.
    pub fn verdict(&self) -> Verdict {
        self.outcome.judgement.verdict
    }

    /// Whether the verdict is the expected one.
    pub fn as_expected(&self) -> bool {
        self.verdict() == self.experiment.expect_verdict
    }

    /// Why, in sentences: the repetition, what decided the verdict, and figures worth knowing.
    pub fn reasons(&self) -> Vec<String> {
        let judgement = &self.outcome.judgement;
        let repeated = self.repeated.iter().map(|why| {
            format!("repeated once with a doubled baseline, since the first attempt was inconclusive: {why}")
        });
        let decided = judgement
            .findings
            .iter()
            .map(|finding| format!("{}: {}", finding.verdict, finding.sentence));
        let held = judgement.findings.is_empty().then(|| {
            let (measured, all) = judgement.measured();
            if measured == all {
                format!("all {all} expectations held")
            } else {
                format!("{measured} of {all} expectations were measured, and all of these held")
            }
        });
        repeated
            .chain(decided)
            .chain(held)
            .chain(judgement.remarks.iter().cloned())
            .collect()
    }
}

/// A command's experiments: those that were finished, those that were not, and how it ended. The only source of what files,
/// table and exit code say, so that they can't disagree.
#[derive(Default)]
pub struct Course {
    /// Finished, in order.
    pub done: Vec<Done>,
    /// The one that ended the command before its time.
    pub stopped: Option<Stopped>,
    /// Not begun: file names and titles of what was to come.
    pub to_come: Vec<(String, String)>,
}

/// What ended a command before its last experiment was finished.
pub struct Stopped {
    /// The experiment in which it happened; `None` between two.
    pub experiment: Option<(String, String)>,
    /// By a signal.
    pub interrupted: bool,
    /// One sentence; empty when there is nothing to add.
    pub why: String,
    /// The exit code.
    pub exit: Exit,
}

impl Stopped {
    /// By a signal, in an experiment or between two.
    pub fn interrupted(experiment: Option<(String, String)>, why: &str) -> Self {
        Self {
            experiment,
            interrupted: true,
            why: why.to_owned(),
            exit: Exit::Interrupted,
        }
    }

    /// Between two experiments, since what had happened so far could not be written.
    pub fn unwritten(refusal: Refusal) -> Self {
        Self {
            experiment: None,
            interrupted: false,
            why: refusal.sentence,
            exit: refusal.exit,
        }
    }
}

impl Course {
    /// How the command ended.
    pub fn ended(&self) -> Ended {
        match &self.stopped {
            Some(stopped) if stopped.interrupted => Ended::Interrupted,
            Some(_) => Ended::Failed,
            None if self.to_come.is_empty() => Ended::Finished,
            None => Ended::Running,
        }
    }

    /// The exit code; `None` while experiments are still to come.
    pub fn exit(&self) -> Option<Exit> {
        match &self.stopped {
            Some(stopped) => Some(stopped.exit),
            None if self.to_come.is_empty() => Some(exit_of(&self.done)),
            None => None,
        }
    }

    /// Whether every experiment was finished, and each with the expected verdict.
    pub fn as_expected(&self) -> bool {
        self.ended() == Ended::Finished
            && !self.done.is_empty()
            && self.done.iter().all(Done::as_expected)
    }

    /// The experiments without a verdict.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let row = |(name, title): &(String, String), state, why: &str| Unfinished {
            name: name.clone(),
            title: title.clone(),
            state,
            why: why.to_owned(),
        };
        let stopped = self.stopped.iter().filter_map(|stopped| {
            let state = if stopped.interrupted {
                State::Interrupted
            } else {
                State::Failed
            };
            Some(row(stopped.experiment.as_ref()?, state, &stopped.why))
        });
        let to_come = self.to_come.iter().map(|next| row(next, State::NotRun, ""));
        stopped.chain(to_come).collect()
    }
}

#[derive(Serialize)]
struct Results<'a> {
    version: u32,
    run_id: &'a str,
    ended: Ended,
    interrupted: bool,
    as_expected: bool,
    exit_code: Option<u8>,
    experiments: Vec<Row<'a>>,
    unfinished: Vec<Unfinished>,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    verdict: Verdict,
    expected: Verdict,
    as_expected: bool,
    measured: usize,
    expectations: &'a [Expectation],
    findings: &'a [Finding],
    remarks: &'a [String],
    repeated: bool,
    recovery_s: Option<f64>,
    /// What the expected alerts did.
    alerts: Vec<Detected>,
    /// How often a wedged Toxiproxy of the stack was restarted.
    toxiproxy_restarts: u32,
}

/// When an expected alert did what: seconds after the verified injection, `cleared_s` after the lift. `null`: it was not seen to.
#[derive(Serialize)]
struct Detected {
    alert: String,
    active_s: Option<f64>,
    firing_s: Option<f64>,
    cleared_s: Option<f64>,
}

fn detected(done: &Done) -> Vec<Detected> {
    let seconds = |us: Option<i64>| us.map(|us| us as f64 / 1e6);
    judge::alerts(&done.experiment, &done.outcome.evidence)
        .map(|(expected, times)| Detected {
            alert: expected.selector(),
            active_s: seconds(times.active),
            firing_s: seconds(times.firing),
            cleared_s: seconds(times.cleared),
        })
        .collect()
}

/// The text of `result.json`.
pub fn json(run_id: &str, course: &Course) -> String {
    let rows = course.done.iter().map(|done| {
        let judgement = &done.outcome.judgement;
        Row {
            name: &done.experiment.name,
            verdict: judgement.verdict,
            expected: done.experiment.expect_verdict,
            as_expected: done.as_expected(),
            measured: judgement.measured().0,
            expectations: &judgement.expectations,
            findings: &judgement.findings,
            remarks: &judgement.remarks,
            repeated: done.repeated.is_some(),
            recovery_s: judgement
                .recovered
                .map(|recovered| recovered.after_us as f64 / 1e6),
            alerts: detected(done),
            toxiproxy_restarts: done.outcome.evidence.effort.restarts,
        }
    });
    let results = Results {
        version: VERSION,
        run_id,
        ended: course.ended(),
        interrupted: course.ended() == Ended::Interrupted,
        as_expected: course.as_expected(),
        exit_code: course.exit().map(|exit| exit as u8),
        experiments: rows.collect(),
        unfinished: course.unfinished(),
    };
    serde_json::to_string_pretty(&results)
        .unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

/// The table of verdicts, for stdout.
pub fn table(course: &Course) -> String {
    let (done, unfinished) = (&course.done, course.unfinished());
    let words = |done: &Done| done.outcome.judgement.words();
    let names = done.iter().map(|done| done.experiment.name.len());
    let name_width = names
        .chain(unfinished.iter().map(|unfinished| unfinished.name.len()))
        .chain([10])
        .max()
        .unwrap_or(10);
    let verdict_width = done
        .iter()
        .map(|done| words(done).len())
        .chain([11])
        .max()
        .unwrap_or(11);
    let header = format!(
        "{:name_width$}  {:verdict_width$}  {:10}  why\n",
        "experiment", "verdict", "expected"
    );
    let row = |done: &Done| {
        let (name, expected) = (&done.experiment.name, done.experiment.expect_verdict);
        let first = done.outcome.judgement.findings.first();
        let why = first.map_or_else(|| held(done), |first| first.sentence.clone());
        let mark = if done.as_expected() {
            ""
        } else {
            "  <- not as expected"
        };
        format!(
            "{name:name_width$}  {:verdict_width$}  {expected:10}  {why}{mark}\n",
            words(done)
        )
    };
    let without_verdict = unfinished.iter().map(|unfinished| {
        format!(
            "{:name_width$}  {:verdict_width$}  {:10}  {}  <- no verdict\n",
            unfinished.name,
            unfinished.state.word(),
            "",
            unfinished.why
        )
    });
    std::iter::once(header)
        .chain(done.iter().map(row))
        .chain(without_verdict)
        .collect()
}

/// What a passed experiment showed, in a few words.
fn held(done: &Done) -> String {
    let judgement = &done.outcome.judgement;
    let recovered = judgement.recovered.map(|r| {
        format!(
            ", recovered {:.1} s after the lift",
            r.after_us as f64 / 1e6
        )
    });
    let (measured, all) = judgement.measured();
    let rest = if measured < all {
        format!(" as far as it was measured ({measured} of {all})")
    } else {
        String::new()
    };
    format!("the promise held{rest}{}", recovered.unwrap_or_default())
}

/// The sentence for the report's first screen.
pub fn summary(course: &Course) -> String {
    let done = &course.done;
    let all = done.len() + course.unfinished().len();
    let unexpected: Vec<String> = done
        .iter()
        .filter(|done| !done.as_expected())
        .map(|done| {
            format!(
                "{} ended {} instead of {}",
                done.experiment.name,
                done.verdict(),
                done.experiment.expect_verdict
            )
        })
        .collect();
    let finished = match done.len() {
        0 => "No experiment was finished".to_owned(),
        n => format!("{n} of {all} experiments finished"),
    };
    let verdicts = if unexpected.is_empty() {
        String::new()
    } else {
        format!("; {}", unexpected.join("; "))
    };
    match course.ended() {
        Ended::Interrupted => format!("Interrupted: {}{verdicts}.", lower(&finished)),
        Ended::Failed => format!("Ended early: {}{verdicts}.", lower(&finished)),
        Ended::Running => format!("Not complete: {}{verdicts}.", lower(&finished)),
        Ended::Finished if done.is_empty() => format!("{finished}."),
        Ended::Finished if !unexpected.is_empty() => format!(
            "{}. {} of {all} verdicts are the expected ones.",
            unexpected.join("; "),
            all - unexpected.len()
        ),
        Ended::Finished if all == 1 => "The verdict is the expected one.".into(),
        Ended::Finished => format!("All {all} verdicts are the expected ones."),
    }
}

/// A sentence as the second half of another.
fn lower(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

/// The exit code of these experiments.
pub fn exit_of(done: &[Done]) -> Exit {
    verdict::exit_of(
        done.iter()
            .map(|done| (done.verdict(), done.experiment.expect_verdict)),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::definition::parse;
    use crate::evidence::Evidence;
    use crate::judge::Judgement;

    fn done(verdict: Verdict) -> Done {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/control.toml");
        let judgement = Judgement {
            verdict,
            findings: Vec::new(),
            expectations: Vec::new(),
            recovered: None,
            remarks: Vec::new(),
        };
        Done {
            experiment: parse::read(&file).expect("an experiment"),
            outcome: Outcome {
                evidence: Evidence::default(),
                judgement,
                events: Vec::new(),
                interrupted: false,
            },
            repeated: None,
        }
    }

    fn named(name: &str) -> (String, String) {
        (name.to_owned(), format!("title of {name}"))
    }

    fn told(course: &Course) -> serde_json::Value {
        serde_json::from_str(&json("r", course)).expect("JSON")
    }

    #[test]
    fn a_command_that_was_interrupted_in_its_second_experiment_says_what_has_a_verdict_and_what_not()
     {
        let course = Course {
            done: vec![done(Verdict::Pass)],
            stopped: Some(Stopped::interrupted(Some(named("slow")), "rolled back")),
            to_come: vec![named("hole")],
        };
        assert!(!course.as_expected());
        assert_eq!(course.exit(), Some(Exit::Interrupted));
        let told = told(&course);
        assert_eq!(told["interrupted"], true);
        assert_eq!(told["exit_code"], 130);
        assert_eq!(told["experiments"][0]["verdict"], "pass");
        assert_eq!(told["unfinished"][0]["state"], "interrupted");
        assert_eq!(told["unfinished"][1]["name"], "hole");
        assert_eq!(told["unfinished"][1]["state"], "not_run");
        assert_eq!(
            summary(&course),
            "Interrupted: 1 of 3 experiments finished."
        );
        let table = table(&course);
        assert_eq!(table.matches("no verdict").count(), 2, "{table}");
    }

    #[test]
    fn a_refusal_after_a_pass_is_in_the_files_with_its_exit_code() {
        let course = Course {
            done: vec![done(Verdict::Pass)],
            stopped: Some(Stopped {
                experiment: Some(named("slow")),
                interrupted: false,
                why: "the proxy is away".into(),
                exit: Exit::Unavailable,
            }),
            to_come: Vec::new(),
        };
        let told = told(&course);
        assert_eq!(told["exit_code"], 69);
        assert_eq!(
            (&told["ended"], &told["as_expected"]),
            (&"failed".into(), &false.into())
        );
        assert_eq!(told["unfinished"][0]["why"], "the proxy is away");
    }

    #[test]
    fn what_is_written_while_experiments_are_to_come_is_no_result_yet() {
        let course = Course {
            done: vec![done(Verdict::Pass)],
            stopped: None,
            to_come: vec![named("slow")],
        };
        let told = told(&course);
        assert_eq!(told["exit_code"], serde_json::Value::Null);
        assert_eq!(
            (&told["ended"], &told["as_expected"]),
            (&"running".into(), &false.into())
        );
    }

    #[test]
    fn what_could_not_be_written_ends_the_command_and_the_rest_is_told_as_not_run() {
        let course = Course {
            done: vec![done(Verdict::Pass)],
            stopped: Some(Stopped::unwritten(Refusal::internal("r.json: full"))),
            to_come: vec![named("slow")],
        };
        let told = told(&course);
        assert_eq!(told["exit_code"], 70);
        assert_eq!(
            (&told["ended"], &told["as_expected"]),
            (&"failed".into(), &false.into())
        );
        assert_eq!(told["unfinished"][0]["state"], "not_run");
    }

    #[test]
    fn a_command_without_an_experiment_is_never_as_expected() {
        assert!(!Course::default().as_expected());
        assert_eq!(summary(&Course::default()), "No experiment was finished.");
        let finished = Course {
            done: vec![done(Verdict::Pass)],
            ..Course::default()
        };
        assert!(finished.as_expected());
        assert_eq!(finished.exit(), Some(Exit::AsExpected));
    }
}
