//! Boards: Grafana's dashboards as files, and whether what they show is so.
//!
//! The way of the data: [`folder`] reads files into [`model`]; [`lint`] judges what they say by themselves; [`choices`] and
//! [`variables`] fill in what a reader would see chosen; [`live`] asks the server and judges its answers, [`absence`] finds
//! out why there are none; [`declared`] compares with what programs declare, [`truth`] with what a load counted;
//! [`expectations`] accept what is known; [`report`] holds the result and [`output`] prints it. A page of the boards is drawn by
//! [`preview`].

pub mod absence;
pub mod choices;
pub mod codes;
pub mod declared;
pub mod expectations;
pub mod folder;
pub mod format;
pub mod known;
pub mod lint;
pub mod live;
pub mod model;
pub mod notes;
pub mod output;
pub mod provisioning;
pub mod queries;
pub mod report;
pub mod rule_files;
pub mod server;
pub mod settings;
pub mod truth;
pub mod units;
pub mod variables;

use std::time::{SystemTime, UNIX_EPOCH};

use self::folder::BoardFile;
use self::format::Mode;
use self::known::Known;
use self::lint::Parsed;
use self::live::{Outcome, Task};
use self::notes::{Found, Note};
use self::provisioning::Told;
use self::report::{Allowance, Report, Totals};
use self::server::Server;
use self::settings::{Arguments, Settings};
use self::truth::Compared;
use self::variables::Scope;
use crate::exit::{Exit, Refusal};
use crate::finding::Finding;
use crate::http;
use crate::preview::{self, gather};
use crate::prometheus::Prometheus;
use crate::promql::types::Types;

/// Runs the command and prints its result.
pub async fn run(arguments: &Arguments) -> Result<Exit, Refusal> {
    if arguments.format {
        return formatted(arguments);
    }
    let report = prove(arguments).await?;
    let text = output::print(&report, arguments.output)
        .map_err(|error| Refusal::internal(format!("the result cannot be written: {error}")))?;
    print!("{text}");
    Ok(if report.findings.is_empty() {
        Exit::Proven
    } else {
        Exit::Findings
    })
}

fn formatted(arguments: &Arguments) -> Result<Exit, Refusal> {
    let mode = if arguments.check {
        Mode::Check
    } else {
        Mode::Write
    };
    let differed = format::folder(&arguments.path, mode)?;
    for file in &differed {
        println!("{file}");
    }
    Ok(match mode {
        Mode::Check if !differed.is_empty() => Exit::Findings,
        _ => Exit::Proven,
    })
}

/// Reads, asks and judges; nothing is printed.
async fn prove(arguments: &Arguments) -> Result<Report, Refusal> {
    let known = Known::read(arguments)?;
    let server = match &arguments.prometheus {
        Some(url) => Some(connected(arguments, url).await?),
        None => None,
    };
    let mut types = match &server {
        Some(server) => server.types().clone(),
        None => Types::default(),
    };
    known.declared.tell(&mut types);

    let boards = &known.folder.boards;
    let queries = lint::parsed(boards);
    let mut notes = lint::notes(boards, &queries, &types);
    notes.extend(
        known
            .declared
            .notes(boards, &queries, &known.rules, &known.expectations),
    );
    notes.extend(untold(arguments)?);
    let seen = if let Some(server) = &server {
        let seen = look(arguments, &known, &queries, server).await?;
        notes.extend(seen.notes);
        Some((seen.outcomes, seen.compared))
    } else {
        notes.extend(unparsed(&queries));
        None
    };
    let outcomes = seen.as_ref().map(|(outcomes, _)| outcomes.as_slice());
    let plain: Vec<_> = queries.iter().map(|parsed| parsed.query).collect();
    let reports = report::boards(boards, &plain, outcomes);
    let (mut findings, allowed) = sorted_out(notes, &known, server.is_some());
    findings.extend(known.folder.refused.iter().cloned());
    findings.sort_by(|one, other| one.file.cmp(&other.file));
    let mut report = Report {
        version: report::VERSION,
        prometheus: arguments.prometheus.as_ref().map(ToString::to_string),
        range: server.as_ref().map(Server::range),
        boards: reports,
        findings,
        allowed,
        compared: seen.map(|(_, compared)| compared).unwrap_or_default(),
        totals: Totals::default(),
    };
    report.totals = report.totals();
    Ok(report)
}

async fn connected(arguments: &Arguments, url: &url::Url) -> Result<Server, Refusal> {
    let client = http::client()
        .map_err(|error| Refusal::internal(format!("no HTTP client can be made: {error}")))?;
    let (from, to) = match (arguments.from, arguments.to) {
        (Some(from), Some(to)) if from < to => (from, to),
        (Some(_), Some(_)) => return Err(Refusal::usage("--from must be before --to")),
        _ => {
            let now = now();
            (now - arguments.range.as_secs_f64(), now)
        }
    };
    Server::connect(Prometheus::new(client, url.clone()), from, to).await
}

/// Unix seconds.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// Without a server, a query that can't be parsed here was not judged at all.
fn unparsed<'a>(queries: &[Parsed<'a>]) -> Vec<Note<'a>> {
    let sentence = |parsed: &Parsed<'a>| {
        let error = parsed.expr.as_ref().err()?;
        let sentence = format!("the query cannot be parsed: {error}");
        Some(Note::of_query(parsed.query, codes::SYNTAX, sentence))
    };
    queries.iter().filter_map(sentence).collect()
}

/// A data source that is provisioned beside the boards and not told how often is scraped.
fn untold<'a>(arguments: &Arguments) -> Result<Option<Note<'a>>, Refusal> {
    let Told::Nothing(file) = provisioning::told(&arguments.path)? else {
        return Ok(None);
    };
    if arguments.scrape_interval.is_some() {
        return Ok(None);
    }
    Ok(Some(Note {
        finding: Finding {
            code: codes::SCRAPE_INTERVAL,
            file,
            subject: "the data source".to_owned(),
            query: None,
            sentence: "it is not told how often is scraped (jsonData.timeInterval), so Grafana takes 15 s for it and calculates windows of `$__rate_interval` by that".to_owned(),
        },
        found: Found::default(),
    }))
}

/// What the server showed.
struct Seen<'a> {
    outcomes: Vec<Outcome<'a>>,
    compared: Vec<Compared>,
    notes: Vec<Note<'a>>,
}

async fn look<'a>(
    arguments: &Arguments,
    known: &'a Known,
    queries: &[Parsed<'a>],
    server: &Server,
) -> Result<Seen<'a>, Refusal> {
    let settings = Settings {
        scrape_interval: match arguments.scrape_interval {
            Some(interval) => interval,
            None => provisioning::told(&arguments.path)?.interval(),
        },
        under: arguments.under.clone(),
    };
    let mut notes = scrape_interval(server, &settings).await?;
    let mut chosen: Vec<(&BoardFile, Scope)> = Vec::new();
    for board in &known.folder.boards {
        let (scope, found) = choices::of_server(board, server, settings.scrape_interval).await?;
        notes.extend(found);
        chosen.push((board, scope));
    }
    let mut tasks = Vec::new();
    let mut scoped = Vec::new();
    for parsed in queries {
        let of = |(board, _): &&(&BoardFile, Scope)| board.file == parsed.query.board.file;
        if let Some((_, scope)) = chosen.iter().find(of) {
            tasks.push(Task { parsed, scope });
            scoped.push((parsed.query, scope));
        }
    }
    let (outcomes, found) = live::judge(tasks, server, &settings, known).await?;
    notes.extend(found);
    if let (Some(file), Some(address)) = (&arguments.preview, &arguments.prometheus) {
        let request = gather::Request {
            source: arguments.path.display().to_string(),
            address,
            boards: &chosen,
            server,
            scrape_interval: settings.scrape_interval,
            now: now(),
            outcomes: &outcomes,
        };
        preview::save(&gather::gather(&request).await?, file)?;
    }
    let mut compared = Vec::new();
    if let Some(truth) = &known.truth {
        let entries = &known.expectations.compare;
        let scrape = settings.scrape_interval;
        let (all, found) = truth::compare(entries, truth, &scoped, server, scrape).await?;
        compared = all;
        notes.extend(found);
    }
    Ok(Seen {
        outcomes,
        compared,
        notes,
    })
}

/// `$__rate_interval` is four times what the data source is told. Told too little, its windows hold too few samples.
async fn scrape_interval<'a>(
    server: &Server,
    settings: &Settings,
) -> Result<Vec<Note<'a>>, Refusal> {
    let told = settings.scrape_interval;
    let longer = server.scrape_intervals().await?;
    let longer = longer.into_iter().filter(|(interval, _)| *interval > told);
    Ok(longer
        .map(|(interval, job)| Note {
            finding: Finding {
                code: codes::SCRAPE_INTERVAL,
                file: String::new(),
                subject: format!("job {job}"),
                query: None,
                sentence: format!(
                    "it is scraped every {interval:?}, and the data source is told {told:?} (--scrape-interval), so that windows of `$__rate_interval` may hold too few samples"
                ),
            },
            found: Found::default(),
        })
        .collect())
}

/// Separates what expectations accept, and adds expectations that nothing met.
fn sorted_out(notes: Vec<Note<'_>>, known: &Known, asked: bool) -> (Vec<Finding>, Vec<Allowance>) {
    let expectations = &known.expectations;
    let mut findings = Vec::new();
    let mut allowed = Vec::new();
    let mut used = vec![false; expectations.allow.len()];
    for note in notes {
        match expectations.allowed(&note.finding, note.found) {
            Some((at, entry)) => {
                used[at] = true;
                allowed.push(Allowance {
                    finding: note.finding,
                    why: entry.why.clone(),
                });
            }
            None => findings.push(note.finding),
        }
    }
    // Without a server most findings that may be accepted can't occur.
    if asked {
        findings.extend(expectations.unused(&used, &known.folder.boards));
    }
    (findings, allowed)
}
