//! The real servers, the service between them, and requests whose number is known.

use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use stack::process::{Signal, Spec};
use stack::server::elasticsearch::{self, Elasticsearch, index};
use stack::server::jaeger::{self, Jaeger};
use stack::server::rsyslog::{self, Rsyslog, Shipment};
use stack::server::{Launch, Running, Source, answers_ok, require, start_on_ports};
use stack::{net, wait};
use tempfile::TempDir;

use super::gate::Gate;

/// For what takes a Java to start, on a loaded machine. Nothing waits this long unless it fails.
pub(crate) const DEADLINE: Duration = Duration::from_mins(3);
/// The run's id, which requests carry as baggage.
const RUN: &str = "account-run";
/// What a request carries that must be nowhere.
pub(crate) const SECRET: &str = "planted-token-7f3a";

/// Servers and service. What it sends goes through gates.
pub(crate) struct Rig {
    service: Option<Service>,
    pub(crate) jaeger: Jaeger,
    pub(crate) elasticsearch: Elasticsearch,
    pub(crate) to_jaeger: Gate,
    pub(crate) to_elasticsearch: Gate,
    pub(crate) folder: TempDir,
    requests: u64,
    _rsyslog: Rsyslog,
}

struct Service {
    running: Running,
    admin: String,
    api: String,
}

impl Rig {
    /// `None`, with a line that says why, where a server is missing.
    pub(crate) async fn start() -> Option<Self> {
        let (of_jaeger, of_logs) = (require(jaeger::find())?, require(elasticsearch::find())?);
        let Source::Program(shipper) = require(rsyslog::find())?.source else {
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let launch = Launch::for_test().unwrap();
        let (jaeger, elasticsearch) = tokio::join!(
            jaeger::start(&of_jaeger, &launch),
            elasticsearch::start(&of_logs, &launch)
        );
        let (jaeger, elasticsearch) = (jaeger.unwrap(), elasticsearch.unwrap());
        index::install(&elasticsearch.url, index::TEMPLATE)
            .await
            .unwrap();
        let to_jaeger = Gate::before(&jaeger.otlp).await;
        let to_elasticsearch = Gate::before(&elasticsearch.url).await;
        let shipment = Shipment {
            logs: folder.path().join("service.log*"),
            elasticsearch: to_elasticsearch.url(),
            state: folder.path().join("rsyslog"),
        };
        let rsyslog = rsyslog::start(&shipper, &shipment, &launch).await.unwrap();
        let mut rig = Self {
            service: None,
            jaeger,
            elasticsearch,
            to_jaeger,
            to_elasticsearch,
            folder,
            requests: 0,
            _rsyslog: rsyslog,
        };
        rig.start_service().await;
        Some(rig)
    }

    /// A new process of the service, which samples every request that is not part of a trace.
    pub(crate) async fn start_service(&mut self) {
        let launch = Launch {
            logs: Some(self.folder.path().to_owned()),
            ..Launch::for_test().unwrap()
        };
        let (home, otlp) = (self.folder.path().to_owned(), self.to_jaeger.url());
        let spec = |ports: &[u16], log: &Path| {
            let mut spec = Spec::new("service", &chitram(), log)
                .args(["serve"])
                .env("CHITRAM_ADMIN_LISTEN", format!("127.0.0.1:{}", ports[0]))
                .env("CHITRAM_LISTEN", format!("127.0.0.1:{}", ports[1]))
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", &otlp)
                .env("OTEL_TRACES_SAMPLER_ARG", "1");
            spec.folder = Some(home.clone());
            Ok(spec)
        };
        let ready =
            async |ports: &[u16]| answers_ok(&format!("http://127.0.0.1:{}/ready", ports[0])).await;
        let started = start_on_ports(&launch, "service", 2, None, spec, ready).await;
        let (running, ports) = started.unwrap();
        let [admin, api] = [ports[0], ports[1]].map(|port| format!("http://127.0.0.1:{port}"));
        self.requests = 0;
        self.service = Some(Service {
            running,
            admin,
            api,
        });
    }

    /// Ends the service as a crash does.
    pub(crate) async fn kill_service(&mut self) {
        let service = self.service.take().unwrap();
        service.running.child().signal(Signal::KILL);
        service.running.child().wait().await;
    }

    pub(crate) fn admin(&self) -> &str {
        &self.service.as_ref().unwrap().admin
    }

    /// A request as part of a trace that is sampled, or one that is not, with the run's baggage and a secret.
    async fn request(
        &mut self,
        method: &str,
        path: &str,
        sampled: bool,
        body: Option<Vec<u8>>,
    ) -> (u16, Value) {
        self.requests += 1;
        let (trace, span) = (trace_id(self.requests), self.requests);
        let url = format!("{}{path}", self.service.as_ref().unwrap().api);
        let mut request = net::http()
            .unwrap()
            .request(method.parse().unwrap(), url)
            .timeout(DEADLINE)
            .header(
                "traceparent",
                format!("00-{trace}-{span:016x}-0{}", u8::from(sampled)),
            )
            .header("baggage", format!("run.id={RUN}"))
            .header("authorization", format!("Bearer {SECRET}"));
        if let Some(body) = body {
            request = request.header("content-type", "image/png").body(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// Requests of every kind; a quarter of them are not sampled. Returns when the job of the upload is done.
    pub(crate) async fn load(&mut self) {
        let picture = png(random());
        let (status, image) = self
            .request("POST", "/v1/images", true, Some(picture))
            .await;
        assert_eq!(status, 201, "{image}");
        let id = image["id"].as_str().unwrap().to_owned();
        for (path, expected) in [
            ("/v1/images", 200),
            ("/v1/images/{id}", 200),
            ("/v1/images/{id}/content", 200),
            ("/v1/images/{id}/render?w=9&format=png", 200),
            ("/v1/images/nothing", 400),
            (
                "/v1/images/01a2215e-a354-7598-905e-81bb1a00841a?token=planted",
                404,
            ),
        ] {
            for turn in 0..4 {
                let path = path.replace("{id}", &id);
                let (status, said) = self.request("GET", &path, turn > 0, None).await;
                assert_eq!(status, expected, "{path}: {said}");
            }
        }
        let log = self.folder.path().join("service.log");
        let done = async || {
            let text = std::fs::read_to_string(&log).ok()?;
            text.lines()
                .any(|line| line.contains("\"job done\"") && line.contains("render_presets"))
                .then_some(())
        };
        assert!(
            wait::until(DEADLINE, done).await.is_some(),
            "no job was done"
        );
    }

    /// The arguments that name the program's files and what was sent.
    pub(crate) fn files(&self) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/telemetry");
        let path = |path: PathBuf| path.display().to_string();
        let truth = self.folder.path().join("truth.json");
        let requests = json!([{"route": "all", "status": "ok", "count": self.requests}]);
        let phase = json!({"name": "measure", "from": 0, "to": 1, "requests": requests});
        let text = json!({"version": 1, "run": RUN, "phases": [phase]}).to_string();
        std::fs::write(&truth, text).unwrap();
        let secrets = self.folder.path().join("secrets");
        std::fs::write(&secrets, format!("{SECRET}\nelsewhere-planted\n")).unwrap();
        let options = [
            ("--declared", path(root.join("chitram.json"))),
            ("--expectations", path(root.join("account.toml"))),
            ("--truth", path(truth)),
            ("--secret-file", path(secrets)),
            ("--index", index::STREAM.to_owned()),
        ];
        options
            .into_iter()
            .flat_map(|(option, value)| [option.to_owned(), value])
            .collect()
    }

    /// Runs the account before the servers themselves.
    pub(crate) async fn account(&self, more: &[&str]) -> Account {
        let mut arguments = self.files();
        let metrics = format!("{}/metrics", self.admin());
        for (option, value) in [
            ("--metrics", metrics.as_str()),
            ("--jaeger", &self.jaeger.query),
            ("--elasticsearch", &self.elasticsearch.url),
        ] {
            arguments.extend([option.to_owned(), value.to_owned()]);
        }
        arguments.extend(more.iter().map(|&one| one.to_owned()));
        account(arguments).await
    }
}

/// What a run of the command said.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) code: i32,
    pub(crate) report: Value,
    pub(crate) said: String,
}

impl Account {
    fn new(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stdout);
        Self {
            code: output.status.code().unwrap(),
            report: serde_json::from_str(&text).unwrap_or_default(),
            said: format!("{text}{}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// The codes of the findings.
    pub(crate) fn codes(&self) -> Vec<&str> {
        let findings = self.report["findings"].as_array().into_iter().flatten();
        findings
            .map(|finding| finding["code"].as_str().unwrap())
            .collect()
    }

    /// A figure of the first part whose name begins like this.
    pub(crate) fn figure(&self, about: &str, name: &str) -> f64 {
        let measured = self.report["measured"].as_array().into_iter().flatten();
        let mut of_part = measured.filter(|one| {
            one["about"]
                .as_str()
                .is_some_and(|text| text.starts_with(about))
        });
        let part = of_part
            .next()
            .unwrap_or_else(|| panic!("no {about}: {}", self.said));
        let mut figures = part["figures"].as_array().unwrap().iter();
        let figure = figures.find(|figure| figure[0] == name);
        figure.unwrap_or_else(|| panic!("no {name}: {}", self.said))[1]
            .as_f64()
            .unwrap()
    }
}

/// Runs `chitram-proof account` with these arguments, without standing in the way of the servers in this process.
pub(crate) async fn account(arguments: Vec<String>) -> Account {
    let run = move || {
        Command::new(env!("CARGO_BIN_EXE_chitram-proof"))
            .arg("account")
            .args(arguments)
            .args(["--output", "json"])
            .output()
            .unwrap()
    };
    Account::new(&tokio::task::spawn_blocking(run).await.unwrap())
}

/// The service's program beside the one under test. `cargo test -p proof` does not build it: if it is missing, it is
/// built here, once, in the same profile and target folder.
fn chitram() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_chitram-proof"))
            .parent()
            .unwrap();
        let program = folder.join("chitram");
        if !program.is_file() {
            let profile = match folder.file_name().unwrap().to_str().unwrap() {
                "debug" => "dev",
                other => other,
            };
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let built = Command::new(cargo)
                .args([
                    "build",
                    "-p",
                    "service",
                    "--bin",
                    "chitram",
                    "--profile",
                    profile,
                    "--target-dir",
                ])
                .arg(folder.parent().unwrap())
                .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
                .status();
            assert!(built.unwrap().success(), "the service cannot be built");
        }
        program
    });
    built.clone()
}

fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// A trace id that no other request has.
fn trace_id(number: u64) -> String {
    format!("{:016x}{number:016x}", random() | (1 << 63))
}

/// A picture that differs from number to number.
fn png(number: u64) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 16, 16);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    let mut pixels = vec![90; 16 * 16 * 3];
    pixels[..8].copy_from_slice(&number.to_le_bytes());
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    file
}
