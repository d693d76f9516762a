//! Whose requests are answered: those that name a host of ours, and not what other sites' pages want changed. The same on
//! both listeners, in HTTP/1.0, 1.1 and 2.

use std::net::SocketAddr;

use observability::testing::http2::{Frame, Http2};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::PATIENCE;
use crate::support::service::Service;

/// The whole answer to the text of a request.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut answer = Vec::new();
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_end(&mut answer).await
    };
    let _ = tokio::time::timeout(PATIENCE, asking)
        .await
        .expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// Both listeners, each with a path for reading and a request that changes something.
fn listeners(service: &Service) -> [(SocketAddr, &'static str, &'static str); 2] {
    [
        (service.address, "/v1/images", "POST /v1/images"),
        (service.admin_address(), "/live", "PUT /log-level"),
    ]
}

/// What the change answers when it is let in: not a picture, no logging in this process.
const LET_IN: [u16; 2] = [415, 503];

#[tokio::test]
async fn requests_of_http1_have_to_name_a_host_of_ours_once() {
    let service = Service::start(&[("CHITRAM_HOSTS", "images.example,10.1.2.3,[fd00::7]")]).await;
    for (address, path, _) in listeners(&service) {
        let here = format!("host: {address}\r\n");
        let absolute = format!("http://evil.example{path}");
        let ours = format!("http://localhost{path}");
        let user = format!("http://user@localhost{path}");
        let cases = [
            ("1.1", path, "", 400),
            ("1.1", path, "host:\r\n", 400),
            ("1.1", path, "host: localhost\r\nhost: localhost\r\n", 400),
            (
                "1.1",
                path,
                "host: localhost\r\nhost: evil.example\r\n",
                400,
            ),
            ("1.0", path, "host: localhost\r\nhost: localhost\r\n", 400),
            ("1.1", path, "host: local host\r\n", 400),
            ("1.1", path, "host: user@localhost\r\n", 400),
            ("1.1", path, "host: localhost/\r\n", 400),
            ("1.1", path, "host: localhost:80:80\r\n", 400),
            ("1.1", path, "host: localhost:99999\r\n", 400),
            ("1.1", path, "host: [::1\r\n", 400),
            ("1.1", path, "host: ::1\r\n", 400),
            ("1.0", path, "host: a b\r\n", 400),
            ("1.1", path, "host: evil.example\r\n", 421),
            ("1.0", path, "host: evil.example\r\n", 421),
            ("1.1", path, "host: localhost.evil.example\r\n", 421),
            ("1.1", path, "host: 127.0.0.1.nip.io\r\n", 421),
            ("1.1", path, "host: 127.1\r\n", 421),
            ("1.1", path, "host: 0.0.0.0\r\n", 421),
            ("1.1", path, "host: 192.168.0.1:8080\r\n", 421),
            ("1.1", path, "host: [::2]\r\n", 421),
            ("1.1", path, &here, 200),
            ("1.1", path, "host: localhost\r\n", 200),
            ("1.1", path, "Host: LocalHost.:1234\r\n", 200),
            ("1.1", path, "host: 127.9.9.9\r\n", 200),
            ("1.1", path, "host: [::1]:80\r\n", 200),
            ("1.1", path, "host: IMAGES.example:443\r\n", 200),
            ("1.1", path, "host: 10.1.2.3:8080\r\n", 200),
            ("1.1", path, "host: [fd00:0::7]\r\n", 200),
            ("1.0", path, "host: localhost\r\n", 200),
            ("1.0", path, "", 200),
            // The target's own host counts; `Host` has to be there and valid.
            ("1.1", &absolute, "host: localhost\r\n", 421),
            ("1.1", &ours, "host: evil.example\r\n", 200),
            ("1.1", &ours, "", 400),
            ("1.1", &ours, "host: a b\r\n", 400),
            ("1.1", &user, "host: localhost\r\n", 400),
            ("1.0", &absolute, "", 421),
        ];
        for (version, target, host, expected) in cases {
            let request = format!("GET {target} HTTP/{version}\r\n{host}connection: close\r\n\r\n");
            let answer = ask(address, &request).await;
            assert_eq!(status(&answer), expected, "{request}{answer}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn requests_of_http2_have_to_name_a_host_of_ours_once() {
    let service = Service::start(&[]).await;
    for (address, path, _) in listeners(&service) {
        let cases: [(&[(&str, &str)], u16); 10] = [
            (&[(":authority", "localhost:1")], 200),
            (&[(":authority", "LOCALHOST"), ("host", "localhost")], 200),
            (&[("host", "127.0.0.1:80")], 200),
            (
                &[(":authority", "localhost:80"), ("host", "localhost")],
                200,
            ),
            (&[(":authority", "evil.example")], 421),
            (&[("host", "evil.example")], 421),
            (
                &[(":authority", "localhost"), ("host", "evil.example")],
                400,
            ),
            (&[(":authority", "localhost"), ("host", "localhost:1")], 400),
            (
                &[
                    (":authority", "localhost"),
                    ("host", "localhost"),
                    ("host", "localhost"),
                ],
                400,
            ),
            (&[], 400),
        ];
        for (hosts, expected) in cases {
            let mut client = Http2::connect(address, 65_535).await.expect("a connection");
            let mut fields = vec![(":method", "GET"), (":scheme", "http"), (":path", path)];
            fields.extend_from_slice(hosts);
            client.request(&fields).await.expect("sent");
            let status = loop {
                match client.frame().await.expect("an answer") {
                    Frame::Head(_, status) => break status,
                    Frame::Reset(_) | Frame::GoAway => break None,
                    Frame::Data(..) => {}
                }
            };
            assert_eq!(status, Some(expected), "{path}: {hosts:?}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let service = Service::start(&[("CHITRAM_HOSTS", "images.example")]).await;
    for ((address, path, change), let_in) in listeners(&service).into_iter().zip(LET_IN) {
        let own = format!("origin: http://{address}\r\n");
        let fields = [
            ("sec-fetch-site: cross-site\r\n", 403),
            ("sec-fetch-site: same-site\r\n", 403),
            ("sec-fetch-site: anything\r\n", 403),
            ("sec-fetch-site: none\r\nsec-fetch-site: none\r\n", 403),
            (
                "sec-fetch-site: cross-site\r\norigin: http://localhost\r\n",
                403,
            ),
            ("origin: null\r\n", 403),
            ("origin: http://evil.example\r\n", 403),
            ("origin: http://localhost\r\n", 403),
            ("origin: http://127.0.0.1:1\r\n", 403),
            ("origin: localhost\r\n", 403),
            ("origin:\r\n", 403),
            ("", let_in),
            ("sec-fetch-site: same-origin\r\n", let_in),
            ("sec-fetch-site: none\r\n", let_in),
            (&own, let_in),
        ];
        for (fields, expected) in fields {
            let request = format!(
                "{change} HTTP/1.1\r\nhost: {address}\r\n{fields}content-length: 2\r\nconnection: close\r\n\r\n{{}}"
            );
            let answer = ask(address, &request).await;
            assert_eq!(status(&answer), expected, "{request}\n{answer}");
        }
        // A proxy ends TLS: the browser's port is that of https.
        let request = format!(
            "{change} HTTP/1.1\r\nhost: images.example\r\norigin: https://images.example\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
        );
        assert_eq!(status(&ask(address, &request).await), let_in, "{request}");
        for (method, expected) in [("DELETE", 403), ("PATCH", 403), ("BREW", 403)] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: {address}\r\norigin: null\r\nconnection: close\r\n\r\n"
            );
            assert_eq!(status(&ask(address, &request).await), expected, "{request}");
        }
        // Reading is for everybody: pictures are embedded.
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nsec-fetch-site: cross-site\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(status(&ask(address, &request).await), 200, "{request}");
    }
    service.stop().await;
}

#[tokio::test]
async fn refusals_are_problems_and_counted_as_any_answer() {
    let service = Service::start(&[]).await;
    let evil = "DELETE /v1/images/0192f0c1-2345-7890-abcd-ef0123456789 HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    let answer = ask(service.address, evil).await;
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(
        answer.contains("urn:chitram:problem:unknown-host") && answer.contains("CHITRAM_HOSTS"),
        "{answer}"
    );
    let cross = "POST /v1/images HTTP/1.1\r\nhost: localhost\r\norigin: null\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let answer = ask(service.address, cross).await;
    assert!(
        answer.contains("urn:chitram:problem:cross-site"),
        "{answer}"
    );
    let answer = ask(
        service.admin_address(),
        "GET /metrics HTTP/1.1\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.contains("must name its host once"), "{answer}");

    for (method, route, status) in [
        ("DELETE", "/v1/images/{id}", "421"),
        ("POST", "/v1/images", "403"),
    ] {
        let labels = [
            ("http_request_method", method),
            ("http_route", route),
            ("http_response_status_code", status),
            ("error_type", ""),
        ];
        let name = "http_server_request_duration_seconds_count";
        assert_eq!(service.count(name, &labels).await, 1, "{method} {route}");
    }
    for (listener, reason) in [
        ("api", "unknown_host"),
        ("api", "cross_site"),
        ("admin", "bad_host"),
    ] {
        let labels = [("listener", listener), ("reason", reason)];
        let name = "chitram_requests_refused_total";
        assert_eq!(service.count(name, &labels).await, 1, "{listener} {reason}");
    }
    service.stop().await;
}

#[test]
fn a_host_setting_that_is_no_host_is_refused_at_the_start() {
    use service::config::{Config, Sources};
    for text in [
        "a b",
        "images.example:80",
        "http://images.example",
        "*",
        "a,,b",
        "[",
    ] {
        let setting = ("CHITRAM_HOSTS".to_owned(), text.to_owned());
        let refused = Config::load(&mut Sources::new([setting])).map(|_| ());
        let said = refused.expect_err(text).to_string();
        assert!(
            said.contains("CHITRAM_HOSTS") && said.contains("without port"),
            "{said}"
        );
    }
}
