//! The command line: output, one-line errors, exit codes.

use std::net::TcpListener;
use std::process::{Command, Output};

use crate::run::chitram_stack;

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

#[test]
fn a_port_in_use_is_one_sentence_with_address_and_flag_and_exit_code_69() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    for flag in [
        "--api-port",
        "--admin-port",
        "--toxiproxy-port",
        "--jaeger-port",
        "--elasticsearch-port",
    ] {
        let mut args = vec!["up", "--embedded", "--dir", dir];
        for other in [
            "--api-port",
            "--admin-port",
            "--toxiproxy-port",
            "--jaeger-port",
            "--elasticsearch-port",
        ] {
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
        "Elasticsearch",
        "rsyslog",
    ] {
        assert!(text(&output.stdout).contains(server));
    }
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
