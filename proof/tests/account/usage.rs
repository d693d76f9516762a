//! What is asked wrongly, and what cannot be measured: no server is needed for these.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::rig::{Account, account};

const DECLARED: &str =
    r#"{"program": "p", "metrics": [{"name": "a", "kind": "gauge", "help": "As."}]}"#;
const PAGE: &str = "# HELP a As.\n# TYPE a gauge\na 1\n";

/// Runs the command with declarations, expectations and further arguments.
async fn run(expectations: &str, more: &[&str]) -> Account {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (declared, expected) = (
        write("declared.json", DECLARED),
        write("expected.toml", expectations),
    );
    let mut arguments = vec![
        "--declared".to_owned(),
        declared,
        "--expectations".to_owned(),
        expected,
    ];
    arguments.extend(more.iter().map(|&one| one.to_owned()));
    account(arguments).await
}

/// Serves one page to everybody, in the format that is asked for.
fn metrics() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut request) = (stream.unwrap(), [0; 4096]);
            let read = stream.read(&mut request).unwrap_or_default();
            let open = String::from_utf8_lossy(&request[..read]).contains("openmetrics");
            let (kind, end) = if open {
                ("application/openmetrics-text; version=1.0.0", "# EOF\n")
            } else {
                ("text/plain; version=0.0.4", "")
            };
            let length = PAGE.len() + end.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all((head + PAGE + end).as_bytes());
        }
    });
    url
}

#[tokio::test]
async fn what_is_asked_wrongly_is_64_and_named() {
    for (expectations, arguments, named) in [
        ("", vec![], "--metrics"),
        (
            "[spans]\nendet = []\n",
            vec!["--metrics", "http://127.0.0.1:1"],
            "expected.toml",
        ),
        (
            "[lines]\n",
            vec!["--metrics", "http://127.0.0.1:1"],
            "expected.toml",
        ),
        ("", vec!["--elasticsearch", "http://127.0.0.1:1"], "--index"),
        (
            "",
            vec![
                "--metrics",
                "http://127.0.0.1:1",
                "--truth",
                "/nowhere.json",
            ],
            "/nowhere.json",
        ),
        (
            "",
            vec!["--jaeger", "http://127.0.0.1:1", "--sampled-share", "2"],
            "0 to 1",
        ),
    ] {
        let account = run(expectations, &arguments).await;
        assert_eq!(account.code, 64, "{arguments:?}: {}", account.said);
        assert!(account.said.contains(named), "{named}: {}", account.said);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_69_and_named() {
    for option in ["--metrics", "--jaeger"] {
        let account = run("", &[option, "http://127.0.0.1:1/x"]).await;
        assert_eq!(account.code, 69, "{}", account.said);
        assert!(
            account.said.contains("http://127.0.0.1:1/x"),
            "{}",
            account.said
        );
    }
}

#[tokio::test]
async fn what_is_not_measured_is_not_proven() {
    let url = metrics();
    let account = run("", &["--metrics", &url]).await;
    assert_eq!(account.code, 69, "{}", account.said);
    assert!(account.codes().is_empty(), "{}", account.said);
    assert!(
        account.said.contains("the expectations have no [requests]"),
        "{}",
        account.said
    );
}
