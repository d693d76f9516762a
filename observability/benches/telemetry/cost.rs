//! What each kind of telemetry costs.

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{CONNECTIONS, Load};
use crate::process::{Cpu, Process, log_file};
use crate::server::{self, PLAIN, READ, Telemetry};
use crate::stats::{interval, median};
use crate::{Failure, Options, Verdict, sink};

/// Requests of each kind before the first round.
const WARM_UP: usize = 5000;
/// What a turn leaves to do is done within this time: lines and spans wait for half a second at most.
const SETTLE: Duration = Duration::from_millis(1500);
/// The shares of the traces, and by how many times a plain bare request's CPU time everything may add to it.
const AIMS: [(&str, f64); 2] = [("everything, 10 %", 0.9), ("everything, 100 %", 1.5)];

/// One server under one set of telemetry.
struct Variant {
    name: &'static str,
    /// In the table.
    place: usize,
    process: Process,
    load: Load,
    log: std::fs::File,
    /// CPU time of a request by thread, for each round of each path, in microseconds.
    turns: [Vec<Cpu>; PATHS.len()],
}

impl Variant {
    /// Keeps what the process has used for a turn of so many requests.
    fn note(&mut self, path: usize, requests: usize) -> Result<(), Failure> {
        let mut used = self.process.cpu()?;
        for time in used.values_mut() {
            *time /= requests as f64;
        }
        self.turns[path].push(used);
        self.log.set_len(0)?;
        Ok(())
    }
}

const PATHS: [&str; 2] = [PLAIN, READ];

pub(crate) fn run(options: &Options) -> Result<Verdict, Failure> {
    let folder = tempfile::tempdir()?;
    let collector = sink::start(Duration::ZERO)?;
    let endpoint = format!("http://{}", collector.addresses[0]);
    let mut variants = Vec::new();
    for (name, telemetry) in telemetries(&endpoint) {
        let log = log_file(&folder.path().join(format!("{}.log", variants.len())))?;
        let output = Stdio::from(log.try_clone()?);
        let process = Process::start(server::ROLE, &telemetry.arguments(), output)?;
        let mut load = Load::connect(&process.addresses[0])?;
        for path in PATHS {
            load.run(path, WARM_UP)?;
        }
        variants.push(Variant {
            name,
            place: variants.len(),
            process,
            load,
            log,
            turns: Default::default(),
        });
    }
    for round in 1..=options.rounds {
        for (path, name) in PATHS.iter().enumerate() {
            // What is left of the turn before is not this one's.
            std::thread::sleep(SETTLE);
            for variant in &mut variants {
                variant.process.cpu()?;
                variant.load.run(name, options.requests)?;
            }
            std::thread::sleep(SETTLE);
            for variant in &mut variants {
                variant.note(path, options.requests)?;
            }
        }
        // Another one is first in the next round.
        variants.rotate_left(1);
        eprintln!("round {round} of {}", options.rounds);
    }
    variants.sort_by_key(|variant| variant.place);
    report(options, &variants)
}

fn telemetries(endpoint: &str) -> Vec<(&'static str, Telemetry)> {
    let of = |logs, ratio: Option<f64>| Telemetry {
        layer: true,
        logs,
        traces: ratio.map(|ratio| (endpoint.to_owned(), ratio)),
        ..Telemetry::default()
    };
    vec![
        ("bare", Telemetry::default()),
        ("metrics", of(false, None)),
        ("metrics, logs", of(true, None)),
        ("metrics, traces 0 %", of(false, Some(0.0))),
        ("metrics, traces 10 %", of(false, Some(0.1))),
        ("metrics, traces 100 %", of(false, Some(1.0))),
        ("everything, 10 %", of(true, Some(0.1))),
        ("everything, 100 %", of(true, Some(1.0))),
    ]
}

fn total(cpu: &Cpu) -> f64 {
    cpu.values().sum()
}

/// The median over the rounds, of all threads or of those with this name.
fn time(turns: &[Cpu], thread: Option<&str>) -> f64 {
    let of = |cpu: &Cpu| match thread {
        Some(thread) => cpu.get(thread).copied().unwrap_or_default(),
        None => total(cpu),
    };
    median(&turns.iter().map(of).collect::<Vec<f64>>())
}

fn report(options: &Options, variants: &[Variant]) -> Result<Verdict, Failure> {
    let mut text = String::new();
    let mut rows = Vec::new();
    let mut worst = Verdict::Reached;
    for (path, name) in PATHS.iter().enumerate() {
        writeln!(
            text,
            "\n{name}: {} rounds of {} requests on {CONNECTIONS} connections\n\
             | telemetry | CPU a request | adds | interval (95 %) | aim | serving | writing lines | exporting spans |\n\
             |---|---|---|---|---|---|---|---|",
            options.rounds, options.requests
        )?;
        let bare = &variants[0].turns[path];
        for variant in variants {
            let row = Row::new(variant, &variant.turns[path], bare, *name == PLAIN);
            worst = worst.max(row.verdict.map_or(Verdict::Reached, |(_, verdict)| verdict));
            row.write(&mut text)?;
            rows.push(row.to_json(name));
        }
    }
    print!("{text}");
    println!("\n{}", worst.name());
    if let Some(file) = &options.json {
        let document = json!({
            "rounds": options.rounds,
            "requests": options.requests,
            "connections": CONNECTIONS,
            "verdict": worst.name(),
            "rows": rows,
        });
        std::fs::write(file, format!("{document:#}\n"))
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(worst)
}

/// One variant at one path.
struct Row {
    name: &'static str,
    time: f64,
    /// As a share of the bare request's time, less that.
    adds: f64,
    interval: (f64, f64),
    verdict: Option<(f64, Verdict)>,
    serving: f64,
    writing: f64,
    exporting: f64,
}

impl Row {
    fn new(variant: &Variant, turns: &[Cpu], bare: &[Cpu], judged: bool) -> Self {
        let pairs = turns.iter().zip(bare);
        let ratios: Vec<f64> = pairs
            .map(|(used, bare)| total(used) / total(bare) - 1.0)
            .collect();
        let interval = interval(&ratios);
        let aim = AIMS
            .iter()
            .find(|(name, _)| judged && *name == variant.name);
        let (writing, exporting) = (
            time(turns, Some("log-writer")),
            time(turns, Some("span-exporter")),
        );
        Self {
            name: variant.name,
            time: time(turns, None),
            adds: median(&ratios),
            interval,
            verdict: aim.map(|(_, aim)| (*aim, Verdict::of(interval, *aim))),
            serving: time(turns, None) - writing - exporting,
            writing,
            exporting,
        }
    }

    fn write(&self, text: &mut String) -> Result<(), Failure> {
        let (low, high) = self.interval;
        let aim = self.verdict.map_or("–".to_owned(), |(aim, verdict)| {
            format!("{aim:.1}x: {}", verdict.name())
        });
        writeln!(
            text,
            "| {} | {:.2} µs | {:.2}x | {low:.2} to {high:.2} | {aim} | {:.2} | {:.2} | {:.2} |",
            self.name, self.time, self.adds, self.serving, self.writing, self.exporting
        )?;
        Ok(())
    }

    fn to_json(&self, path: &str) -> Value {
        json!({
            "path": path,
            "telemetry": self.name,
            "microseconds": self.time,
            "adds": self.adds,
            "interval": [self.interval.0, self.interval.1],
            "aim": self.verdict.map(|(aim, _)| aim),
            "verdict": self.verdict.map(|(_, verdict)| verdict.name()),
            "microseconds_by_thread": {
                "serving": self.serving,
                "log-writer": self.writing,
                "span-exporter": self.exporting,
            },
        })
    }
}
