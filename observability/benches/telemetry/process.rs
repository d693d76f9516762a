//! A child process: started, read from outside, and ended with its parent.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use crate::Failure;

/// CPU time by thread name, in microseconds.
pub(crate) type Cpu = BTreeMap<String, f64>;

/// A running child. Its standard input is open as long as this lives, and it ends with that.
pub(crate) struct Process {
    child: Child,
    /// The addresses that it said it listens on.
    pub(crate) addresses: Vec<String>,
    /// What each thread had used when it was last read.
    threads: BTreeMap<String, f64>,
}

impl Process {
    /// Starts this program in `role`. It says where it listens in the first line of its standard error.
    pub(crate) fn start(role: &str, arguments: &[String], output: Stdio) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(role)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let mut errors = BufReader::new(child.stderr.take().ok_or("no standard error")?);
        errors.read_line(&mut line)?;
        let addresses: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        // What it says later is passed on.
        std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::stderr()));
        let process = Self {
            child,
            addresses,
            threads: BTreeMap::new(),
        };
        let listens = |address: &String| address.parse::<std::net::SocketAddr>().is_ok();
        if process.addresses.is_empty() || !process.addresses.iter().all(listens) {
            return Err(format!("the {role} did not start: {line}").into());
        }
        Ok(process)
    }

    /// CPU time since the last call, user and system, by the names of the threads. A thread that ends loses what it used
    /// since then, so it is only for processes whose threads stay.
    pub(crate) fn cpu(&mut self) -> Result<Cpu, Failure> {
        let mut used = Cpu::new();
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let path = task?.path();
            let name = fs::read_to_string(path.join("comm"))?.trim().to_owned();
            let text = fs::read_to_string(path.join("schedstat"))?;
            let nanoseconds: f64 = text.split(' ').next().ok_or("no time")?.parse()?;
            let thread = path.to_string_lossy().into_owned();
            let before = self.threads.get(&thread).copied().unwrap_or_default();
            threads.insert(thread, nanoseconds);
            *used.entry(name).or_default() += (nanoseconds - before) / 1e3;
        }
        self.threads = threads;
        Ok(used)
    }

    /// Tells the process what its role has agreed on.
    pub(crate) fn tell(&mut self) -> Result<(), Failure> {
        let input = self.child.stdin.as_mut().ok_or("no standard input")?;
        Ok(input.write_all(b"\n")?)
    }

    /// Resident memory, in bytes.
    pub(crate) fn memory(&self) -> Result<u64, Failure> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        Ok(kilobytes.ok_or("no VmRSS")?.parse::<u64>()? * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends this process when its parent is gone, or does not want it any more. `told` runs for each [`Process::tell`].
pub(crate) fn end_with_parent(told: impl Fn() + Send + 'static) {
    std::thread::spawn(move || {
        while let Ok(1..) = std::io::stdin().read(&mut [0]) {
            told();
        }
        std::process::exit(0);
    });
}

/// A file for the lines of a process, which are written at its end wherever that is: it can be emptied at any time.
pub(crate) fn log_file(path: &std::path::Path) -> Result<File, Failure> {
    Ok(File::options().create(true).append(true).open(path)?)
}
