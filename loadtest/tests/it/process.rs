//! Starts the binary, waits for it with a deadline, and reads what it left.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use loadtest::events::{Event, RequestSample, Window};
use loadtest::result::RunResult;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than any run here takes on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(90);

/// Runs a command on a terminal of its own.
const SCRIPT: &str = "/usr/bin/script";

/// A run to be started.
pub(crate) struct Run {
    folder: TempDir,
    command: Command,
}

/// A run that goes on; killed when a test ends before it.
pub(crate) struct Running {
    folder: TempDir,
    child: Child,
}

/// A run that has ended.
pub(crate) struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    folder: TempDir,
}

/// `chitram-load` with these arguments.
pub(crate) fn chitram_load(arguments: &[&str]) -> Ended {
    let folder = tempfile::tempdir().expect("folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_chitram-load"));
    command.args(arguments);
    Run { folder, command }.end()
}

impl Run {
    /// `chitram-load run` of a plan with this TOML text; events with requests and the result go to the run's folder.
    pub(crate) fn of(plan: &str, target: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("plan.toml"), plan).expect("plan");
        let mut command = Command::new(env!("CARGO_BIN_EXE_chitram-load"));
        command.current_dir(folder.path());
        command.args([
            "run",
            "plan.toml",
            "--target",
            target,
            "--events",
            "events.ndjson",
            "--requests",
        ]);
        command.args(["--result", "result.json"]);
        Self { folder, command }
    }

    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// The same on a terminal of this width; what is drawn there goes to stdout. `None` where no terminal can be made.
    pub(crate) fn on_terminal(mut self, columns: usize) -> Option<Self> {
        if !Path::new(SCRIPT).exists() {
            let required = std::env::var_os("CHITRAM_REQUIRE").is_some_and(|all| all == "all");
            assert!(!required, "needs script (apt-get install bsdutils)");
            eprintln!("not run: needs script (apt-get install bsdutils)");
            return None;
        }
        let words: Vec<String> = std::iter::once(self.command.get_program())
            .chain(self.command.get_args())
            .map(|word| format!("'{}'", word.to_str().expect("UTF-8")))
            .collect();
        // A terminal that nobody looks at has no size.
        let typed = format!("stty cols {columns} rows 24; exec {}", words.join(" "));
        let mut script = Command::new(SCRIPT);
        script.current_dir(self.folder.path());
        script.args(["--quiet", "--flush", "--return", "--command", &typed]);
        script.arg("/dev/null");
        self.command = script;
        Some(self)
    }

    pub(crate) fn start(mut self) -> Running {
        let output =
            |name: &str| std::fs::File::create(self.folder.path().join(name)).expect("output");
        self.command
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"));
        let child = self.command.spawn().expect("chitram-load starts");
        Running {
            folder: self.folder,
            child,
        }
    }

    pub(crate) fn end(self) -> Ended {
        self.start().end()
    }
}

impl Running {
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("signal");
    }

    /// Waits until `condition` holds.
    pub(crate) fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition() {
            assert!(
                Instant::now() < deadline,
                "in vain: {what}; stderr: {}",
                self.text("stderr")
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("child") {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "the run does not end; stderr: {}",
                self.text("stderr")
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        let (stdout, stderr) = (self.text("stdout"), self.text("stderr"));
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().expect("folder"));
        Ended {
            code: status.code(),
            stdout,
            stderr,
            folder,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails for a run that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn result(&self) -> RunResult {
        let json = std::fs::read(self.file("result.json"))
            .unwrap_or_else(|_| panic!("no result; stderr: {}", self.stderr));
        serde_json::from_slice(&json).expect("the result parses")
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let text = std::fs::read_to_string(self.file("events.ndjson")).expect("events");
        text.lines()
            .map(|line| Event::parse(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    pub(crate) fn samples(&self) -> Vec<RequestSample> {
        let sample = |event| {
            if let Event::Request(sample) = event {
                Some(sample)
            } else {
                None
            }
        };
        self.events().into_iter().filter_map(sample).collect()
    }

    pub(crate) fn windows(&self) -> Vec<Window> {
        let window = |event| {
            if let Event::Window(window) = event {
                Some(window)
            } else {
                None
            }
        };
        self.events().into_iter().filter_map(window).collect()
    }
}

/// A plan of one route or more, without warm-up and thresholds.
pub(crate) fn plan(rate: f64, measure: &str, run: &str, routes: &str) -> String {
    format!(
        "name = \"test\"\n[arrivals]\nshape = \"constant\"\nrate = {rate:.1}\n[run]\nwarmup = \"0s\"\nmeasure = \"{measure}\"\n{run}\n[routes]\n{routes}\n"
    )
}
