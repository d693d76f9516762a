//! Reads boards from files.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::codes;
use super::model::Board;
use crate::exit::Refusal;
use crate::files;
use crate::finding::Finding;

/// Boards that are read at most.
const MAX_BOARDS: usize = 500;
/// Folders inside folders that are looked into.
const MAX_DEPTH: usize = 4;
/// Panels of one board at most, rows included.
const MAX_PANELS: usize = 1000;

/// One board and the file it is in.
#[derive(Clone, Debug)]
pub struct BoardFile {
    /// The file, as the command line leads to it.
    pub file: String,
    /// The board, as checks read it.
    pub board: Board,
    /// What the file says, for what is checked of the file itself.
    pub text: String,
}

impl BoardFile {
    /// The name of the file without the folders, which is how people call a board in an expectation.
    pub fn name(&self) -> &str {
        let path = Path::new(&self.file);
        path.file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or(&self.file)
    }
}

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Folder {
    /// The boards, by file name.
    pub boards: Vec<BoardFile>,
    /// Boards that cannot be proven.
    pub refused: Vec<Finding>,
}

/// Reads every `*.json` in the folder and its folders, or the one file.
pub fn read(path: &Path) -> Result<Folder, Refusal> {
    let mut folder = Folder::default();
    for file in files(path)? {
        let text = files::read(&file)?;
        match board(&file, text)? {
            Ok(board) => folder.boards.push(board),
            Err(finding) => folder.refused.push(finding),
        }
    }
    if folder.boards.is_empty() && folder.refused.is_empty() {
        return Err(Refusal::usage(format!(
            "{} has no board: no file whose name ends in .json",
            path.display()
        )));
    }
    Ok(folder)
}

/// The files, in the order of their names.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, Refusal> {
    let mut found = Vec::new();
    if path.is_file() {
        found.push(path.to_owned());
    } else {
        look_into(path, 0, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn look_into(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Refusal> {
    let unreadable =
        |error| Refusal::usage(format!("{} cannot be read: {error}", folder.display()));
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            if depth < MAX_DEPTH {
                look_into(&path, depth + 1, found)?;
            }
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            found.push(path);
        }
        if found.len() > MAX_BOARDS {
            return Err(Refusal::usage(format!(
                "{} has more than {MAX_BOARDS} boards",
                folder.display()
            )));
        }
    }
    Ok(())
}

/// As Grafana's API gives a board.
#[derive(Deserialize)]
struct Wrapped {
    dashboard: Board,
}

/// The board in the text; a finding, if it is one that cannot be proven.
fn board(file: &Path, text: String) -> Result<Result<BoardFile, Finding>, Refusal> {
    let name = file.display().to_string();
    let wrong = |error: serde_json::Error| Refusal::usage(format!("{name}: {error}"));
    let json: Value = serde_json::from_str(&text).map_err(wrong)?;
    if let Some(version) = second_schema(&json) {
        return Ok(Err(Finding {
            code: codes::SCHEMA_V2,
            file: name,
            subject: "board".to_owned(),
            query: None,
            sentence: format!(
                "the board is of the second schema ({version}), of which nothing was proven; export it in the classic model"
            ),
        }));
    }
    let wrapped = json["dashboard"].is_object();
    let inner = if wrapped { &json["dashboard"] } else { &json };
    if !inner["panels"].is_array() && !inner["rows"].is_array() {
        return Err(Refusal::usage(format!(
            "{name} is no board: it has neither `panels` nor `rows`"
        )));
    }
    // From the text, not from the JSON above: its errors name line and column.
    let board = if wrapped {
        serde_json::from_str::<Wrapped>(&text).map(|wrapped| wrapped.dashboard)
    } else {
        serde_json::from_str(&text)
    };
    let board: Board = board.map_err(wrong)?;
    let panels = board.all_panels().len();
    if panels > MAX_PANELS {
        return Err(Refusal::usage(format!(
            "{name} has {panels} panels, more than {MAX_PANELS}"
        )));
    }
    Ok(Ok(BoardFile {
        file: name,
        board,
        text,
    }))
}

/// What says that a board is of schema v2: its API version, or the fields that only v2 has.
fn second_schema(json: &Value) -> Option<String> {
    match json["apiVersion"].as_str() {
        Some(version) if version.starts_with("dashboard.grafana.app/v2") => {
            return Some(version.to_owned());
        }
        _ => {}
    }
    let spec = if json["spec"].is_object() {
        &json["spec"]
    } else {
        json
    };
    (spec["elements"].is_object() && spec["layout"].is_object())
        .then(|| "`elements` and `layout`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Result<BoardFile, Finding>, Refusal> {
        board(Path::new("a/b.json"), text.to_owned())
    }

    #[test]
    fn a_board_of_the_second_schema_is_refused_by_name() {
        for text in [
            r#"{"apiVersion": "dashboard.grafana.app/v2beta1", "spec": {}}"#,
            r#"{"elements": {}, "layout": {}, "title": "x"}"#,
            r#"{"kind": "Dashboard", "spec": {"elements": {}, "layout": {}}}"#,
        ] {
            let finding = of(text).unwrap().unwrap_err();
            assert_eq!(finding.code, codes::SCHEMA_V2);
            assert_eq!(finding.file, "a/b.json");
        }
    }

    #[test]
    fn what_is_no_board_is_refused_with_the_file_and_the_place() {
        for (text, said) in [
            (
                "{",
                "a/b.json: EOF while parsing an object at line 1 column 1",
            ),
            (
                "{}",
                "a/b.json is no board: it has neither `panels` nor `rows`",
            ),
            (
                r#"{"panels": [{"targets": [{"expr": 5}]}]}"#,
                "a/b.json: invalid type: integer `5`, expected a string at line 1 column 35",
            ),
        ] {
            assert_eq!(of(text).unwrap_err().sentence, said);
        }
    }

    #[test]
    fn null_is_as_good_as_missing_and_old_boards_are_read() {
        let text = r#"{"title": "x", "panels": null, "rows": [{"panels": [
            {"id": 1, "type": "graph", "datasource": "Prom", "description": null, "targets": null,
             "yaxes": [{"format": "s"}, {"format": "short"}], "nullPointMode": "connected"}]}]}"#;
        let file = of(text).unwrap().unwrap();
        let panel = file.board.leaf_panels()[0];
        assert_eq!(panel.unit(), "s");
        assert!(panel.connects_nulls());
        assert_eq!(panel.datasource.as_ref().unwrap().uid, "Prom");
        assert_eq!(file.name(), "b");
    }

    #[test]
    fn the_panels_of_collapsed_rows_are_panels() {
        let text = r#"{"meta": {}, "dashboard": {"panels": [
            {"id": 1, "type": "row", "collapsed": true, "panels": [{"id": 2, "type": "stat"}]},
            {"id": 3, "type": "row", "panels": []}, {"id": 4, "type": "text"}]}}"#;
        let file = of(text).unwrap().unwrap();
        let ids = |panels: Vec<&super::super::model::Panel>| {
            panels
                .iter()
                .filter_map(|panel| panel.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(file.board.leaf_panels()), [2, 4]);
        assert_eq!(ids(file.board.all_panels()), [1, 2, 3, 4]);
    }
}
