//! What an experiment needs, in one folder: a service that asks a store through a proxy, Toxiproxy, and beside the
//! program under test a scripted load generator. Everything stops with the test.

mod service;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
pub(crate) use service::{Misled, Refusing, Wedgeable};
use stack::server::{self, Found, Launch, Source};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Generous: the machine may be busy. Nothing waits this long unless it fails.
pub(crate) const DEADLINE: Duration = Duration::from_mins(2);

/// What the scripted load generator sends.
const PLAN: &str = "name = \"NAME\"\n[arrivals]\nshape = \"constant\"\nrate = 100.0\n[run]\nwarmup = \"1s\"\n\
                    measure = \"60s\"\n[routes]\nlist = { share = 2 }\ncontent = { share = 3 }\n";

/// A Toxiproxy of the test's own.
pub(crate) enum Toxiproxy {
    /// In this process.
    StandIn {
        /// Stops it with the test.
        _stop: DropGuard,
    },
    /// A process.
    Real(Box<server::toxiproxy::Toxiproxy>),
}

/// The platform of one test.
pub(crate) struct Platform {
    folder: tempfile::TempDir,
    /// Toxiproxy's API, and the one that the program under test is told.
    pub(crate) api: String,
    api_of_chaos: String,
    pub(crate) toxiproxy: Toxiproxy,
    http: reqwest::Client,
    target: String,
    _service: service::Service,
}

impl Platform {
    /// With the stand-in.
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let api = format!("http://{}", listener.local_addr().expect("an address"));
        let shutdown = CancellationToken::new();
        tokio::spawn(stack::standin::toxiproxy::serve(listener, shutdown.clone()));
        Self::with(
            api,
            Toxiproxy::StandIn {
                _stop: shutdown.drop_guard(),
            },
        )
        .await
    }

    /// With the real server, where there is one: started for this test even where a URL names one.
    pub(crate) async fn with_real_toxiproxy() -> Option<Self> {
        let mut found = server::require(server::toxiproxy::find())?;
        if matches!(found.source, Source::Url(_)) {
            found.source = Source::Program(server::find::on_path_or_cached("toxiproxy-server")?);
        }
        let toxiproxy = start_real(&found, 0).await;
        Some(Self::with(toxiproxy.url.clone(), Toxiproxy::Real(Box::new(toxiproxy))).await)
    }

    async fn with(api: String, toxiproxy: Toxiproxy) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(DEADLINE)
            .build()
            .expect("a client");
        let store = service::store().await;
        let proxy = json!({ "name": "store", "listen": "127.0.0.1:0", "upstream": store.address, "enabled": true });
        let made = http
            .post(format!("{api}/proxies"))
            .json(&proxy)
            .send()
            .await
            .expect("Toxiproxy answers");
        let made: Value = made.json().await.expect("a proxy");
        let through = made["listen"].as_str().expect("an address");
        let service = service::start(store, through).await;
        let target = format!("http://{}", service.address);
        let platform = Self {
            folder,
            api_of_chaos: api.clone(),
            api,
            toxiproxy,
            http,
            target,
            _service: service,
        };
        platform.install();
        platform.write_stack("");
        platform
    }

    /// The program under test with a scripted load generator beside it, as an installation has the real one.
    fn install(&self) {
        let bin = self.folder.path().join("bin");
        fs::create_dir_all(self.dir()).expect("a folder");
        fs::create_dir_all(&bin).expect("a folder");
        let built = Path::new(env!("CARGO_BIN_EXE_chitram-chaos"));
        self.installed(built, "chitram-chaos");
        let tests = std::env::current_exe().expect("this program");
        // The scripted generator does what the plan's name says; the plans themselves are what the runner checks.
        fs::create_dir_all(self.plans()).expect("a folder");
        for plan in ["browse", "played", "dies"] {
            let file = self.plans().join(format!("{plan}.toml"));
            fs::write(file, PLAN.replace("NAME", plan)).expect("written");
        }
        script(
            &bin.join("chitram-stack"),
            "while [ \"$1\" != \"--\" ]; do shift; done; shift\nexec setpriv --pdeathsig TERM -- \"$@\"",
        );
        script(
            &bin.join("chitram-load"),
            &format!(
                "SCRIPTED_PROXY='{}/proxies/store' SCRIPTED_LOAD=\"$*\" exec '{}' --exact scripted_load::plays_the_load_generator --nocapture",
                self.api,
                tests.display()
            ),
        );
    }

    fn plans(&self) -> PathBuf {
        self.folder.path().join("plans")
    }

    /// Puts a program beside the scripted load generator, where it finds it.
    pub(crate) fn installed(&self, program: &Path, name: &str) -> PathBuf {
        let installed = self.folder.path().join("bin").join(name);
        fs::hard_link(program, &installed)
            .or_else(|_| fs::copy(program, &installed).map(|_| ()))
            .expect("installed");
        installed
    }

    /// Writes `stack.toml`; `more` is appended.
    pub(crate) fn write_stack(&self, more: &str) {
        let text = format!(
            "version = 1\nenvironment = \"embedded\"\n[owner]\npid = {}\nstart_time = 0\n[endpoints]\napi = \"{}\"\n\
             toxiproxy = \"{}\"\njaeger = \"{}\"\n{more}",
            std::process::id(),
            self.target,
            self.api_of_chaos,
            self.target
        );
        fs::write(self.dir().join("stack.toml"), text).expect("written");
    }

    /// Points the program under test to another API in front of Toxiproxy.
    pub(crate) fn use_api(&mut self, api: String) {
        self.api_of_chaos = api;
        self.write_stack("");
    }

    /// The stack's folder.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("chitram")
    }

    /// Writes an experiment: `fault` is the inside of `[fault.effect]`, empty for a control.
    pub(crate) fn experiment(&self, name: &str, fault: &str, more: &str) -> PathBuf {
        let fault = if fault.is_empty() {
            String::new()
        } else {
            format!("[fault]\nproxy = \"store\"\nprotocol = \"http\"\n[fault.effect]\n{fault}\n")
        };
        let text = format!(
            "name = \"{name}\"\ntitle = \"{name}\"\npromise = \"kept\"\nload = {{ plan = \"played\" }}\n\
             phases = {{ warm_up_s = 1 }}\ninvariants = {{ content = true }}\n{fault}{more}"
        );
        let file = self.folder.path().join(format!("{name}.toml"));
        fs::write(&file, text).expect("written");
        file
    }

    /// The command `chitram-chaos` with these arguments and this folder.
    pub(crate) fn chaos(&self, args: &[&str]) -> Command {
        self.chaos_in(&self.dir(), args)
    }

    /// The same with another folder: another person's.
    fn chaos_in(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(self.folder.path().join("bin/chitram-chaos"));
        command.args(args);
        if args[0] != "validate" {
            command.arg("--dir").arg(dir);
        }
        if args[0] != "recover" && !args.contains(&"--plans") {
            command.arg("--plans").arg(self.plans());
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts `chitram-chaos run` of one file.
    pub(crate) fn start(&self, file: &Path) -> Child {
        self.run_command(file).spawn().expect("started")
    }

    /// The command `chitram-chaos run` of one file.
    pub(crate) fn run_command(&self, file: &Path) -> Command {
        let result = self.result_file();
        let report = self.folder.path().join("report.html");
        let args = [
            "run",
            text(file),
            "--result",
            text(&result),
            "--report",
            text(&report),
        ];
        self.chaos(&args)
    }

    /// Starts another person's `chitram-chaos run` of one file: with a folder of its own, and the same addresses.
    pub(crate) fn start_second(&self, file: &Path) -> Child {
        let folder = self.dir().with_file_name("second");
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(self.dir().join("stack.toml"), folder.join("stack.toml")).expect("copied");
        let mut command = self.chaos_in(&folder, &["run", text(file)]);
        command.spawn().expect("started")
    }

    /// Runs one file to its end: exit code and stderr.
    pub(crate) async fn run(&self, file: &Path) -> Ended {
        end(self.start(file)).await
    }

    pub(crate) async fn recover(&self) -> Ended {
        end(self.chaos(&["recover"]).spawn().expect("started")).await
    }

    pub(crate) fn result_file(&self) -> PathBuf {
        self.folder.path().join("result.json")
    }

    /// The only experiment in `result.json`.
    pub(crate) fn result(&self) -> Value {
        self.results()["experiments"][0].take()
    }

    /// All of `result.json`.
    pub(crate) fn results(&self) -> Value {
        let text = fs::read_to_string(self.result_file()).expect("a result");
        serde_json::from_str(&text).expect("JSON")
    }

    pub(crate) fn report(&self) -> String {
        fs::read_to_string(self.folder.path().join("report.html")).expect("a report")
    }

    /// The proxy `store`, as Toxiproxy shows it.
    pub(crate) async fn proxy(&self) -> Value {
        let answer = self
            .http
            .get(format!("{}/proxies/store", self.api))
            .send()
            .await
            .expect("Toxiproxy answers");
        answer.json().await.expect("a proxy")
    }

    /// Names of the toxics on `store`.
    pub(crate) async fn toxics(&self) -> Vec<String> {
        let proxy = self.proxy().await;
        let toxics = proxy["toxics"].as_array().expect("toxics");
        toxics
            .iter()
            .map(|toxic| toxic["name"].as_str().expect("a name").to_owned())
            .collect()
    }

    /// Somebody else's toxic, which no run may touch.
    pub(crate) async fn add_foreign_toxic(&self) {
        self.add_foreign_toxic_to("store").await;
    }

    pub(crate) async fn add_foreign_toxic_to(&self, proxy: &str) {
        let toxic = json!({ "name": "foreign", "type": "latency", "attributes": { "latency": 1 } });
        self.call("POST", &format!("proxies/{proxy}/toxics"), toxic)
            .await;
    }

    /// A proxy of somebody else, disabled or not, with a toxic on it.
    pub(crate) async fn add_foreign_proxy(&self, name: &str, enabled: bool) {
        let (listen, upstream) = ("127.0.0.1:0", self.target.trim_start_matches("http://"));
        let proxy = json!({ "name": name, "listen": listen, "upstream": upstream });
        let made = self.call("POST", "proxies", proxy).await;
        self.add_foreign_toxic_to(name).await;
        if !enabled {
            let disabled = json!({ "enabled": false });
            self.call("POST", &format!("proxies/{name}"), disabled)
                .await;
        }
        assert_eq!(made["name"], name);
    }

    /// A call of Toxiproxy's own API, as somebody else makes it.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}/{path}", self.api));
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("Toxiproxy answers");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let text = answer.text().await.expect("a body");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// All proxies with their toxics.
    pub(crate) async fn proxies(&self) -> Value {
        self.call("GET", "proxies", Value::Null).await
    }

    /// Waits until a toxic of ours is on `store`.
    pub(crate) async fn fault_is_active(&self) {
        until("a fault", async || {
            self.toxics()
                .await
                .iter()
                .any(|name| name.starts_with("chitram-"))
        })
        .await;
    }

    /// Nothing of a run is left: no toxic, no lock, no journal, no events, no metrics target.
    pub(crate) async fn assert_clean(&self) {
        let ours: Vec<String> = self
            .toxics()
            .await
            .into_iter()
            .filter(|name| name.starts_with("chitram-"))
            .collect();
        assert!(ours.is_empty(), "left: {ours:?}");
        assert_eq!(self.proxy().await["enabled"], true);
        let mut left: Vec<String> = fs::read_dir(self.dir())
            .expect("a folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        left.retain(|name| name != "stack.toml" && name != "targets");
        assert!(left.is_empty(), "left in the folder: {left:?}");
        let targets = fs::read_dir(self.dir().join("targets")).map_or(0, Iterator::count);
        assert_eq!(targets, 0, "targets are still registered");
    }
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) async fn end(child: Child) -> Ended {
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output())
        .await
        .expect("it hangs");
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ended {
        code: status.code(),
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

/// Polls a condition.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < DEADLINE, "no {what} in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Starts the real Toxiproxy; on a free port when `port` is 0.
pub(crate) async fn start_real(found: &Found, port: u16) -> server::toxiproxy::Toxiproxy {
    let launch = Launch {
        port,
        ..Launch::for_test().expect("a launcher")
    };
    server::toxiproxy::start(found, &launch)
        .await
        .expect("Toxiproxy starts")
}

fn script(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// The same experiment under another plan.
pub(crate) fn with_plan(plan: &str, file: PathBuf) -> PathBuf {
    let text = fs::read_to_string(&file).expect("readable");
    let plan = format!("plan = \"{plan}\"");
    fs::write(&file, text.replace("plan = \"played\"", &plan)).expect("written");
    file
}
