//! What was judged: figures, findings, and what could not be measured.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::finding::Finding;

/// The version of the JSON form.
const VERSION: u32 = 1;

/// The result of the command.
#[derive(Debug, Serialize)]
pub(super) struct Judgement {
    /// [`VERSION`].
    version: u32,
    /// What was counted, in the order in which it was judged.
    pub(super) measured: Vec<Measured>,
    /// What is wrong: one for each code and subject, with the first case and how many there are.
    pub(super) findings: Vec<Finding>,
    /// What was asked for and could not be measured, and why. While there is something, nothing is proven.
    pub(super) unmeasured: Vec<String>,
    /// How many cases each finding stands for, by its place among the findings.
    #[serde(skip)]
    cases: Vec<usize>,
    #[serde(skip)]
    known: BTreeMap<(&'static str, String, String), usize>,
}

/// Figures that belong together.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    /// What they are about.
    pub(super) about: String,
    /// Name and number.
    pub(super) figures: Vec<(&'static str, f64)>,
}

impl Judgement {
    pub(super) fn new() -> Self {
        Self {
            version: VERSION,
            measured: Vec::new(),
            findings: Vec::new(),
            unmeasured: Vec::new(),
            cases: Vec::new(),
            known: BTreeMap::new(),
        }
    }

    /// Notes a fault. `place` is the address that was asked; a further case of the same code and subject is only counted.
    pub(super) fn find(
        &mut self,
        code: &'static str,
        place: &str,
        subject: impl Into<String>,
        sentence: impl Into<String>,
    ) {
        let subject = subject.into();
        let key = (code, place.to_owned(), subject.clone());
        if let Some(&known) = self.known.get(&key) {
            self.cases[known] += 1;
            return;
        }
        self.known.insert(key, self.findings.len());
        self.cases.push(1);
        self.findings.push(Finding {
            code,
            file: place.to_owned(),
            subject,
            query: None,
            sentence: sentence.into(),
        });
    }

    /// Notes figures.
    pub(super) fn measure(&mut self, about: impl Into<String>, figures: Vec<(&'static str, f64)>) {
        self.measured.push(Measured {
            about: about.into(),
            figures,
        });
    }

    /// Notes that something could not be measured.
    pub(super) fn cannot(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if !self.unmeasured.contains(&sentence) {
            self.unmeasured.push(sentence);
        }
    }

    /// Adds to each finding how many cases it stands for, and sorts them by place, code and subject.
    pub(super) fn finish(mut self) -> Self {
        for (finding, cases) in self.findings.iter_mut().zip(&self.cases) {
            if *cases > 1 {
                finding.sentence = format!("{} ({cases} cases)", finding.sentence);
            }
        }
        self.findings.sort_by(|one, other| {
            (&one.file, one.code, &one.subject).cmp(&(&other.file, other.code, &other.subject))
        });
        self
    }

    /// The codes that were found.
    #[cfg(test)]
    pub(super) fn codes(&self) -> Vec<&'static str> {
        let mut codes: Vec<&str> = self.findings.iter().map(|finding| finding.code).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_of_one_kind_are_one_finding_that_tells_their_number() {
        let mut judgement = Judgement::new();
        for number in 0..3 {
            judgement.find("a", "http://h", "x", format!("case {number}"));
        }
        judgement.find("a", "http://h", "y", "another");
        let judgement = judgement.finish();
        let sentences: Vec<&str> = judgement
            .findings
            .iter()
            .map(|finding| finding.sentence.as_str())
            .collect();
        assert_eq!(sentences, ["case 0 (3 cases)", "another"]);
        assert_eq!(judgement.codes(), ["a"]);
    }
}
