//! A load generator that is as small as its contract: started through a script beside the program under test, it writes
//! the events that `chitram-load` would, for 100 requests a second. What it does depends on the plan's name:
//!
//! * `browse`: sends the requests to the test's service;
//! * `played`: sends nothing, and says what a service that keeps its promises would have answered, by what Toxiproxy does
//!   at that moment. So that a test reaches its fault however busy the machine is;
//! * `dies`: says why and exits.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos::clock::{monotonic_us, wall_us};
use loadtest::events::{End, ErrorKind, Event, RequestSample, RunStarted, Window};
use tokio::signal::unix::{SignalKind, signal};

const RATE: i64 = 100;
const TIMEOUT: Duration = Duration::from_secs(5);

/// Not a test when the tests run: they start it as a program, and then it has arguments.
#[test]
fn plays_the_load_generator() {
    let Ok(args) = std::env::var("SCRIPTED_LOAD") else {
        return;
    };
    let args: Vec<&str> = args.split(' ').collect();
    let plan = Path::new(args[1]).file_stem().expect("a plan");
    if plan == "dies" {
        eprintln!("a line before\nout of luck");
        std::process::exit(3);
    }
    let option = |name: &str| {
        args.iter()
            .position(|arg| *arg == name)
            .map(|at| args[at + 1].to_owned())
    };
    let load = Load {
        target: option("--target")
            .expect("a target")
            .trim_end_matches('/')
            .to_owned(),
        proxy: std::env::var("SCRIPTED_PROXY").expect("a proxy"),
        is_played: plan == "played",
        fault: Mutex::default(),
        events: Mutex::new(Events::create(&option("--events").expect("a file"))),
        http: reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .timeout(TIMEOUT)
            .build()
            .expect("a client"),
        run_id: option("--run-id").expect("an id"),
    };
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(run(Arc::new(load)));
    std::process::exit(0);
}

struct Load {
    target: String,
    /// The proxy's address in Toxiproxy's API.
    proxy: String,
    is_played: bool,
    /// What Toxiproxy does to the store, when that is played.
    fault: Mutex<Fault>,
    events: Mutex<Events>,
    http: reqwest::Client,
    run_id: String,
}

#[derive(Clone, Copy, Default)]
enum Fault {
    #[default]
    None,
    Slow,
    Broken,
}

struct Events {
    file: File,
    seconds: BTreeMap<u64, Window>,
}

impl Events {
    fn create(path: &str) -> Self {
        Self {
            file: File::create(path).expect("created"),
            seconds: BTreeMap::new(),
        }
    }

    fn write(&mut self, event: &Event) {
        let line = serde_json::to_string(event).expect("JSON") + "\n";
        // The program under test may have removed the folder: then nobody reads this.
        let _ = self.file.write_all(line.as_bytes());
    }

    fn request(&mut self, second: u64, sample: RequestSample) {
        self.write(&Event::Request(sample));
        let window = self.seconds.entry(second).or_insert_with(|| Window {
            second,
            ..Window::default()
        });
        window.due += 1;
        if window.due == RATE as u64 {
            let whole = Event::Window(window.clone());
            self.write(&whole);
        }
    }
}

async fn run(load: Arc<Load>) {
    let mut stop = signal(SignalKind::terminate()).expect("a signal");
    let parent = parent_id();
    let started_at_us = wall_us() + 100_000;
    let started_monotonic_us = monotonic_us() + 100_000;
    load.events
        .lock()
        .expect("unpoisoned")
        .write(&Event::Run(RunStarted {
            version: loadtest::events::VERSION,
            run_id: load.run_id.clone(),
            experiment_id: None,
            plan: "browse".into(),
            target: load.target.clone(),
            started_at_us,
            started_monotonic_us: Some(started_monotonic_us),
            rate: RATE as f64,
            warmup_seconds: 1.0,
            pid: std::process::id(),
        }));
    if load.is_played {
        tokio::spawn(look_at_the_fault(load.clone()));
    }
    let mut requests = tokio::task::JoinSet::new();
    for index in 0_i64.. {
        let offset_us = index * 1_000_000 / RATE;
        let due_us = started_at_us + offset_us;
        let due = started_monotonic_us + offset_us;
        let wait = Duration::from_micros((due - monotonic_us()).max(0).unsigned_abs());
        tokio::select! {
            _ = stop.recv() => break,
            () = tokio::time::sleep(wait) => {}
        }
        if parent_id() != parent {
            return;
        }
        requests.spawn(request(load.clone(), index, due_us, due));
        while requests.try_join_next().is_some() {}
    }
    requests.join_all().await;
    load.events
        .lock()
        .expect("unpoisoned")
        .write(&Event::End(End {
            stopped: true,
            aborted: false,
        }));
}

/// `due_us` is Unix time, `due` the same moment on the monotonic clock.
async fn request(load: Arc<Load>, index: i64, due_us: i64, due: i64) {
    let (route, path) = if index % 5 < 2 {
        ("list", "v1/images")
    } else {
        ("content", "v1/images/one/content")
    };
    let trace_id = (index / 5 % 5 == 0).then(|| format!("{due_us:032x}"));
    let mut sample = RequestSample {
        due_us,
        route: route.into(),
        status: None,
        error: None,
        latency_us: 0,
        send_lag_us: (monotonic_us() - due).max(0).unsigned_abs(),
        bytes: 0,
        problem: false,
        retry_after: false,
        trace_id,
    };
    if load.is_played {
        load.play(&mut sample);
    } else {
        load.send(path, due, &mut sample).await;
    }
    load.events
        .lock()
        .expect("unpoisoned")
        .request((index / RATE) as u64, sample);
}

async fn look_at_the_fault(load: Arc<Load>) {
    loop {
        // An API that hangs or is gone leaves what was seen last.
        if let Ok(answer) = load.http.get(&load.proxy).send().await
            && let Ok(proxy) = answer.json::<serde_json::Value>().await
        {
            let fault = match (&proxy["enabled"], &proxy["toxics"][0]["type"]) {
                (enabled, _) if enabled == false => Fault::Broken,
                (_, kind) if kind == "latency" => Fault::Slow,
                (_, kind) if kind.is_string() => Fault::Broken,
                _ => Fault::None,
            };
            *load.fault.lock().expect("unpoisoned") = fault;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Load {
    fn play(&self, sample: &mut RequestSample) {
        (sample.status, sample.latency_us) = (Some(200), 5_000);
        if sample.route == "list" {
            return;
        }
        match *self.fault.lock().expect("unpoisoned") {
            Fault::None => {}
            Fault::Slow => sample.latency_us = 305_000,
            Fault::Broken => {
                (sample.status, sample.error) = (Some(503), Some(ErrorKind::Status));
                (sample.problem, sample.retry_after) = (true, true);
            }
        }
    }

    async fn send(&self, path: &str, due: i64, sample: &mut RequestSample) {
        let mut request = self.http.get(format!("{}/{path}", self.target));
        if let Some(id) = &sample.trace_id {
            request = request.header("traceparent", format!("00-{id}-00000000000000aa-01"));
        }
        match request.send().await {
            Ok(answer) => {
                let headers = answer.headers();
                sample.status = Some(answer.status().as_u16());
                sample.error = (!answer.status().is_success()).then_some(ErrorKind::Status);
                sample.retry_after = headers.contains_key("retry-after");
                sample.problem = headers
                    .get("content-type")
                    .is_some_and(|kind| kind == "application/problem+json");
                match answer.bytes().await {
                    Ok(body) => sample.bytes = body.len() as u64,
                    Err(_) => sample.error = Some(ErrorKind::Io),
                }
            }
            Err(error) => {
                let is_late = error.is_timeout();
                sample.error = Some(if is_late {
                    ErrorKind::Timeout
                } else {
                    ErrorKind::Io
                });
            }
        }
        sample.latency_us = (monotonic_us() - due).max(0).unsigned_abs();
    }
}
