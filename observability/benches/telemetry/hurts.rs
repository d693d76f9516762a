//! That it never hurts: a request costs what it costs while the collector, the log's reader or a scrape does its worst,
//! memory stays flat, and no span or line is unaccounted for.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use observability::testing::Scrape;
use serde_json::json;

use crate::load::Load;
use crate::process::{Process, log_file};
use crate::server::{self, PLAIN, Telemetry};
use crate::stats::{interval, median};
use crate::{Failure, Options, Verdict, sink};

/// By which share more a request may cost.
const AIM: f64 = 0.05;
/// Requests before the first round: they fill every queue.
const WARM_UP: usize = 10_000;
/// Bytes by which the resident memory may grow after that.
const MEMORY: u64 = 16 << 20;
/// Lines of a server beyond those of its requests.
const OTHER_LINES: u64 = 100;
/// What moves has come to rest within this time: an export fails after 3 s.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    CollectorDown,
    CollectorBlackHole,
    CollectorSlow,
    ReaderStopped,
    DiskFull,
    Scrape,
    Flood,
}

const CASES: [Case; 7] = [
    Case::CollectorDown,
    Case::CollectorBlackHole,
    Case::CollectorSlow,
    Case::ReaderStopped,
    Case::DiskFull,
    Case::Scrape,
    Case::Flood,
];

impl Case {
    const fn name(self) -> &'static str {
        match self {
            Self::CollectorDown => "collector down",
            Self::CollectorBlackHole => "collector takes the connection and nothing else",
            Self::CollectorSlow => "collector answers after 2 s",
            Self::ReaderStopped => "log goes into a pipe that nobody reads",
            Self::DiskFull => "log goes onto a full disk",
            Self::Scrape => "one scrape of 10,000 series a turn",
            Self::Flood => "50,000 spans/s beside the requests",
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<Verdict, Failure> {
    let mut worst = Verdict::Reached;
    let mut rows = Vec::new();
    println!(
        "{} paired rounds of {} requests of {PLAIN}, everything at 100 %\n\
         | what is wrong | a request costs more | interval (95 %) | at most {:.0} % | memory | spans and lines |\n\
         |---|---|---|---|---|---|",
        options.rounds,
        options.requests,
        AIM * 100.0
    );
    for case in CASES {
        let outcome = judge(case, options)?;
        worst = worst.max(outcome.verdict());
        println!("{}", outcome.row());
        rows.push(outcome.to_json());
    }
    println!("\n{}", worst.name());
    if let Some(file) = &options.json {
        let document = json!({
            "rounds": options.rounds, "requests": options.requests,
            "verdict": worst.name(), "rows": rows,
        });
        std::fs::write(file, format!("{document:#}\n"))
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(worst)
}

/// A server under load, and what must live as long as it.
struct Side {
    process: Process,
    load: Load,
    /// Requests so far.
    asked: u64,
    _collector: Option<Process>,
    _black_hole: Option<TcpListener>,
}

impl Side {
    /// A server with everything; `None`: nothing is wrong with it.
    fn start(case: Option<Case>, log: Stdio) -> Result<Self, Failure> {
        let hole = TcpListener::bind("127.0.0.1:0")?;
        let (mut collector, mut black_hole) = (None, None);
        let address = match case {
            Some(Case::CollectorDown) => hole.local_addr()?.to_string(),
            Some(Case::CollectorBlackHole) => {
                let address = hole.local_addr()?.to_string();
                black_hole = Some(hole);
                address
            }
            _ => {
                let slow = case == Some(Case::CollectorSlow);
                let started = sink::start(Duration::from_secs(if slow { 2 } else { 0 }))?;
                let address = started.addresses[0].clone();
                collector = Some(started);
                address
            }
        };
        let telemetry = Telemetry {
            layer: true,
            logs: true,
            traces: Some((format!("http://{address}"), 1.0)),
            series: if case == Some(Case::Scrape) {
                10_000
            } else {
                0
            },
            flood: if case == Some(Case::Flood) { 50_000 } else { 0 },
        };
        let process = Process::start(server::ROLE, &telemetry.arguments(), log)?;
        let mut side = Self {
            load: Load::connect(&process.addresses[0])?,
            process,
            asked: 0,
            _collector: collector,
            _black_hole: black_hole,
        };
        side.ask(WARM_UP)?;
        Ok(side)
    }

    fn ask(&mut self, count: usize) -> Result<(), Failure> {
        self.asked += count as u64;
        self.load.run(PLAIN, count)
    }

    /// CPU time of a request, in microseconds. Of a flood of spans, only what serves requests is theirs.
    fn turn(&mut self, case: Case, count: usize) -> Result<f64, Failure> {
        self.process.cpu()?;
        self.ask(count)?;
        if case == Case::Scrape {
            self.scrape()?;
        }
        let mut used = self.process.cpu()?;
        if case == Case::Flood {
            used.retain(|thread, _| !["flood", "span-exporter"].contains(&&**thread));
        }
        Ok(used.values().sum::<f64>() / count as f64)
    }

    fn scrape(&self) -> Result<Scrape, Failure> {
        let address = self.process.addresses.get(1).ok_or("no admin listener")?;
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, page) = answer.split_once("\r\n\r\n").ok_or("no page")?;
        Ok(Scrape::parse(page))
    }

    /// What is wrong with the account of spans and lines, when all has come to rest.
    fn account(&mut self, case: Case) -> Result<Result<(), String>, Failure> {
        // The flood ends: a page that is written while spans move is not of one moment.
        self.process.tell()?;
        let began = Instant::now();
        loop {
            let account = Account::of(&self.scrape()?)?;
            let closed = account.check(self.asked, case == Case::Flood);
            if closed.is_ok() || began.elapsed() > PATIENCE {
                return Ok(closed);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// What became of spans and lines, by the process' own metrics.
#[derive(Debug)]
struct Account {
    spans_ended: u64,
    /// Dropped, waiting, being sent, or sent with whatever came of it.
    spans_known: u64,
    lines: u64,
}

impl Account {
    fn of(page: &Scrape) -> Result<Self, Failure> {
        let value = |name: &str, labels: &[(&str, &str)]| {
            let value = page.value(name, labels);
            Ok::<_, Failure>(value.ok_or_else(|| format!("no {name}"))? as u64)
        };
        let of = |name: &str, errors: &[&str]| {
            let each = errors
                .iter()
                .map(|error| value(name, &[("error_type", error)]));
            each.sum::<Result<u64, Failure>>()
        };
        let processed = "otel_sdk_processor_span_processed_total";
        let exported = "otel_sdk_exporter_span_exported_total";
        let fates = ["", "rejected", "export_failed", "timeout", "unknown"];
        Ok(Self {
            spans_ended: value("otel_sdk_span_ended_total", &[])?,
            spans_known: of(processed, &["queue_full", "already_shutdown"])?
                + value("otel_sdk_processor_span_queue_size", &[])?
                + value("otel_sdk_exporter_span_inflight", &[])?
                + of(exported, &fates)?,
            lines: value("chitram_log_lines_written_total", &[])?
                + value("chitram_log_lines_dropped_total", &[])?
                + value("chitram_log_queue_lines", &[])?,
        })
    }

    /// Each request is one span and one line; `more`: there are other spans, too.
    fn check(&self, requests: u64, more: bool) -> Result<(), String> {
        let spans = if more {
            self.spans_ended >= requests
        } else {
            self.spans_ended == requests
        };
        let lines = (requests..requests + OTHER_LINES).contains(&self.lines);
        let closed = self.spans_ended == self.spans_known;
        if spans && lines && closed {
            Ok(())
        } else {
            Err(format!("{requests} requests, but {self:?}"))
        }
    }
}

struct Outcome {
    case: Case,
    /// By which share a request costs more, in each round.
    more: Vec<f64>,
    /// By how many bytes the resident memory grew.
    grown: u64,
    account: Result<(), String>,
}

fn judge(case: Case, options: &Options) -> Result<Outcome, Failure> {
    let folder = tempfile::tempdir()?;
    let good_log = log_file(&folder.path().join("good.log"))?;
    let bad_log = log_file(&folder.path().join("bad.log"))?;
    // Held until the end: a pipe without a reader is another mistake.
    let (_reader, pipe) = std::io::pipe()?;
    let output = match case {
        Case::ReaderStopped => Stdio::from(pipe),
        Case::DiskFull => Stdio::from(std::fs::File::options().write(true).open("/dev/full")?),
        _ => Stdio::from(bad_log.try_clone()?),
    };
    let mut good = Side::start(None, Stdio::from(good_log.try_clone()?))?;
    let mut bad = Side::start(Some(case), output)?;
    let memory = bad.process.memory()?;
    let mut more = Vec::new();
    for round in 0..options.rounds {
        // Each goes first in every second round.
        let (good_time, bad_time) = if round % 2 == 0 {
            let good_time = good.turn(case, options.requests)?;
            (good_time, bad.turn(case, options.requests)?)
        } else {
            let bad_time = bad.turn(case, options.requests)?;
            (good.turn(case, options.requests)?, bad_time)
        };
        more.push(bad_time / good_time - 1.0);
        good_log.set_len(0)?;
        bad_log.set_len(0)?;
    }
    Ok(Outcome {
        case,
        more,
        grown: bad.process.memory()?.saturating_sub(memory),
        account: bad.account(case)?,
    })
}

impl Outcome {
    fn cost(&self) -> Verdict {
        Verdict::of(interval(&self.more), AIM)
    }

    fn verdict(&self) -> Verdict {
        if self.grown > MEMORY || self.account.is_err() {
            Verdict::Missed
        } else {
            self.cost()
        }
    }

    fn row(&self) -> String {
        let (low, high) = interval(&self.more);
        format!(
            "| {} | {:+.1} % | {:+.1} to {:+.1} % | {} | {:+.1} MiB | {} |",
            self.case.name(),
            median(&self.more) * 100.0,
            low * 100.0,
            high * 100.0,
            self.cost().name(),
            self.grown as f64 / f64::from(1 << 20),
            self.account
                .as_ref()
                .map_or_else(Clone::clone, |()| "closed".to_owned()),
        )
    }

    fn to_json(&self) -> serde_json::Value {
        let (low, high) = interval(&self.more);
        json!({
            "case": self.case.name(),
            "more": median(&self.more),
            "interval": [low, high],
            "verdict": self.verdict().name(),
            "memory_grown_bytes": self.grown,
            "account": self.account.as_ref().err(),
        })
    }
}
