//! The HTTP client of everything that is only read: one deadline and one bound of bytes for every call.

use std::time::Duration;

use url::Url;

/// A client that follows no redirects, keeps to this machine's addresses as given (no proxy of the environment) and
/// names itself. The name must not begin with `Mozilla/`: Toxiproxy answers such clients with 403.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(concat!("chitram-chaos/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(2))
        .build()
}

/// `base` with a path below it, whether or not it ends with a slash.
pub fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// An address as it is told: without the user's name and password.
pub fn shown(url: &Url) -> Url {
    let mut shown = url.clone();
    // Refused only by addresses that can have neither.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown
}

/// `base` with these segments below it, each a name as it is: one with a slash does not become two.
pub fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// Why there is no body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The status, where there was an answer and it was another than 2xx.
    pub status: Option<u16>,
    /// Names the address.
    pub sentence: String,
}

impl From<String> for Unread {
    fn from(sentence: String) -> Self {
        Self {
            status: None,
            sentence,
        }
    }
}

/// The body of a `GET` that answers 2xx. The error is a sentence that names the address.
pub async fn get(
    http: &reqwest::Client,
    url: &Url,
    deadline: Duration,
    max_bytes: usize,
) -> Result<Vec<u8>, String> {
    let body = read(http, url, deadline, max_bytes).await;
    body.map_err(|unread| unread.sentence)
}

/// The body of a `GET` that answers 2xx, or what there was instead.
pub async fn read(
    http: &reqwest::Client,
    url: &Url,
    deadline: Duration,
    max_bytes: usize,
) -> Result<Vec<u8>, Unread> {
    let answer = answer(http, url, deadline, max_bytes).await?;
    if (200..300).contains(&answer.status) {
        return Ok(answer.body);
    }
    Err(Unread {
        status: Some(answer.status),
        sentence: format!("{} answers {}", shown(url), words(answer.status)),
    })
}

/// `404 Not Found`.
fn words(status: u16) -> String {
    reqwest::StatusCode::from_u16(status).map_or_else(|_| status.to_string(), |s| s.to_string())
}

/// What answered a `GET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The server's time in Unix microseconds, cut to the second, if it says one.
    pub date_us: Option<i64>,
    /// The body, whatever the status; empty where it could not be read and the status is another than 2xx, which is then what
    /// the answer says.
    pub body: Vec<u8>,
}

/// The answer of a `GET`, whatever its status. The error is a sentence that names the address without its query, which may
/// be long.
pub async fn answer(
    http: &reqwest::Client,
    url: &Url,
    deadline: Duration,
    max_bytes: usize,
) -> Result<Answer, String> {
    let mut named = shown(url);
    named.set_query(None);
    let end = tokio::time::Instant::now() + deadline;
    let late = || {
        let seconds = deadline.as_secs_f64();
        format!("{named} does not answer within {seconds} s")
    };
    let sent = tokio::time::timeout_at(end, http.get(url.clone()).send()).await;
    let sent = sent.map_err(|_| late())?;
    let mut answer = sent.map_err(|error| unanswered(&named, &error))?;
    let date = answer.headers().get(reqwest::header::DATE);
    let date_us = date.and_then(|date| date_us(date.to_str().ok()?));
    let status = answer.status();
    let body = tokio::time::timeout_at(end, body(&mut answer, &named, max_bytes)).await;
    let body = match body.unwrap_or_else(|_| Err(late())) {
        Ok(body) => body,
        Err(_) if !status.is_success() => Vec::new(),
        Err(why) => return Err(why),
    };
    Ok(Answer {
        status: status.as_u16(),
        date_us,
        body,
    })
}

async fn body(
    answer: &mut reqwest::Response,
    named: &Url,
    max_bytes: usize,
) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|error| unanswered(named, &error))?
    {
        if body.len() + chunk.len() > max_bytes {
            return Err(format!("{named} answers more than {max_bytes} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The time in a `Date` header (RFC 9110, 5.6.7) in Unix microseconds.
fn date_us(date: &str) -> Option<i64> {
    let parsed = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(parsed.timestamp().as_microsecond())
}

/// That an address does not answer, with the innermost cause, which is the one that says something.
pub fn unanswered(url: &Url, error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    format!("{} does not answer: {cause}", shown(url))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Reads from a server that sends this head, some of its body, and then nothing.
    async fn read_slow(head: &str, deadline: Duration, max_bytes: usize) -> Unread {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("an address");
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 100\r\n\r\nsome of it");
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            std::future::pending::<Vec<u8>>().await
        };
        let url = Url::parse(&format!("http://name:secret@{address}/")).expect("an address");
        let http = client().expect("a client");
        tokio::select! {
            never = server => panic!("{never:?}"),
            unread = read(&http, &url, deadline, max_bytes) => unread.expect_err("no body"),
        }
    }

    #[tokio::test]
    async fn the_status_of_a_failure_is_told_though_its_body_is_slow_or_large() {
        for (deadline_s, max_bytes) in [(1, 999), (60, 3)] {
            let deadline = Duration::from_secs(deadline_s);
            let unread = read_slow("503 Service Unavailable", deadline, max_bytes).await;
            assert_eq!(unread.status, Some(503), "{}", unread.sentence);
            let unread = read_slow("200 OK", deadline, max_bytes).await;
            assert_eq!(unread.status, None, "{}", unread.sentence);
            assert!(!unread.sentence.contains("secret"), "{}", unread.sentence);
        }
    }

    #[test]
    fn an_address_is_shown_without_name_and_password() {
        let url = Url::parse("https://name:secret@host:9090/a?b=c").expect("an address");
        assert_eq!(shown(&url).as_str(), "https://host:9090/a?b=c");
    }

    #[test]
    fn the_time_of_a_date_header_is_read_and_anything_else_is_none() {
        assert_eq!(
            date_us("Sat, 28 Nov 2026 08:57:32 GMT"),
            Some(1_795_856_252_000_000)
        );
        assert_eq!(date_us("1795856252"), None);
    }
}
