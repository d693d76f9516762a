//! Where the panels of a board stand: rows as sections, each a grid of 24 columns.
//!
//! As in Grafana, a panel moves up until it meets another, so that none overlap, whatever the board says.

use crate::boards::model::{Board, GridPos, Panel};

/// Columns of the grid.
const COLUMNS: usize = 24;
/// Rows of one panel at most.
const TALLEST: u32 = 40;

/// A row of the board, or the panels before the first.
#[derive(Default)]
pub(super) struct Section<'a> {
    /// The row's title; `None` for panels outside of a row.
    pub(super) title: Option<&'a str>,
    /// In Grafana it has to be opened first.
    pub(super) is_collapsed: bool,
    /// Its panels.
    pub(super) panels: Vec<Placed<'a>>,
}

/// A panel in its place.
pub(super) struct Placed<'a> {
    /// Its number among [`Board::leaf_panels`].
    pub(super) leaf: usize,
    /// The panel.
    pub(super) panel: &'a Panel,
    /// Its place in the section's grid, from 0.
    pub(super) place: GridPos,
}

/// The board's sections, in reading order.
pub(super) fn sections(board: &Board) -> Vec<Section<'_>> {
    let mut sections = vec![Section::default()];
    let mut leaves = 0..;
    let mut placed = |panel| Placed {
        leaf: leaves.next().unwrap_or_default(),
        panel,
        place: GridPos::default(),
    };
    for panel in &board.panels {
        if panel.kind == "row" {
            sections.push(Section {
                title: Some(&panel.title),
                is_collapsed: panel.collapsed,
                panels: panel.panels.iter().map(&mut placed).collect(),
            });
            continue;
        }
        // What follows a collapsed row is not in it.
        if sections.last().is_none_or(|section| section.is_collapsed) {
            sections.push(Section::default());
        }
        if let Some(section) = sections.last_mut() {
            section.panels.push(placed(panel));
        }
    }
    for row in &board.rows {
        sections.push(Section {
            panels: row.panels.iter().map(&mut placed).collect(),
            ..Section::default()
        });
    }
    for section in &mut sections {
        place(&mut section.panels);
    }
    sections.retain(|section| section.title.is_some() || !section.panels.is_empty());
    sections
}

/// Gives each panel its place: from the top, as high as the panels above it allow.
fn place(panels: &mut [Placed]) {
    panels.sort_by_key(|placed| (placed.panel.grid_pos.y, placed.panel.grid_pos.x));
    let mut filled = [0; COLUMNS];
    for placed in panels {
        let wanted = placed.panel.grid_pos;
        let w = if wanted.w == 0 {
            COLUMNS / 2
        } else {
            (wanted.w as usize).min(COLUMNS)
        };
        let h = if wanted.h == 0 {
            8
        } else {
            wanted.h.min(TALLEST)
        };
        let x = (wanted.x as usize).min(COLUMNS - w);
        let columns = &mut filled[x..x + w];
        let y = columns.iter().copied().max().unwrap_or(0);
        columns.fill(y + h);
        placed.place = GridPos {
            x: x as u32,
            y,
            w: w as u32,
            h,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Number, column, row, width and height.
    type Place = (usize, u32, u32, u32, u32);

    fn places(board: serde_json::Value) -> Vec<Vec<Place>> {
        let board: Board = serde_json::from_value(board).unwrap();
        sections(&board)
            .iter()
            .map(|section| {
                let place = |placed: &Placed| {
                    let GridPos { x, y, w, h } = placed.place;
                    (placed.leaf, x, y, w, h)
                };
                section.panels.iter().map(place).collect()
            })
            .collect()
    }

    #[test]
    fn panels_keep_their_columns_and_move_up_until_they_meet_another() {
        let board = json!({"panels": [
            {"type": "stat", "gridPos": {"x": 0, "y": 0, "w": 12, "h": 4}},
            {"type": "stat", "gridPos": {"x": 12, "y": 0, "w": 12, "h": 6}},
            {"type": "stat", "gridPos": {"x": 0, "y": 20, "w": 12, "h": 4}},
            {"type": "stat", "gridPos": {"x": 6, "y": 21, "w": 12, "h": 4}},
        ]});
        assert_eq!(
            places(board),
            [[
                (0, 0, 0, 12, 4),
                (1, 12, 0, 12, 6),
                (2, 0, 4, 12, 4),
                (3, 6, 8, 12, 4)
            ]]
        );
    }

    #[test]
    fn rows_are_sections_and_collapsed_ones_keep_their_panels() {
        let panel = |y: u32| json!({"type": "stat", "gridPos": {"x": 0, "y": y, "w": 24, "h": 2}});
        let board = json!({"panels": [
            panel(0),
            {"type": "row", "title": "open", "gridPos": {"y": 2}},
            panel(3),
            {"type": "row", "title": "closed", "collapsed": true, "panels": [panel(7), panel(9)], "gridPos": {"y": 5}},
            panel(30),
        ]});
        let place = |leaf, y| (leaf, 0, y, 24, 2);
        assert_eq!(
            places(board),
            [
                vec![place(0, 0)],
                vec![place(1, 0)],
                vec![place(2, 0), place(3, 2)],
                vec![place(4, 0)]
            ]
        );
    }

    #[test]
    fn places_out_of_the_grid_are_brought_into_it() {
        let board = json!({"panels": [
            {"type": "stat", "gridPos": {"x": 4_000_000_000_u32, "y": 4_000_000_000_u32, "w": 4_000_000_000_u32, "h": 4_000_000_000_u32}},
            {"type": "stat"},
        ]});
        assert_eq!(places(board), [[(1, 0, 0, 12, 8), (0, 0, 8, 24, 40)]]);
    }
}
