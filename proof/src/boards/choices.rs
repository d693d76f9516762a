//! What is chosen for the variables of a board when it opens.

mod queries;

use std::collections::BTreeSet;
use std::time::Duration;

use regex::Regex;

use super::codes;
use super::folder::BoardFile;
use super::model::Variable;
use super::notes::Note;
use super::server::Server;
use super::variables::{Scope, Selection, Times, references};
use crate::exit::Refusal;

/// The value by which Grafana stores "All".
const ALL: &str = "$__all";
/// Values of a variable that are kept at most.
const MAX_VALUES: usize = 10_000;
const EMPTY: &str = "the variable has no value, so every query that uses it is empty";

/// The range and steps of queries that are only analysed, not run: each macro is recognised by its length, which nobody
/// writes by hand.
pub const RECOGNISABLE: Times = Times {
    from: 0.0,
    to: 30_000_017.0,
    interval: Duration::from_secs(1_000_003),
    scrape_interval: Duration::from_secs(19),
};
/// The length that stands for a variable of the kind `interval`.
pub const RECOGNISABLE_INTERVAL: Duration = Duration::from_secs(2_000_003);

/// The beginning of what stands for a value that only a server knows.
pub const PLACEHOLDER: &str = "chosen_";

/// The scope of an analysis: what the file says is chosen, and recognisable times.
pub fn of_file(board: &BoardFile) -> Scope {
    let mut scope = Scope::new(RECOGNISABLE);
    for variable in &board.board.templating.list {
        let mut values = written(variable);
        if values.is_empty() {
            values = variable.current.values();
        }
        values.retain(|value| value != ALL);
        if values.is_empty() {
            values.push(format!("{PLACEHOLDER}{}", variable.name));
        }
        let lengths = values
            .iter()
            .all(|value| super::variables::interval(value).is_some());
        let selection = if variable.kind == "interval" || lengths {
            Selection::One(format!("{}s", RECOGNISABLE_INTERVAL.as_secs()))
        } else {
            choose(variable, values).unwrap_or(Selection::One(String::new()))
        };
        scope.choose(&variable.name, selection, variable.is_multiple());
    }
    scope
}

/// The scope of a proof: the values that the server has now. Variables that have none are findings.
pub async fn of_server<'a>(
    board: &'a BoardFile,
    server: &Server,
    scrape_interval: Duration,
) -> Result<(Scope, Vec<Note<'a>>), Refusal> {
    let times = Times::of_panel(server.range(), 1000.0, None, scrape_interval);
    let mut scope = Scope::new(times);
    let mut notes = Vec::new();
    for variable in in_order(&board.board.templating.list) {
        let found = match variable.kind.as_str() {
            "query" => queries::values(variable, &scope, server).await?,
            "interval" => Ok(intervals(variable)),
            _ => Ok(written(variable)),
        };
        let has_none = matches!(&found, Ok(values) if values.is_empty());
        let chosen = found
            .and_then(|values| kept(variable, values))
            .and_then(|mut values| {
                values.truncate(MAX_VALUES);
                choose(variable, values).ok_or_else(|| (codes::VARIABLE_EMPTY, EMPTY.to_owned()))
            });
        let selection = chosen.unwrap_or_else(|(code, sentence)| {
            notes.push(Note::of_variable(board, variable, code, sentence));
            Selection::One(String::new())
        });
        if has_none
            && matches!(selection, Selection::AllAs(_))
            && let Some(label) = queries::label(&scope.query(variable.query_text()).text)
        {
            scope.leave_out(label);
        }
        scope.choose(&variable.name, selection, variable.is_multiple());
    }
    Ok((scope, notes))
}

/// What the variables of a board ask for, as PromQL: selectors and expressions.
pub fn questions(board: &BoardFile) -> Vec<(&Variable, String)> {
    let scope = of_file(board);
    let asking = |variable: &&Variable| variable.kind == "query";
    let variables = board.board.templating.list.iter().filter(asking);
    variables
        .filter_map(|variable| {
            let filled = scope.query(variable.query_text()).text;
            Some((variable, queries::promql(&filled)?))
        })
        .collect()
}

/// What is wrong with a variable: code and sentence.
type Wrong = (&'static str, String);

/// Those that are used by others first. In a circle the order of the file stays.
fn in_order(variables: &[Variable]) -> Vec<&Variable> {
    let mut left: Vec<&Variable> = variables.iter().collect();
    let mut ordered: Vec<&Variable> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let names: BTreeSet<&str> = left.iter().map(|variable| variable.name.as_str()).collect();
        let ready = left.iter().position(|variable| {
            let used = references(variable.query_text());
            used.iter()
                .all(|reference| reference.name == variable.name || !names.contains(reference.name))
        });
        ordered.push(left.remove(ready.unwrap_or(0)));
    }
    ordered
}

/// What the reader sees chosen when the board opens: what was saved, if it still exists, else "All" or the first value.
fn choose(variable: &Variable, values: Vec<String>) -> Option<Selection> {
    let saved = variable.current.values();
    let exists = !saved.is_empty() && saved.iter().all(|value| values.contains(value));
    if exists {
        return Some(selection(saved));
    }
    if !variable.include_all {
        return values.into_iter().next().map(Selection::One);
    }
    match variable.all_value.as_deref() {
        Some(text) if !text.is_empty() => Some(Selection::AllAs(text.to_owned())),
        _ if values.is_empty() => None,
        _ => Some(selection(values)),
    }
}

fn selection(mut values: Vec<String>) -> Selection {
    match values.len() {
        1 => Selection::One(values.remove(0)),
        _ => Selection::Many(values),
    }
}

/// The values that the file itself has.
fn written(variable: &Variable) -> Vec<String> {
    match variable.kind.as_str() {
        "custom" => custom(variable.query_text()),
        "constant" => vec![variable.query_text().to_owned()],
        "textbox" => {
            let typed = variable.current.values();
            if typed.is_empty() {
                vec![variable.query_text().to_owned()]
            } else {
                typed
            }
        }
        // Which data source it is makes no difference: all queries go to the server that was named.
        "datasource" => vec!["prometheus".to_owned()],
        "adhoc" => vec![String::new()],
        _ => variable
            .options
            .iter()
            .filter_map(|option| option.value.as_str())
            .map(str::to_owned)
            .collect(),
    }
}

/// `a, b : 2`: texts with or without a value of their own; a comma of a text is written `\,`.
fn custom(text: &str) -> Vec<String> {
    text.replace("\\,", "\u{0}")
        .split(',')
        .map(|option| {
            let value = option.split_once(" : ").map_or(option, |(_, value)| value);
            value.replace('\u{0}', ",").trim().to_owned()
        })
        .filter(|value| !value.is_empty())
        .collect()
}

/// The lengths to choose from, without "auto", which follows the range.
fn intervals(variable: &Variable) -> Vec<String> {
    let chosen = variable.current.values();
    chosen
        .into_iter()
        .chain(custom(variable.query_text()))
        .filter(|value| super::variables::interval(value).is_some())
        .collect()
}

/// The values that the variable's pattern keeps, as it cuts them.
fn kept(variable: &Variable, values: Vec<String>) -> Result<Vec<String>, Wrong> {
    if variable.regex.is_empty() {
        return Ok(values);
    }
    let pattern = pattern(&variable.regex).map_err(|error| {
        let sentence = format!(
            "the pattern {} is not understood ({error}), so the values are not known",
            variable.regex
        );
        (codes::VARIABLE_QUERY, sentence)
    })?;
    let mut kept: Vec<String> = Vec::new();
    for value in values {
        let Some(found) = pattern.captures(&value) else {
            continue;
        };
        let part = found.name("value").or_else(|| found.get(1));
        let part = part.map_or(value.as_str(), |part| part.as_str()).to_owned();
        if !kept.contains(&part) {
            kept.push(part);
        }
    }
    Ok(kept)
}

/// As Grafana reads it: between slashes with flags, else for the whole value.
fn pattern(text: &str) -> Result<Regex, regex::Error> {
    let Some((inner, flags)) = text
        .strip_prefix('/')
        .and_then(|rest| rest.rsplit_once('/'))
    else {
        return Regex::new(&format!("^{text}$"));
    };
    // JavaScript lets a slash be escaped and names groups without the P.
    let inner = inner.replace("\\/", "/");
    let insensitive = if flags.contains('i') { "(?i)" } else { "" };
    Regex::new(&format!("{insensitive}{inner}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(json: &str) -> Variable {
        serde_json::from_str(json).unwrap()
    }

    fn values(of: &[&str]) -> Vec<String> {
        of.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn what_is_chosen_is_what_opens() {
        for (json, expected) in [
            (r#"{"name": "a"}"#, Selection::One("x".into())),
            (
                r#"{"name": "a", "current": {"value": "y"}}"#,
                Selection::One("y".into()),
            ),
            (
                r#"{"name": "a", "current": {"value": "gone"}}"#,
                Selection::One("x".into()),
            ),
            (
                r#"{"name": "a", "includeAll": true, "current": {"value": ["$__all"]}}"#,
                Selection::Many(values(&["x", "y"])),
            ),
            (
                r#"{"name": "a", "includeAll": true, "allValue": ".+"}"#,
                Selection::AllAs(".+".into()),
            ),
            (
                r#"{"name": "a", "multi": true, "current": {"value": ["x", "y"]}}"#,
                Selection::Many(values(&["x", "y"])),
            ),
        ] {
            let chosen = choose(&variable(json), values(&["x", "y"]));
            assert_eq!(chosen, Some(expected), "{json}");
        }
    }

    #[test]
    fn a_pattern_keeps_and_cuts_values() {
        for (regex, expected) in [
            ("", vec!["node-1:9100", "node-2:9100", "x"]),
            ("/^node/", vec!["node-1:9100", "node-2:9100"]),
            ("node-1.*", vec!["node-1:9100"]),
            ("/(.*):9100/", vec!["node-1", "node-2"]),
            (r"/NODE-(?<value>\\d)/i", vec!["1", "2"]),
        ] {
            let variable = variable(&format!(r#"{{"regex": "{regex}"}}"#));
            let kept = kept(&variable, values(&["node-1:9100", "node-2:9100", "x"])).unwrap();
            assert_eq!(kept, expected, "{regex}");
        }
        let ahead = variable(r#"{"regex": "/(?!x)/"}"#);
        assert_eq!(
            kept(&ahead, Vec::new()).unwrap_err().0,
            codes::VARIABLE_QUERY
        );
    }

    #[test]
    fn custom_values_may_have_texts_and_commas() {
        assert_eq!(custom(r"a, Two : b,c\,d"), ["a", "b", "c,d"]);
    }

    #[test]
    fn a_variable_is_asked_for_after_those_that_it_uses() {
        let variables = [
            r#"{"name": "pod", "query": "label_values(up{job=~\"$job\"}, pod)"}"#,
            r#"{"name": "job", "query": {"query": "label_values(up{env=\"$env\"}, job)"}}"#,
            r#"{"name": "env", "query": "label_values(env)"}"#,
        ]
        .map(variable);
        let names: Vec<_> = in_order(&variables)
            .iter()
            .map(|v| v.name.clone())
            .collect();
        assert_eq!(names, ["env", "job", "pod"]);
    }
}
