//! The queries of boards: where each stands, and where it goes.

use std::time::Duration;

use super::folder::BoardFile;
use super::model::{Annotation, Board, DataSource, Panel, Target};
use super::variables::{Scope, Times, interval};
use crate::finding::Finding;

/// Points of a panel that doesn't say how many: about the pixels of a panel of half a screen's width.
const POINTS: f64 = 1000.0;

/// The plugin whose queries are proven.
const PROMETHEUS: &str = "prometheus";

/// Where a query stands.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// In a panel.
    Panel(&'a Panel, &'a Target),
    /// In an annotation.
    Annotation(&'a Annotation),
}

/// One query.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Its board.
    pub board: &'a BoardFile,
    /// Where it stands.
    pub origin: Origin<'a>,
}

impl<'a> Query<'a> {
    /// As it is written.
    pub fn expr(&self) -> &'a str {
        match self.origin {
            Origin::Panel(_, target) => &target.expr,
            Origin::Annotation(annotation) => annotation.query(),
        }
    }

    /// The panel, unless it is an annotation's query.
    pub fn panel(&self) -> Option<&'a Panel> {
        match self.origin {
            Origin::Panel(panel, _) => Some(panel),
            Origin::Annotation(_) => None,
        }
    }

    /// The letter in the panel.
    pub fn ref_id(&self) -> &'a str {
        match self.origin {
            Origin::Panel(_, target) => &target.ref_id,
            Origin::Annotation(_) => "",
        }
    }

    /// The template of its legend.
    pub fn legend(&self) -> &'a str {
        match self.origin {
            Origin::Panel(_, target) => &target.legend_format,
            Origin::Annotation(annotation) => &annotation.title_format,
        }
    }

    /// Whether Grafana asks for one point only.
    pub fn is_instant(&self) -> bool {
        match self.origin {
            Origin::Panel(_, target) => target.is_instant(),
            Origin::Annotation(_) => false,
        }
    }

    /// The place, for a person.
    pub fn subject(&self) -> String {
        match self.origin {
            Origin::Panel(panel, target) => {
                format!("{}, query {}", subject(panel), target.ref_id)
            }
            Origin::Annotation(annotation) => format!("annotation `{}`", annotation.name),
        }
    }

    /// A finding about this query.
    pub fn finding(&self, code: &'static str, sentence: impl Into<String>) -> Finding {
        Finding {
            code,
            file: self.board.file.clone(),
            subject: self.subject(),
            query: Some(self.expr().to_owned()),
            sentence: sentence.into(),
        }
    }

    /// The times of its panel in a range (Unix seconds).
    pub fn times(&self, range: (f64, f64), scope: &Scope, scrape_interval: Duration) -> Times {
        let (points, least) = match self.origin {
            Origin::Panel(panel, target) => {
                let least = target.interval.as_deref().or(panel.interval.as_deref());
                (panel.max_data_points, least)
            }
            Origin::Annotation(_) => (None, None),
        };
        // A step that is a variable is filled in first.
        let least = least.and_then(|text| interval(&scope.query(text).text));
        Times::of_panel(range, points.unwrap_or(POINTS), least, scrape_interval)
    }
}

/// A panel, for a person.
pub fn subject(panel: &Panel) -> String {
    match (panel.id, panel.title.trim()) {
        (Some(id), "") => format!("panel {id}"),
        (Some(id), title) => format!("panel {id} `{title}`"),
        (None, title) => format!("panel `{title}`"),
    }
}

/// Where queries with this data source go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To a Prometheus. `chosen`: the reader chooses which, by a variable.
    Prometheus {
        /// Whether the reader chooses it.
        chosen: bool,
    },
    /// To another server.
    Other(String),
    /// Grafana answers itself.
    Grafana,
}

/// Where queries with this data source go.
pub fn destination(source: Option<&DataSource>, board: &Board) -> Destination {
    let Some(source) = source else {
        // The default data source of the installation.
        return Destination::Prometheus { chosen: false };
    };
    if source.is_built_in() {
        return Destination::Grafana;
    }
    let chosen = source.is_variable();
    let kind = source
        .kind
        .clone()
        .filter(|kind| !kind.is_empty())
        .or_else(|| plugin_of_variable(source, board));
    match kind.as_deref() {
        // A name alone does not tell the plugin; the queries then tell by their form.
        None | Some(PROMETHEUS) => Destination::Prometheus { chosen },
        Some(other) => Destination::Other(other.to_owned()),
    }
}

/// The plugin from which a variable of the kind `datasource` lets choose.
fn plugin_of_variable(source: &DataSource, board: &Board) -> Option<String> {
    let name = source.uid.trim_matches(['$', '{', '}', '[', ']']);
    let variable = board
        .templating
        .list
        .iter()
        .find(|variable| variable.name == name && variable.kind == "datasource")?;
    Some(variable.query_text().to_owned())
}

/// The data source of a panel's query.
pub fn source_of<'a>(panel: &'a Panel, target: &'a Target) -> Option<&'a DataSource> {
    target.datasource.as_ref().or(panel.datasource.as_ref())
}

/// Every query of the board that goes to a Prometheus and is run. Hidden ones are run if an expression of the panel uses
/// them; they are included, because a hidden query that is shown later must be true as well.
pub fn of_board(board: &BoardFile) -> Vec<Query<'_>> {
    let asked = |source| {
        matches!(
            destination(source, &board.board),
            Destination::Prometheus { .. }
        )
    };
    let panels = board.board.leaf_panels().into_iter().flat_map(|panel| {
        panel
            .targets
            .iter()
            .filter(move |target| asked(source_of(panel, target)))
            .filter(|target| !target.expr.trim().is_empty())
            .map(move |target| Origin::Panel(panel, target))
    });
    let annotations = board.board.annotations.list.iter().filter(|annotation| {
        asked(annotation.datasource.as_ref()) && !annotation.query().trim().is_empty()
    });
    panels
        .chain(annotations.map(Origin::Annotation))
        .map(|origin| Query { board, origin })
        .collect()
}
