//! Data in, one self-contained HTML file out.
//!
//! The page needs no network and no script: plots are SVG, colours follow the reader's light or dark preference, and
//! the data that it was made from is embedded as JSON. This crate decides how things look; what they mean was decided
//! by whoever filled the [`model`]. Pages of other kinds share its [`scale`] and its [`TOKENS`], so that all look alike.
#![forbid(unsafe_code)]

mod format;
pub mod model;
mod page;
pub mod scale;
mod tables;
mod timeline;
mod waterfall;

/// The colours of every page as CSS custom properties, for light and for dark: the beginning of a style sheet.
pub const TOKENS: &str = include_str!("tokens.css");

/// The whole page. Everything that comes from outside is escaped.
pub fn render(report: &model::Report) -> String {
    page::page(report).into_string()
}
