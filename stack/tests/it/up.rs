//! `chitram-stack up` as a whole: it serves, restarts what dies, ends in order, leaves nothing.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::Value;
use stack::process::Identity;
use stack::server::{jaeger, postgres, require, toxiproxy, versitygw};
use stack::state::{Environment, Process, State};
use stack::{net, wait};
use tempfile::TempDir;

use crate::support::{DEADLINE, Run, assert_gone};

/// A running `up` on free ports.
struct Up {
    run: Run,
    folder: TempDir,
}

/// The service migrates and warms up; real servers make their data folders first.
const START: Duration = Duration::from_secs(180);

impl Up {
    async fn start(extra: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), extra).await
    }

    async fn start_in(folder: TempDir, extra: &[&str]) -> Self {
        let mut args = vec!["up", "--dir", folder.path().to_str().unwrap()];
        for flag in [
            "--api-port",
            "--admin-port",
            "--toxiproxy-port",
            "--jaeger-port",
        ] {
            args.extend([flag, "0"]);
        }
        args.extend(extra);
        let mut run = Run::start(&args);
        run.until("the addresses", START, |run| {
            run.stdout()
                .contains("Ctrl-C stops everything")
                .then_some(())
        })
        .await;
        Self { run, folder }
    }

    fn state(&self) -> State {
        State::read(&self.folder.path().join("stack.toml"))
            .unwrap()
            .unwrap()
    }

    fn process(&self, name: &str) -> Process {
        self.state()
            .processes
            .into_iter()
            .find(|process| process.name == name)
            .unwrap()
    }

    fn kill(&self, name: &str) {
        let pid = i32::try_from(self.process(name).pid).unwrap();
        rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }

    async fn restarted(&self, name: &str) {
        let restarted = async || (self.process(name).restarts == 1).then_some(());
        wait::until(DEADLINE, restarted)
            .await
            .unwrap_or_else(|| panic!("{name}: {}", self.run.stderr()));
    }

    async fn stop(mut self, signal: Signal) {
        self.run.signal(signal);
        let code = self.run.exit_code(DEADLINE).await;
        assert_eq!(code, Some(0), "{}", self.run.stderr());
        self.run.assert_nothing_left().await;
        assert_eq!(entries(self.folder.path()), ["logs", "stack.lock"]);
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn get(url: &str) -> Option<(u16, String)> {
    let answer = net::http().unwrap().get(url).send().await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

async fn eventually_ok(url: &str) {
    let ok = async || {
        get(url)
            .await
            .filter(|(status, _)| *status == 200)
            .map(drop)
    };
    assert!(
        wait::until(DEADLINE, ok).await.is_some(),
        "{url} does not answer 200"
    );
}

#[tokio::test]
async fn the_embedded_platform_serves_through_its_proxies_and_ends_in_order() {
    let up = Up::start(&["--embedded"]).await;
    let state = up.state();
    assert_eq!(state.environment, Environment::Embedded);
    assert_eq!(
        state.proxies.keys().collect::<Vec<_>>(),
        ["api", "store", "traces"]
    );
    let endpoints = state.endpoints;
    assert_eq!(
        endpoints.api.as_deref(),
        Some(format!("http://{}", state.proxies["api"].listen).as_str())
    );
    eventually_ok(&format!("{}/v1/images", endpoints.api.unwrap())).await;
    eventually_ok(&format!("{}/v1/images", endpoints.api_direct.unwrap())).await;
    eventually_ok(&format!("{}/metrics", endpoints.admin.unwrap())).await;
    eventually_ok(&format!("{}/api/services", endpoints.jaeger.unwrap())).await;
    up.stop(Signal::INT).await;
}

#[tokio::test]
async fn a_hangup_ends_it_as_ctrl_c_does() {
    Up::start(&["--embedded"]).await.stop(Signal::HUP).await;
}

#[tokio::test]
async fn a_killed_service_is_restarted_on_its_port_and_counted() {
    let up = Up::start(&["--embedded"]).await;
    up.kill("service");
    up.restarted("service").await;
    eventually_ok(&format!("{}/v1/images", up.state().endpoints.api.unwrap())).await;
    assert!(
        up.run.stderr().contains("service ended by itself"),
        "{}",
        up.run.stderr()
    );
    up.stop(Signal::TERM).await;
}

#[tokio::test]
async fn a_second_up_in_the_same_folder_is_refused_with_the_pid_of_the_first() {
    let up = Up::start(&["--embedded"]).await;
    let mut second = Run::start(&[
        "up",
        "--embedded",
        "--dir",
        up.folder.path().to_str().unwrap(),
    ]);
    assert_eq!(second.exit_code(DEADLINE).await, Some(73));
    let pid = up.run.child.id();
    assert!(
        second
            .stderr()
            .contains(&format!("the running chitram-stack with pid {pid}")),
        "{}",
        second.stderr()
    );
    up.stop(Signal::INT).await;
}

#[tokio::test]
async fn after_sigkill_nothing_runs_on_and_the_next_up_clears_the_folder() {
    let mut up = Up::start(&["--embedded"]).await;
    let service = up.process("service").identity();
    up.run.signal(Signal::KILL);
    up.run.exit_code(DEADLINE).await;
    assert_gone(service).await;
    assert!(up.folder.path().join("stack.toml").exists());
    Up::start_in(up.folder, &["--embedded"])
        .await
        .stop(Signal::INT)
        .await;
}

#[tokio::test]
async fn a_chaos_run_whose_owner_died_is_recovered() {
    let up = Up::start(&["--embedded"]).await;
    // Nobody has this pid: it is beyond what the kernel gives out.
    let lock = serde_json::json!({"pid": 0x7fff_fff0, "start_time": 1, "run_id": "dead"});
    std::fs::write(up.folder.path().join("chaos.lock"), lock.to_string()).unwrap();
    let said = async || {
        up.run
            .stderr()
            .contains("the chaos run dead died")
            .then_some(())
    };
    assert!(
        wait::until(DEADLINE, said).await.is_some(),
        "{}",
        up.run.stderr()
    );
    let done = async || (!up.folder.path().join("chaos.lock").exists()).then_some(());
    assert!(
        wait::until(DEADLINE, done).await.is_some(),
        "{}",
        up.run.stderr()
    );
}

#[tokio::test]
async fn the_real_servers_play_every_part_where_they_are_found() {
    for backend in [
        postgres::find(),
        toxiproxy::find(),
        jaeger::find(),
        versitygw::find(),
    ] {
        if require(backend).is_none() {
            return;
        }
    }
    let up = Up::start(&[]).await;
    let state = up.state();
    assert_eq!(state.environment, Environment::Real);
    assert_eq!(
        state.proxies.keys().collect::<Vec<_>>(),
        ["api", "catalog", "store", "traces"]
    );
    let api = format!("{}/v1/images", state.endpoints.api.unwrap());
    eventually_ok(&api).await;

    up.kill("toxiproxy");
    up.restarted("toxiproxy").await;
    eventually_ok(&api).await;
    let (_, proxies) = get(&format!("{}/proxies", state.endpoints.toxiproxy.unwrap()))
        .await
        .unwrap();
    let proxies: Value = serde_json::from_str(&proxies).unwrap();
    for (name, proxy) in &state.proxies {
        assert_eq!(
            proxies[name]["listen"],
            proxy.listen.to_string(),
            "{name} is where it was"
        );
    }

    let children: Vec<Identity> = up.state().processes.iter().map(Process::identity).collect();
    assert_eq!(children.len(), 5);
    up.stop(Signal::INT).await;
    for child in children {
        assert_gone(child).await;
    }
}
