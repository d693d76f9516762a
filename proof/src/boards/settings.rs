//! The command line of `chitram-proof boards`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use url::Url;

use crate::cli;
use crate::promql;

/// Proves that every panel of Grafana's boards shows what is so.
///
/// Each query of each panel, variable and annotation is asked of the server with its variables filled in, and judged
/// together with what the file says about it. What findings mean is in docs/proof-findings.md.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// Folder of boards (Grafana's JSON, schema v1), or one board.
    pub path: PathBuf,
    /// The server to ask, for instance <http://127.0.0.1:9090>
    #[arg(long, value_name = "URL", required_unless_present_any = ["static_only", "format"])]
    pub prometheus: Option<Url>,
    /// Draw the boards from the data of the range into this HTML file, which needs neither Grafana nor a network
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    pub preview: Option<PathBuf>,
    /// Judge the files alone and ask no server
    #[arg(long = "static", conflicts_with = "prometheus")]
    pub static_only: bool,
    /// Write the boards in canonical form, and do nothing else
    #[arg(long, conflicts_with_all = ["prometheus", "static_only"])]
    pub format: bool,
    /// With --format: write nothing, only tell which boards differ
    #[arg(long, requires = "format")]
    pub check: bool,
    /// What a program declares of its metrics (JSON); may be given several times
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub declared: Vec<PathBuf>,
    /// Folder of rule files, whose expressions use metrics too
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
    /// What may be empty and what is accepted, with reasons (TOML)
    #[arg(long, value_name = "FILE")]
    pub expectations: Option<PathBuf>,
    /// What a load generator counted and measured (JSON)
    #[arg(long, value_name = "FILE", requires_all = ["expectations", "prometheus"])]
    pub truth: Option<PathBuf>,
    /// A fault or load that was there in the range: queries that are expected to be empty without it must have a result
    #[arg(long, value_name = "NAME")]
    pub under: Vec<String>,
    /// Begin of the range: Unix seconds or 2026-11-28T05:00:00Z
    #[arg(long, value_parser = cli::moment, requires = "to", conflicts_with = "range")]
    pub from: Option<f64>,
    /// End of the range
    #[arg(long, value_parser = cli::moment, requires = "from")]
    pub to: Option<f64>,
    /// Length of the range, which ends now
    #[arg(long, value_name = "LENGTH", default_value = "1h", value_parser = length)]
    pub range: Duration,
    /// The scrape interval that Grafana's data source is told (`timeInterval`), from which `$__rate_interval` is calculated.
    /// If left out, that of the folder's provisioning/datasources/*.yml, else Grafana's default of 15s
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    pub scrape_interval: Option<Duration>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Forms of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people at a terminal.
    Text,
    /// Everything, for programs.
    Json,
    /// For CI.
    Junit,
    /// For a comment on a change.
    Markdown,
}

/// What judging needs of the command line.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As the data source is told.
    pub scrape_interval: Duration,
    /// Faults and loads that were there in the range.
    pub under: Vec<String>,
}

fn length(text: &str) -> Result<Duration, String> {
    promql::duration(text)
}
