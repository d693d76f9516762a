//! The file as a whole: its form, its names, and where its links lead.

use std::collections::{BTreeMap, BTreeSet};

use super::super::codes;
use super::super::folder::BoardFile;
use super::super::format;
use super::super::model::{Link, Panel};
use super::super::notes::Note;

pub(super) fn notes(boards: &[BoardFile]) -> Vec<Note<'_>> {
    let mut notes = uids(boards);
    for board in boards {
        if !format::is_canonical(&board.text) {
            notes.push(Note::of_board(
                board,
                codes::NOT_CANONICAL,
                "the file is not in canonical form; run `chitram-proof boards --format` on it",
            ));
        }
        notes.extend(ids(board));
        notes.extend(links(board, boards));
    }
    notes
}

fn uids(boards: &[BoardFile]) -> Vec<Note<'_>> {
    let mut owners: BTreeMap<&str, &BoardFile> = BTreeMap::new();
    let mut notes = Vec::new();
    for board in boards {
        let uid = board.board.uid.as_str();
        let sentence = if uid.is_empty() {
            "the board has no uid, so its address changes with each import".to_owned()
        } else if let Some(owner) = owners.get(uid) {
            format!(
                "the uid {uid} is that of {} too, so one replaces the other",
                owner.file
            )
        } else {
            owners.insert(uid, board);
            continue;
        };
        notes.push(Note::of_board(board, codes::UID_NOT_UNIQUE, sentence));
    }
    notes
}

fn ids(board: &BoardFile) -> Vec<Note<'_>> {
    let mut notes = Vec::new();
    let mut owners: BTreeMap<i64, &Panel> = BTreeMap::new();
    for panel in board.board.all_panels() {
        let sentence = match panel.id {
            None => "the panel has no id, so no link can lead to it".to_owned(),
            Some(id) => match owners.insert(id, panel) {
                None => continue,
                Some(owner) => format!("the id {id} is that of `{}` too", owner.title),
            },
        };
        notes.push(Note::of_panel(
            board,
            panel,
            codes::PANEL_ID_NOT_UNIQUE,
            sentence,
        ));
    }
    for panel in board.board.leaf_panels() {
        let mut letters = BTreeSet::new();
        let twice = panel
            .targets
            .iter()
            .find(|target| !letters.insert(target.ref_id.as_str()));
        if let Some(target) = twice {
            let sentence = format!("two queries have the letter `{}`", target.ref_id);
            notes.push(Note::of_panel(
                board,
                panel,
                codes::REF_ID_NOT_UNIQUE,
                sentence,
            ));
        }
    }
    notes
}

fn links<'a>(board: &'a BoardFile, boards: &'a [BoardFile]) -> Vec<Note<'a>> {
    let dead = |link: &Link| dead(link, board, boards);
    let of_board = board
        .board
        .links
        .iter()
        .filter_map(dead)
        .map(|sentence| Note::of_board(board, codes::DEAD_LINK, sentence));
    let of_panels = board.board.leaf_panels().into_iter().flat_map(|panel| {
        panel
            .links
            .iter()
            .chain(&panel.field_config.defaults.links)
            .filter_map(dead)
            .map(move |sentence| Note::of_panel(board, panel, codes::DEAD_LINK, sentence))
    });
    of_board.chain(of_panels).collect()
}

/// Why a link leads nowhere.
fn dead(link: &Link, board: &BoardFile, boards: &[BoardFile]) -> Option<String> {
    if link.kind == "dashboards" {
        let tagged = |other: &BoardFile| {
            other.board.uid != board.board.uid
                && link.tags.iter().all(|tag| other.board.tags.contains(tag))
        };
        return (!boards.iter().any(tagged)).then(|| {
            format!(
                "the list `{}` is empty: no other board has its tags",
                link.title
            )
        });
    }
    let uid = linked_uid(link.url.as_deref()?)?;
    (!boards.iter().any(|other| other.board.uid == uid)).then(|| {
        format!(
            "the link `{}` leads to the board {uid}, which is not among the files",
            link.title
        )
    })
}

/// The board in `/d/<uid>/...`, unless it is chosen by a variable or is in another Grafana.
fn linked_uid(url: &str) -> Option<&str> {
    let path = url.strip_prefix('/').unwrap_or(url);
    let uid = path.strip_prefix("d/")?.split(['/', '?', '#']).next()?;
    (!uid.is_empty() && !uid.contains('$')).then_some(uid)
}
