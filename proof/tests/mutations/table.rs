//! What a row of the table says.

use std::cell::RefCell;
use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

/// Something that is broken on purpose.
#[derive(Debug)]
pub(crate) struct Mutation {
    /// What is done, in a few words; unique.
    pub(crate) name: &'static str,
    /// The public reports that it stands for.
    pub(crate) reported: &'static str,
    /// What is changed.
    pub(crate) change: Change,
    /// The codes of findings of which one must appear.
    pub(crate) found_as: &'static [&'static str],
    /// What the proof needs in order to notice it.
    pub(crate) needs: Needs,
}

/// How a file is changed at one place: the changed text or value, or `None` where the place does not fit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// The expression of one query of a panel.
    Query(fn(&str) -> Option<String>),
    /// One panel.
    Panel(fn(&mut Value) -> Option<()>),
    /// One board.
    Board(fn(&mut Value) -> Option<()>),
    /// The text of Grafana's data sources.
    DataSources(fn(&str) -> Option<String>),
    /// The expression of one alert that is written by hand.
    Alert(fn(&str) -> Option<String>),
    /// The fields of one alert that is written by hand.
    AlertFields(fn(&mut Value) -> Option<()>),
    /// The expression of one generated rule, in a file of its own, as if it was written by hand.
    Generated(fn(&str) -> Option<String>),
    /// The rules of one generated group, in a file of their own, as if they were written by hand.
    GeneratedRules(fn(&mut Vec<Value>) -> Option<()>),
    /// The objectives, from which rules are generated.
    Objectives(fn(&str) -> Option<String>),
    /// A file of promtool tests.
    Tests(fn(&str) -> Option<String>),
    /// Alertmanager's configuration.
    Routes(fn(&mut Value) -> Option<()>),
}

/// What the proof needs in order to notice a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// The files.
    Files,
    /// promtool and the tests of the rules.
    Promtool,
    /// A window of the recording, by its name.
    Window(&'static str),
}

/// A row that the files alone show.
pub(crate) const fn files(
    name: &'static str,
    reported: &'static str,
    change: Change,
    found_as: &'static [&'static str],
) -> Mutation {
    row(name, reported, change, found_as, Needs::Files)
}

/// A row that promtool's tests show.
pub(crate) const fn tested(name: &'static str, reported: &'static str, change: Change) -> Mutation {
    row(name, reported, change, &["promtool-test"], Needs::Promtool)
}

/// A row that the data of a window shows.
pub(crate) const fn live(
    name: &'static str,
    reported: &'static str,
    window: &'static str,
    change: Change,
    found_as: &'static [&'static str],
) -> Mutation {
    row(name, reported, change, found_as, Needs::Window(window))
}

const fn row(
    name: &'static str,
    reported: &'static str,
    change: Change,
    found_as: &'static [&'static str],
    needs: Needs,
) -> Mutation {
    Mutation {
        name,
        reported,
        change,
        found_as,
        needs,
    }
}

/// The text with the first match of a pattern replaced; `None` if there is none, or nothing changes.
pub(crate) fn replaced(text: &str, pattern: &str, by: &str) -> Option<String> {
    let changed = compiled(pattern, |pattern| pattern.replace(text, by).into_owned());
    (changed != text).then_some(changed)
}

/// As [`replaced`], everywhere.
pub(crate) fn replaced_all(text: &str, pattern: &str, by: &str) -> Option<String> {
    let changed = compiled(pattern, |pattern| {
        pattern.replace_all(text, by).into_owned()
    });
    (changed != text).then_some(changed)
}

/// Each pattern is compiled once: it is asked of every query and every rule.
fn compiled<T>(pattern: &str, use_it: impl FnOnce(&Regex) -> T) -> T {
    thread_local! {
        static KNOWN: RefCell<BTreeMap<String, Regex>> = const { RefCell::new(BTreeMap::new()) };
    }
    KNOWN.with_borrow_mut(|known| {
        let regex = known
            .entry(pattern.to_owned())
            .or_insert_with(|| Regex::new(pattern).unwrap());
        use_it(regex)
    })
}
