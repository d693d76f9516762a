//! What was tried and noticed, as a table for people.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::table::{Mutation, Needs};

/// What was found at one place.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The codes of the proof's findings.
    pub(crate) codes: BTreeSet<String>,
    /// Whether promtool fails; `None` where it does not look.
    pub(crate) promtool: Option<bool>,
    /// Whether amtool fails; `None` where it does not look.
    pub(crate) amtool: Option<bool>,
}

/// A mutation with every place at which it was tried.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) mutation: &'static Mutation,
    pub(crate) sites: Vec<(String, Found)>,
}

/// Says at once what survived: the whole takes minutes.
pub(crate) fn tell(mutation: &Mutation, place: &str, found: &Found) {
    if !mutation
        .found_as
        .iter()
        .any(|code| found.codes.contains(*code))
    {
        eprintln!("survived: {}: {place}: {:?}", mutation.name, found.codes);
    }
}

impl Outcome {
    fn is_caught(&self, found: &Found) -> bool {
        let wanted = |code: &str| found.codes.contains(code);
        self.mutation.found_as.iter().any(|code| wanted(code))
    }

    fn caught(&self) -> usize {
        let caught = |(_, found): &&(String, Found)| self.is_caught(found);
        self.sites.iter().filter(caught).count()
    }

    /// How many of the places a tool finds; `-` where it does not look.
    fn by(&self, tool: fn(&Found) -> Option<bool>) -> String {
        let looked: Vec<bool> = self.sites.iter().filter_map(|(_, f)| tool(f)).collect();
        match looked.len() {
            0 => "-".to_owned(),
            all => format!("{} of {all}", looked.iter().filter(|found| **found).count()),
        }
    }
}

/// The table in Markdown, and the sums below it.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| mutation | reported as | needs | places | noticed | found as | promtool | amtool |\n|---|---|---|---|---|---|---|---|\n",
    );
    for outcome in outcomes {
        let mutation = outcome.mutation;
        let needs = match mutation.needs {
            Needs::Files => "the files".to_owned(),
            Needs::Promtool => "promtool".to_owned(),
            Needs::Window(name) => format!("data: {name}"),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {needs} | {} | {} | {} | {} | {} |",
            mutation.name,
            mutation.reported,
            outcome.sites.len(),
            outcome.caught(),
            mutation.found_as.join(", "),
            outcome.by(|found| found.promtool),
            outcome.by(|found| found.amtool),
        );
    }
    let places: usize = outcomes.iter().map(|outcome| outcome.sites.len()).sum();
    let caught: usize = outcomes.iter().map(Outcome::caught).sum();
    let _ = writeln!(
        text,
        "\n{} mutations at {places} places: {caught} noticed, {} survived",
        outcomes.len(),
        places - caught
    );
    text
}

/// A mutation that nothing notices is a fault of the proof; so is one that is made nowhere.
pub(crate) fn fail_if_one_survives(outcomes: &[Outcome]) {
    let mut survivors = String::new();
    for outcome in outcomes {
        let name = outcome.mutation.name;
        if outcome.sites.is_empty() {
            let _ = writeln!(survivors, "{name}: fits nowhere");
        }
        for (place, found) in &outcome.sites {
            if !outcome.is_caught(found) {
                let codes: Vec<_> = found.codes.iter().map(String::as_str).collect();
                let codes = codes.join(", ");
                let _ = writeln!(survivors, "{name}: {place}\n    found: [{codes}]");
            }
        }
    }
    assert!(survivors.is_empty(), "survivors:\n{survivors}");
}
