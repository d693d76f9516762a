//! `result.json`: the verdicts for programs. The format is part of `docs/experiments.md`.

use report::model::Expectation;
use serde::Serialize;

use crate::definition::Experiment;
use crate::exit::Exit;
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
            format!("{measured} of {all} expectations were measured, and all of these held")
        });
        repeated
            .chain(decided)
            .chain(held)
            .chain(judgement.remarks.iter().cloned())
            .collect()
    }
}

#[derive(Serialize)]
struct Results<'a> {
    version: u32,
    run_id: &'a str,
    exit_code: u8,
    experiments: Vec<Row<'a>>,
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
    /// How often a wedged Toxiproxy of the stack was restarted.
    toxiproxy_restarts: u32,
}

/// The text of `result.json`.
pub fn json(run_id: &str, done: &[Done], exit: Exit) -> String {
    let rows = done.iter().map(|done| {
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
            toxiproxy_restarts: done.outcome.evidence.effort.restarts,
        }
    });
    let results = Results {
        version: VERSION,
        run_id,
        exit_code: exit as u8,
        experiments: rows.collect(),
    };
    serde_json::to_string_pretty(&results)
        .unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

/// The table of verdicts, for stdout.
pub fn table(done: &[Done]) -> String {
    let words = |done: &Done| done.outcome.judgement.words();
    let name_width = done
        .iter()
        .map(|done| done.experiment.name.len())
        .chain([10])
        .max()
        .unwrap_or(10);
    let verdict_width = done
        .iter()
        .map(|done| words(done).len())
        .chain([7])
        .max()
        .unwrap_or(7);
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
    std::iter::once(header)
        .chain(done.iter().map(row))
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
    format!("the promise held{}", recovered.unwrap_or_default())
}

/// The sentence for the report's first screen.
pub fn summary(done: &[Done]) -> String {
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
    match (unexpected.as_slice(), done.len()) {
        ([], 0) => "No experiment was finished.".into(),
        ([], 1) => "The verdict is the expected one.".into(),
        ([], all) => format!("All {all} verdicts are the expected ones."),
        (unexpected, all) => {
            let as_expected = all - unexpected.len();
            format!(
                "{}. {as_expected} of {all} verdicts are the expected ones.",
                unexpected.join("; ")
            )
        }
    }
}

/// The exit code of these experiments.
pub fn exit_of(done: &[Done]) -> Exit {
    verdict::exit_of(
        done.iter()
            .map(|done| (done.verdict(), done.experiment.expect_verdict)),
    )
}
