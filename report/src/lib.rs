//! Data in, one self-contained HTML file out.
#![forbid(unsafe_code)]

pub mod model;
