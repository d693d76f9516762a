//! Boards drawn from live data, as one HTML page that needs no Grafana, no network and no script.
//!
//! Data flows one way: `gather` asks, [`view`] holds the boards and what Prometheus returned, `line` puts the series on the
//! page's time steps, `field` says how the board wants each of them shown, a module for each kind of panel draws, and `page` sets the
//! panels where the board has them. What is not known here is named in its place; nothing missing is drawn as if it was there.

mod axis;
mod chart;
mod colour;
mod event;
mod field;
mod figure;
mod frame;
pub(crate) mod gather;
mod heatmap;
mod layout;
mod legend;
mod line;
mod page;
mod panel;
mod plot;
mod reduction;
mod shape;
mod states;
mod table;
mod text;
mod timeseries;
mod unit;
pub mod view;

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::exit::Refusal;

/// The page. Everything that comes from outside is escaped.
pub fn render(preview: &view::Preview) -> String {
    page::page(preview).into_string()
}

/// Writes the page to a file, whole or not at all.
pub fn save(preview: &view::Preview, file: &Path) -> Result<(), Refusal> {
    let failed = |error: io::Error| {
        let sentence = format!("{} cannot be written: {error}", file.display());
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::IsADirectory => {
                Refusal::usage(sentence)
            }
            _ => Refusal::internal(sentence),
        }
    };
    let page = render(preview);
    // Written beside it first: a reader never sees half a page.
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    let part = Path::new(&name);
    std::fs::write(part, page).map_err(failed)?;
    std::fs::rename(part, file).map_err(failed)
}
