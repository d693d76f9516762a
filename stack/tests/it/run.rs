//! A whole run of `chitram-stack` as a person starts it, watched from outside. Shared by the targets `it` and `demo`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use stack::process::Identity;
use stack::wait;
use tempfile::TempDir;

/// Generous: the machine may be busy. Nothing waits this long unless it fails.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// The options of `up` that choose ports.
pub(crate) const PORTS: [&str; 8] = [
    "--api-port",
    "--admin-port",
    "--toxiproxy-port",
    "--jaeger-port",
    "--prometheus-port",
    "--alertmanager-port",
    "--elasticsearch-port",
    "--control-port",
];

/// The binary under test.
pub(crate) fn chitram_stack() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_chitram-stack"))
}

/// The folder of the binary under test, with the platform's other programs in it. `cargo test -p stack` does not build
/// those: what is missing is built here, once, in the same profile and target folder.
pub(crate) fn programs() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let folder = chitram_stack().parent().unwrap().to_owned();
            if ["chitram", "chitram-load", "chitram-chaos"]
                .iter()
                .any(|name| !folder.join(name).is_file())
            {
                let profile = match folder.file_name().unwrap().to_str().unwrap() {
                    "debug" => "dev",
                    other => other,
                };
                let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
                let built = Command::new(cargo)
                    .args([
                        "build",
                        "--workspace",
                        "--bins",
                        "--profile",
                        profile,
                        "--target-dir",
                    ])
                    .arg(folder.parent().unwrap())
                    .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
                    .status();
                assert!(
                    built.unwrap().success(),
                    "the platform's programs cannot be built"
                );
            }
            folder
        })
        .clone()
}

/// A run of `chitram-stack` whose whole family can be found again: each process inherits the mark.
pub(crate) struct Run {
    pub(crate) child: Child,
    mark: String,
    /// Everything temporary of the run is below this folder.
    pub(crate) temporary: TempDir,
    /// Standard error goes there, standard output to [`Run::stdout`].
    stderr: PathBuf,
    stdout: PathBuf,
    _files: TempDir,
}

impl Run {
    /// Starts `chitram-stack ARGS` with a temporary folder of its own, and `environment` on top of ours.
    pub(crate) fn start(args: &[&str], environment: &[(&str, &str)]) -> Self {
        programs();
        let (files, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (stdout, stderr) = (files.path().join("stdout"), files.path().join("stderr"));
        let mark = format!("{}-{:x}", std::process::id(), rand::random::<u64>());
        let child = Command::new(chitram_stack())
            .args(args)
            .env("CHITRAM_TEST_MARK", &mark)
            .env("TMPDIR", temporary.path())
            .env_remove("CHITRAM_DIR")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            mark,
            temporary,
            stderr,
            stdout,
            _files: files,
        }
    }

    pub(crate) fn stdout(&self) -> String {
        std::fs::read_to_string(&self.stdout).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until `condition` holds; fails with what the run said when it ends before.
    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        deadline: Duration,
        condition: impl Fn(&Self) -> Option<T>,
    ) -> T {
        let end = Instant::now() + deadline;
        loop {
            if let Some(value) = condition(self) {
                return value;
            }
            let ended = self.child.try_wait().unwrap();
            let said = || format!("{}{}", self.stdout(), self.stderr());
            assert!(
                ended.is_none(),
                "{what}: ended with {} before\n{}",
                ended.unwrap(),
                said()
            );
            assert!(
                Instant::now() < end,
                "{what}: not in {deadline:?}\n{}",
                said()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the end and returns the exit code.
    pub(crate) async fn exit_code(&mut self, deadline: Duration) -> Option<i32> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                Instant::now() < end,
                "did not end in {deadline:?}\n{}{}",
                self.stdout(),
                self.stderr()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// No process of its family runs (so no port is open), and nothing temporary is left.
    pub(crate) async fn assert_nothing_left(&self) {
        let none = wait::until(DEADLINE, async || self.family().is_empty().then_some(())).await;
        assert!(
            none.is_some(),
            "still running: {:?}\n{}",
            self.family(),
            self.stderr()
        );
        let left: Vec<_> = self
            .temporary
            .path()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(left.is_empty(), "left: {left:?}");
    }

    /// Every living process that carries the mark, with its name.
    fn family(&self) -> Vec<(u32, String)> {
        let mark = format!("CHITRAM_TEST_MARK={}", self.mark);
        let pids = Path::new("/proc")
            .read_dir()
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|pid| Identity::of(*pid).is_some_and(|identity| identity.is_alive()))
            .filter_map(|pid: u32| {
                let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
                let marked = environment
                    .split(|byte| *byte == 0)
                    .any(|entry| entry == mark.as_bytes());
                marked.then(|| {
                    (
                        pid,
                        std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default(),
                    )
                })
            })
            .collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A test that failed half-way: the family dies with it by the death signal.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
