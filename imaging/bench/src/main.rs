//! Measures `imaging` beside libvips and the image crate, in one run: CPU time, quality, bytes and peak memory.
//!
//! `scripts/bench-imaging` builds it, pins it to one core and runs it.

mod clock;
mod contenders;
mod heap;
mod ideal;
mod inputs;
mod libvips;
mod measure;
mod memory;
mod pixels;
mod quality;
mod quantisation;
mod sweep;
mod table;
mod task;

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::Parser;
use imaging::OutputFormat;

use crate::{
    inputs::Inputs,
    libvips::Program,
    measure::measure,
    task::{CASES, Case},
};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Measures imaging beside libvips and the image crate.
#[derive(Debug, Parser)]
struct Options {
    /// Rounds of each case; the figures are their medians.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Only this case; may be given several times.
    #[arg(long = "case", value_name = "NAME", value_parser = CASES.iter().map(|case| case.name).collect::<Vec<_>>())]
    cases: Vec<String>,
    /// Instead of the cases: the quality over scale factors from 1.1 to 20 on six photographs. Fails where it is more than one
    /// point below libvips'.
    #[arg(long)]
    sweep: bool,
    /// The sweep's results as PNG, which shows the scaling without the encoder.
    #[arg(long, requires = "sweep")]
    lossless: bool,
    /// Instead of the cases: our quantisation tables beside the standard's. Fails where ours are worse at as many bytes.
    #[arg(long, conflicts_with = "sweep")]
    quantisation: bool,
    /// The compiled `vips_worker.c`.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/bench-imaging/vips-worker"
    )]
    worker: PathBuf,
    /// Photographs, as `make photos` brings them; the script names its cache.
    #[arg(long, value_name = "FOLDER", default_value = "photos")]
    photos: PathBuf,
    /// Where inputs and results go.
    #[arg(long, value_name = "FOLDER", default_value = "target/bench-imaging")]
    work: PathBuf,
    /// What this program asks a copy of itself: print the peak memory of the case, made of this file.
    #[arg(long, value_name = "FILE", hide = true)]
    memory_of: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("bench-imaging: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether what was asked for is good enough; of the cases, the table says it itself.
fn run(options: &Options) -> Result<bool> {
    let chosen = |case: &&Case| {
        options.cases.is_empty() || options.cases.iter().any(|name| name == case.name)
    };
    let mut cases = CASES.iter().filter(chosen);
    if let Some(input) = &options.memory_of {
        let case = cases.next().ok_or("--memory-of needs --case")?;
        memory::print_peak(case, input)?;
        return Ok(true);
    }

    let libvips = Program(options.worker.clone());
    let inputs = Inputs {
        photos: options.photos.clone(),
        made: options.work.join("inputs"),
        libvips: libvips.clone(),
    };
    let results = options.work.join("results");
    std::fs::create_dir_all(&inputs.made)?;
    std::fs::create_dir_all(&results)?;
    if options.quantisation {
        return quantisation::compare(&inputs.unseen()?);
    }
    println!(
        "libvips {}, {} rounds\n",
        libvips.start()?.version()?,
        options.rounds
    );
    if options.sweep {
        let output = if options.lossless {
            OutputFormat::Png
        } else {
            OutputFormat::Jpeg
        };
        return sweep::sweep(&inputs.sweep()?, &libvips, &results, output);
    }
    println!("{}", table::HEAD);
    for case in cases {
        let input = inputs.path(case.input)?;
        let figures = measure(case, &input, &libvips, &results, options.rounds)?;
        println!("{}", table::row(case, &figures));
    }
    Ok(true)
}
