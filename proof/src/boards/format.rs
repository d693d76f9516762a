//! The canonical form of a board: what two exports of one board have in common.
//!
//! Keys are sorted, indented by two spaces, with a newline at the end. Left out is what Grafana sets anew with each save or
//! each visit and what therefore says nothing about the board: numbers of its database and its plugins, and the values of
//! variables that are asked for anew when the board opens.

use std::path::Path;

use serde_json::{Map, Value};

use super::folder;
use crate::exit::Refusal;
use crate::files;

/// Fields of a board that are the database's.
const OF_THE_DATABASE: &[&str] = &["id", "version", "iteration"];

/// What formatting does with files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Writes those that differ.
    Write,
    /// Only tells which differ.
    Check,
}

/// Formats every board of a folder; returns the files that differed.
pub fn folder(path: &Path, mode: Mode) -> Result<Vec<String>, Refusal> {
    let mut differed = Vec::new();
    for file in folder::files(path)? {
        let name = file.display().to_string();
        let text = files::read(&file)?;
        let canonical =
            canonical(&text).map_err(|error| Refusal::usage(format!("{name}: {error}")))?;
        if canonical == text {
            continue;
        }
        if mode == Mode::Write {
            write(&file, &canonical)?;
        }
        differed.push(name);
    }
    Ok(differed)
}

/// Replaces a file whole: who reads it meanwhile sees the old text or the new.
fn write(file: &Path, text: &str) -> Result<(), Refusal> {
    let beside = file.with_extension("json.new");
    std::fs::write(&beside, text)
        .and_then(|()| std::fs::rename(&beside, file))
        .map_err(|error| {
            Refusal::internal(format!("{} cannot be written: {error}", file.display()))
        })
}

/// The canonical form of a board's text.
pub fn canonical(text: &str) -> Result<String, serde_json::Error> {
    let mut json: Value = serde_json::from_str(text)?;
    without_noise(&mut json);
    let mut text = serde_json::to_string_pretty(&sorted(json))?;
    text.push('\n');
    Ok(text)
}

/// Whether the text is in canonical form.
pub fn is_canonical(text: &str) -> bool {
    canonical(text).is_ok_and(|canonical| canonical == text)
}

fn without_noise(board: &mut Value) {
    let Value::Object(fields) = board else {
        return;
    };
    for field in OF_THE_DATABASE {
        fields.remove(*field);
    }
    without_plugin_versions(fields);
    if let Some(Value::Array(variables)) = fields
        .get_mut("templating")
        .and_then(|templating| templating.get_mut("list"))
    {
        variables.iter_mut().for_each(without_values);
    }
}

/// `pluginVersion` is the version of the Grafana that saved the panel.
fn without_plugin_versions(holder: &mut Map<String, Value>) {
    let Some(Value::Array(panels)) = holder.get_mut("panels") else {
        return;
    };
    for panel in panels {
        if let Value::Object(panel) = panel {
            panel.remove("pluginVersion");
            without_plugin_versions(panel);
        }
    }
}

/// The values of a query's variable are asked for on opening (`refresh` 1) or on each change of time (2).
fn without_values(variable: &mut Value) {
    let asked_anew =
        variable["type"] == "query" && matches!(variable["refresh"].as_u64(), Some(1 | 2));
    if let (true, Value::Object(fields)) = (asked_anew, variable) {
        fields.remove("options");
    }
}

/// Sorted whatever the features of `serde_json` that a build ends up with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by(|one, other| one.0.cmp(&other.0));
            fields
                .into_iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn noise_goes_and_the_rest_stays() {
        let text = r#"{"version": 7, "id": 3, "iteration": 5, "title": "é \" x", "panels": [
            {"pluginVersion": "12.0.0", "id": 1, "version": 2,
             "panels": [{"id": 9, "pluginVersion": "1"}]}],
            "templating": {"list": [{"type": "query", "refresh": 1, "options": [1], "name": "a"},
                                    {"type": "custom", "options": [1]}]}}"#;
        let expected = r#"{
  "panels": [
    {
      "id": 1,
      "panels": [
        {
          "id": 9
        }
      ],
      "version": 2
    }
  ],
  "templating": {
    "list": [
      {
        "name": "a",
        "refresh": 1,
        "type": "query"
      },
      {
        "options": [
          1
        ],
        "type": "custom"
      }
    ]
  },
  "title": "é \" x"
}
"#;
        assert_eq!(canonical(text).unwrap(), expected);
        assert!(is_canonical(expected) && !is_canonical(text));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9_f64).prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            let name = prop_oneof![
                "[a-e]",
                Just("panels".to_owned()),
                Just("refresh".to_owned())
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(name, inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn formatting_twice_is_formatting_once_and_changes_no_meaning(board in json()) {
            // Written compactly and in the order of a hash map: neither matters.
            let text = serde_json::to_string(&board).unwrap();
            let once = canonical(&text).unwrap();
            prop_assert_eq!(&canonical(&once).unwrap(), &once);
            // None of these names is noise, so that nothing may be missing.
            let back: Value = serde_json::from_str(&once).unwrap();
            prop_assert_eq!(back, serde_json::from_str::<Value>(&text).unwrap());
        }
    }
}
