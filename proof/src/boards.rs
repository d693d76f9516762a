//! Boards: Grafana's dashboards as files, and whether what they show is true.

pub mod model;
pub mod variables;
