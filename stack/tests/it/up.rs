//! `chitram-stack up` as a whole: it serves, restarts what dies, ends in order, leaves nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::Value;
use stack::process::Identity;
use stack::server::{
    alertmanager, elasticsearch, jaeger, postgres, prometheus, require, rsyslog, toxiproxy,
    versitygw,
};
use stack::state::{Environment, Process, State};
use stack::{net, wait};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::run::{DEADLINE, PORTS, Run};
use crate::support::assert_gone;

/// A running `up` on free ports.
pub(crate) struct Up {
    pub(crate) run: Run,
    pub(crate) folder: TempDir,
}

/// The service migrates and warms up; real servers make their data folders first.
pub(crate) const START: Duration = Duration::from_mins(3);

impl Up {
    /// The embedded platform in a folder of its own.
    pub(crate) async fn embedded() -> Self {
        Self::start(tempfile::tempdir().unwrap(), &["--embedded"], &[]).await
    }

    pub(crate) async fn start(
        folder: TempDir,
        extra: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let run = start(&folder, extra, environment);
        let mut up = Self { run, folder };
        let ready = |run: &Run| {
            run.stdout()
                .contains("Ctrl-C stops everything")
                .then_some(())
        };
        up.run.until("the addresses", START, ready).await;
        up
    }

    pub(crate) fn state(&self) -> State {
        State::read(&self.folder.path().join("stack.toml"))
            .unwrap()
            .unwrap()
    }

    pub(crate) fn process(&self, name: &str) -> Process {
        self.state()
            .processes
            .into_iter()
            .find(|process| process.name == name)
            .unwrap()
    }

    pub(crate) fn kill(&self, name: &str) {
        let pid = i32::try_from(self.process(name).pid).unwrap();
        rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }

    async fn restarted(&self, name: &str) {
        let restarted = async || (self.process(name).restarts == 1).then_some(());
        wait::until(DEADLINE, restarted)
            .await
            .unwrap_or_else(|| panic!("{name}: {}", self.run.stderr()));
    }

    pub(crate) async fn stop(mut self, signal: Signal) {
        self.run.signal(signal);
        let code = self.run.exit_code(START).await;
        assert_eq!(code, Some(0), "{}", self.run.stderr());
        self.run.assert_nothing_left().await;
        assert_eq!(entries(self.folder.path()), ["logs", "stack.lock"]);
    }
}

/// `up` on free ports, not waited for.
pub(crate) fn start(folder: &TempDir, extra: &[&str], environment: &[(&str, &str)]) -> Run {
    let mut args = vec!["up", "--dir", folder.path().to_str().unwrap()];
    args.extend(PORTS.iter().flat_map(|flag| [*flag, "0"]));
    args.extend(extra);
    Run::start(&args, environment)
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

pub(crate) async fn get(url: &str) -> Option<(u16, String)> {
    let answer = net::http().unwrap().get(url).send().await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

pub(crate) async fn eventually_ok(url: &str) {
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
    let up = Up::embedded().await;
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
    Up::embedded().await.stop(Signal::HUP).await;
}

#[tokio::test]
async fn a_killed_service_is_restarted_on_its_port_and_counted() {
    let up = Up::embedded().await;
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
    let up = Up::embedded().await;
    let mut second = start(&up.folder, &["--embedded"], &[]);
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
    let mut up = Up::embedded().await;
    let service = up.process("service").identity();
    up.run.signal(Signal::KILL);
    up.run.exit_code(DEADLINE).await;
    assert_gone(service).await;
    assert!(up.folder.path().join("stack.toml").exists());
    Up::start(up.folder, &["--embedded"], &[])
        .await
        .stop(Signal::INT)
        .await;
}

#[tokio::test]
async fn a_chaos_run_whose_owner_died_is_recovered() {
    let up = Up::embedded().await;
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
        alertmanager::find(),
        prometheus::find(),
        elasticsearch::find(),
        rsyslog::find(),
    ] {
        if require(backend).is_none() {
            return;
        }
    }
    let up = Up::start(tempfile::tempdir().unwrap(), &[], &[]).await;
    let state = up.state();
    assert_eq!(state.environment, Environment::Real);
    assert_eq!(
        state.proxies.keys().collect::<Vec<_>>(),
        ["api", "catalog", "store", "traces"]
    );
    let api = format!("{}/v1/images", state.endpoints.api.unwrap());
    eventually_ok(&api).await;
    let shipped = async || {
        let metrics = format!("{}/metrics", state.endpoints.control.as_ref()?);
        let (_, text) = get(&metrics).await?;
        let confirmed = "chitram_log_shipping_lines_total{outcome=\"confirmed\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(confirmed))?;
        (line != "0").then_some(())
    };
    assert!(wait::until(DEADLINE, shipped).await.is_some());

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
    assert_eq!(children.len(), 9);
    up.stop(Signal::INT).await;
    for child in children {
        assert_gone(child).await;
    }
}

/// A fault proxy that is not the stack's, with a proxy of somebody else in it.
async fn somebody_elses_toxiproxy() -> (String, DropGuard) {
    let (listener, shutdown) = (net::listen(0, "").await.unwrap(), CancellationToken::new());
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(stack::standin::toxiproxy::serve(listener, shutdown.clone()));
    make_proxy(&url, "theirs").await;
    (url, shutdown.drop_guard())
}

async fn make_proxy(url: &str, name: &str) {
    let body =
        serde_json::json!({"name": name, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"});
    let made = net::http()
        .unwrap()
        .post(format!("{url}/proxies"))
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 201);
}

async fn proxies(url: &str) -> Vec<String> {
    let (_, body) = get(&format!("{url}/proxies")).await.unwrap();
    let proxies: BTreeMap<String, Value> = serde_json::from_str(&body).unwrap();
    proxies.into_keys().collect()
}

#[tokio::test]
async fn in_a_fault_proxy_given_by_url_only_our_proxies_come_and_go() {
    let (url, _running) = somebody_elses_toxiproxy().await;
    let environment = [("CHITRAM_TOXIPROXY_URL", url.as_str())];
    let mut up = Up::start(tempfile::tempdir().unwrap(), &["--embedded"], &environment).await;
    assert_eq!(up.state().environment, Environment::Mixed);
    assert_eq!(proxies(&url).await, ["api", "store", "theirs", "traces"]);
    // What a killed stack left there is taken over by the next one in its folder.
    up.run.signal(Signal::KILL);
    up.run.exit_code(DEADLINE).await;
    let up = Up::start(up.folder, &["--embedded"], &environment).await;
    eventually_ok(&format!("{}/v1/images", up.state().endpoints.api.unwrap())).await;
    up.stop(Signal::INT).await;
    assert_eq!(proxies(&url).await, ["theirs"]);
}

#[tokio::test]
async fn a_proxy_of_the_same_name_that_is_not_ours_is_refused_and_left() {
    let (url, _running) = somebody_elses_toxiproxy().await;
    make_proxy(&url, "store").await;
    let folder = tempfile::tempdir().unwrap();
    let mut run = start(&folder, &["--embedded"], &[("CHITRAM_TOXIPROXY_URL", &url)]);
    assert_eq!(run.exit_code(START).await, Some(69));
    assert!(
        run.stderr()
            .contains("already has a proxy called store: remove it"),
        "{}",
        run.stderr()
    );
    assert_eq!(proxies(&url).await, ["store", "theirs"]);
    run.assert_nothing_left().await;
}
