//! What a panel's drawing is made from.

use super::{event::Events, line::Line, reduction::Reduction};
use crate::{boards::model::Panel, prometheus::Range};

/// One panel with its data on the page's time steps.
pub(super) struct Chart<'a> {
    /// The panel.
    pub(super) panel: &'a Panel,
    /// Its title with variables filled in.
    pub(super) title: String,
    /// The time range that is drawn.
    pub(super) range: Range,
    /// Its series, at most as many as are drawn.
    pub(super) lines: Vec<Line<'a>>,
    /// Events of the board.
    pub(super) events: &'a [Events],
}

impl Chart<'_> {
    /// Labels of an axis of values that the panel's height has room for.
    pub(super) fn label_count(&self) -> usize {
        if self.panel.grid_pos.h > 6 { 5 } else { 3 }
    }

    /// Whether the board wants a legend.
    pub(super) fn has_legend(&self) -> bool {
        let legend = self.panel.legend();
        legend["showLegend"] != false && legend["displayMode"] != "hidden"
    }

    /// The figures that the board wants in the legend, as far as they are known here.
    pub(super) fn legend_figures(&self) -> Vec<Reduction> {
        words(&self.panel.legend()["calcs"])
            .iter()
            .filter_map(|name| Reduction::named(name))
            .collect()
    }

    /// How a series is reduced where only one figure is shown; the name of a reduction that is unknown here.
    pub(super) fn reduction(&self) -> Result<Reduction, String> {
        match words(&self.panel.options["reduceOptions"]["calcs"]).first() {
            None => Ok(Reduction::LastNotNull),
            Some(name) => Reduction::named(name).ok_or_else(|| name.clone()),
        }
    }
}

fn words(list: &serde_json::Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect()
}
