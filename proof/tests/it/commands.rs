//! Exit codes, refusals and forms of output.

use std::fs;

use serde_json::json;

use crate::support::{CLEAN, Folder, board, boards, codes, report};

fn refused(arguments: &[&str], code: i32, said: &str) {
    let output = boards(arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(said), "{text}");
}

#[test]
fn what_cannot_be_read_is_refused_with_64() {
    let folder = Folder::new();
    let path = folder.path().to_owned();
    refused(&[&path, "--static"], 64, "has no board");
    refused(&[&path], 64, "--prometheus <URL>");
    refused(
        &[&path, "--static", "--prometheus", "http://127.0.0.1:1"],
        64,
        "cannot be used with",
    );
    refused(&[&path, "--check"], 64, "--format");
    refused(
        &[&folder.path_of("nowhere"), "--static"],
        64,
        "nowhere cannot be read",
    );

    folder.file("broken.json", "{\"panels\": [\n}");
    refused(
        &[&path, "--static"],
        64,
        "broken.json: expected value at line 2 column 1",
    );
    folder.file("broken.json", "[]");
    refused(&[&path, "--static"], 64, "broken.json is no board");
    folder.board("broken.json", &board(CLEAN));
    let file = folder.file("e.toml", "[[allow]]\ncode = \"nonsense\"\nwhy = \"x\"\n");
    let expectations = ["--expectations", file.to_str().unwrap()];
    refused(
        &[&[&path, "--static"], &expectations[..]].concat(),
        64,
        "`nonsense` is no code",
    );
}

#[test]
fn a_server_that_does_not_answer_is_69() {
    let folder = Folder::new();
    folder.board("a.json", &board(CLEAN));
    let port = stack::net::free_port().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    refused(
        &[folder.path(), "--prometheus", &url],
        69,
        "does not answer",
    );
}

#[test]
fn formatting_writes_what_differs_once_and_the_check_writes_nothing() {
    let folder = Folder::new();
    folder.board("good.json", &board(CLEAN));
    let bad = folder.file(
        "bad.json",
        "{\"version\": 3, \"title\": \"x\", \"panels\": []}",
    );
    let check = || boards(&[folder.path(), "--format", "--check"]);
    let output = check();
    assert_eq!(output.status.code(), Some(1));
    let named = String::from_utf8(output.stdout).unwrap();
    assert_eq!(named.trim(), bad.to_str().unwrap());
    assert!(fs::read_to_string(&bad).unwrap().contains("version"));

    let output = boards(&[folder.path(), "--format"]);
    assert_eq!(output.status.code(), Some(0));
    let expected = "{\n  \"panels\": [],\n  \"title\": \"x\"\n}\n";
    assert_eq!(fs::read_to_string(&bad).unwrap(), expected);
    assert_eq!(check().status.code(), Some(0));
}

#[test]
fn a_board_of_the_second_schema_is_a_finding_and_the_others_are_judged() {
    let folder = Folder::new();
    folder.board("a.json", &board(CLEAN));
    folder.file(
        "b.json",
        r#"{"apiVersion": "dashboard.grafana.app/v2", "spec": {}}"#,
    );
    let report = report(&[folder.path(), "--static"], 1);
    assert_eq!(codes(&report), ["schema-v2"]);
    assert_eq!(report["boards"].as_array().unwrap().len(), 1);
    assert_eq!(report["totals"]["not_asked"], 1);
}

#[test]
fn each_form_of_output_ends_alike() {
    let folder = Folder::new();
    let mut bad = board(CLEAN);
    bad["panels"][0]["description"] = json!("");
    folder.board("a.json", &bad);
    for (form, part) in [
        ("text", "no-description  panel 1 `Requests`"),
        ("markdown", "| `no-description` |"),
        ("junit", "<failure type=\"no-description\""),
        ("json", "\"code\": \"no-description\""),
    ] {
        let output = boards(&[folder.path(), "--static", "--output", form]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn what_is_allowed_with_a_reason_is_no_finding() {
    let folder = Folder::new();
    let mut bad = board(CLEAN);
    bad["panels"][0]["description"] = json!("");
    folder.board("a.json", &bad);
    let expectations = folder.file(
        "e.toml",
        "[[allow]]\ncode = \"no-description\"\nboard = \"clean\"\nid = 1\nwhy = \"The title says it.\"\n",
    );
    let arguments = ["--static", "--expectations", expectations.to_str().unwrap()];
    let report = report(&[&[folder.path()], &arguments[..]].concat(), 0);
    assert_eq!(report["allowed"][0]["code"], "no-description");
    assert_eq!(report["allowed"][0]["why"], "The title says it.");
}

#[test]
fn every_code_is_documented_and_no_other() {
    let page = include_str!("../../../docs/proof-findings.md");
    let mut documented: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(code, _)| code)
        .filter(|code| !code.starts_with('-'))
        .filter(|code| code.contains('-') || proof::boards::codes::ALL.contains(code))
        .collect();
    let mut known = proof::boards::codes::ALL.to_vec();
    documented.sort_unstable();
    known.sort_unstable();
    assert_eq!(documented, known);
}
