//! The page of all telemetry, written from what programs declare, with the panels and alerts that use each metric; and the
//! check that the page is not stale.

mod page;
mod uses;

use std::path::{Path, PathBuf};

use clap::Args;

use self::uses::Uses;
use crate::declarations::Program;
use crate::exit::{Exit, Refusal};
use crate::files;

/// Write the page of all telemetry from the declarations of programs, or check that it is up to date.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Arguments {
    /// Declarations of a program, as JSON; several of them make a section each.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    declared: Vec<PathBuf>,
    /// Dashboards: each metric names the panels that show it.
    #[arg(long, value_name = "DIR")]
    dashboards: Option<PathBuf>,
    /// Prometheus rules: each metric names the rules and alerts that use it.
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Write the page.
    #[arg(long, group = "what", value_name = "FILE")]
    write: Option<PathBuf>,
    /// Compare the page with what would be written.
    #[arg(long, group = "what", value_name = "FILE")]
    check: Option<PathBuf>,
}

/// Writes or compares.
pub fn run(arguments: &Arguments) -> Result<Exit, Refusal> {
    let page = page(arguments)?;
    if let Some(file) = &arguments.write {
        std::fs::write(file, &page).map_err(|error| bad(file, &error.to_string()))?;
    }
    if let Some(file) = &arguments.check {
        let found = files::read(file)?;
        if let Some(sentence) = difference(&found, &page) {
            println!("stale-page {}: {sentence}", file.display());
            return Ok(Exit::Findings);
        }
    }
    Ok(Exit::Proven)
}

fn page(arguments: &Arguments) -> Result<String, Refusal> {
    let programs: Vec<Program> = arguments
        .declared
        .iter()
        .map(|file| Program::read(file))
        .collect::<Result<_, Refusal>>()?;
    let mut uses = Uses::default();
    if let Some(folder) = &arguments.dashboards {
        for file in files::listed(folder, &["json"])? {
            uses.read_board(&files::read(&file)?)
                .map_err(|reason| bad(&file, &reason))?;
        }
    }
    if let Some(folder) = &arguments.rules {
        for file in files::listed(folder, &["yml", "yaml"])? {
            uses.read_rules(&files::read(&file)?)
                .map_err(|reason| bad(&file, &reason))?;
        }
    }
    Ok(page::write(&programs, &uses))
}

/// Where the page begins to differ; `None` when it does not.
fn difference(found: &str, wanted: &str) -> Option<String> {
    if found == wanted {
        return None;
    }
    let (mut found, mut wanted) = (found.lines(), wanted.lines());
    let mut number = 0;
    loop {
        number += 1;
        let (is, should) = (found.next(), wanted.next());
        if is != should || is.is_none() {
            let line = should.unwrap_or("nothing");
            return Some(format!(
                "line {number} should be {line:?}; write the page again with --write"
            ));
        }
    }
}

fn bad(file: &Path, reason: &str) -> Refusal {
    Refusal::usage(format!("{}: {reason}", file.display()))
}
