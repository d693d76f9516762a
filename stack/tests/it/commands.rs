//! The command line: output, one-line errors, exit codes.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use stack::server::{alertmanager, elasticsearch, prometheus, require};

use crate::run::{PORTS, chitram_stack};

fn run(args: &[&str]) -> Output {
    Command::new(chitram_stack())
        .args(args)
        .env_remove("CHITRAM_DIR")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_command_shows_examples_and_exit_codes() {
    for command in ["up", "demo", "doctor", "exec"] {
        let help = run(&[command, "--help"]);
        assert_eq!(help.status.code(), Some(0));
        let help = text(&help.stdout);
        assert!(
            help.contains("Example") && help.contains("Exit codes:"),
            "{help}"
        );
    }
}

/// Boards, alerts and documents are checked against this file.
#[test]
fn the_file_of_declarations_is_what_the_program_prints() {
    let printed = text(&run(&["telemetry"]).stdout);
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/telemetry/chitram-stack.json"
    );
    let known = std::fs::read_to_string(file).unwrap();
    assert!(known == printed, "{file} is stale: run scripts/telemetry");
}

#[test]
fn bad_usage_is_exit_code_64() {
    for args in [
        &["up", "--nonsense"][..],
        &["demo", "--seconds", "11"],
        &["fly"],
        &[],
    ] {
        assert_eq!(run(args).status.code(), Some(64), "{args:?}");
    }
}

/// `up` with this flag on a port that is in use is refused before anything starts.
fn assert_refused_in_use(embedded: &[&str], flag: &str) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut args = vec!["up", "--dir", folder.path().to_str().unwrap()];
    args.extend(embedded);
    for other in PORTS {
        args.extend([other, if other == flag { &port } else { "0" }]);
    }
    let output = run(&args);
    assert_eq!(output.status.code(), Some(69));
    let expected = format!(
        "chitram-stack: 127.0.0.1:{port} is in use: stop what listens there, or choose another port with {flag}\n"
    );
    assert_eq!(text(&output.stderr), expected);
    assert!(!folder.path().join("stack.toml").exists());
}

#[test]
fn a_port_in_use_is_one_sentence_with_address_and_flag_and_exit_code_69() {
    for flag in [
        "--api-port",
        "--admin-port",
        "--toxiproxy-port",
        "--jaeger-port",
        "--control-port",
    ] {
        assert_refused_in_use(&["--embedded"], flag);
    }
}

#[test]
fn a_port_in_use_is_refused_for_a_server_without_a_stand_in_when_it_would_start() {
    for (backend, flag) in [
        (prometheus::find(), "--prometheus-port"),
        (alertmanager::find(), "--alertmanager-port"),
        (elasticsearch::find(), "--elasticsearch-port"),
    ] {
        if require(backend).is_none() {
            return;
        }
        assert_refused_in_use(&[], flag);
    }
}

#[test]
fn alerts_that_cannot_be_read_are_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("stack");
    let output = run(&["up", "--dir", dir.to_str().unwrap(), "--alerts", "/no/such"]);
    assert_eq!(output.status.code(), Some(64));
    let said = text(&output.stderr);
    assert!(
        said.starts_with("chitram-stack: --alerts: cannot read /no/such/rules: "),
        "{said}"
    );
    assert!(!dir.exists());
}

#[test]
fn doctor_lists_each_server_or_how_to_install_it() {
    let output = run(&["doctor"]);
    assert_eq!(output.status.code(), Some(0));
    for server in [
        "PostgreSQL",
        "Toxiproxy",
        "Jaeger",
        "versitygw",
        "Prometheus",
        "promtool",
        "Alertmanager",
        "amtool",
        "Elasticsearch",
        "rsyslog",
    ] {
        assert!(text(&output.stdout).contains(server));
    }
}

#[test]
fn doctor_does_not_take_a_prometheus_that_is_too_old_and_says_so() {
    let machine = tempfile::tempdir().unwrap();
    let program = machine.path().join("prometheus");
    let script = "#!/bin/sh\necho 'prometheus, version 2.42.0+ds (branch: debian/sid)' >&2\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(chitram_stack())
        .arg("doctor")
        .env("PATH", machine.path())
        .env("XDG_CACHE_HOME", machine.path())
        .env_remove("CHITRAM_PROMETHEUS_URL")
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(
        said.contains("Prometheus    metrics       not found    install: scripts/backends"),
        "{said}"
    );
    let reason = format!(
        "{} is not used: its version is 2.42.0+ds, and 3.0 or newer is needed\n",
        program.display()
    );
    assert!(said.contains(&reason), "{said}");
}

#[test]
fn doctor_finds_nothing_on_an_empty_machine_and_says_what_to_do() {
    let nowhere = tempfile::tempdir().unwrap();
    let output = Command::new(chitram_stack())
        .args(["doctor", "--json"])
        .env("PATH", nowhere.path())
        .env("XDG_CACHE_HOME", nowhere.path())
        .env_remove("CHITRAM_TOXIPROXY_URL")
        .env("CHITRAM_S3_URL", "http://me:secret@127.0.0.1:9000")
        .output()
        .unwrap();
    let lines: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let line = |name: &str| {
        lines
            .as_array()
            .unwrap()
            .iter()
            .find(|line| line["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(line("Toxiproxy")["found"], false);
    assert!(
        line("Toxiproxy")["install"]
            .as_str()
            .unwrap()
            .contains("scripts/backends")
    );
    assert_eq!(line("versitygw")["found"], true);
    assert_eq!(line("versitygw")["place"], "http://me:***@127.0.0.1:9000/");
}

#[test]
fn a_demo_with_a_bad_photo_folder_starts_nothing() {
    let output = run(&["demo", "--photos", "/no/such/folder"]);
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(
        text(&output.stderr),
        "chitram-stack: --photos /no/such/folder is not a folder: give one that holds pictures\n"
    );
}
