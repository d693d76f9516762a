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
        sentence: format!("{url} answers {}", words(answer.status)),
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
    /// The body, whatever the status.
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
    let mut named = url.clone();
    named.set_query(None);
    let read = async {
        let sent = http.get(url.clone()).send().await;
        let mut answer = sent.map_err(|error| unanswered(&named, &error))?;
        let date = answer.headers().get(reqwest::header::DATE);
        let date_us = date.and_then(|date| date_us(date.to_str().ok()?));
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| unanswered(&named, &error))?
        {
            if body.len() + chunk.len() > max_bytes {
                return Err(format!("{named} answers more than {max_bytes} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            date_us,
            body,
        })
    };
    tokio::time::timeout(deadline, read)
        .await
        .unwrap_or_else(|_| {
            let seconds = deadline.as_secs_f64();
            Err(format!("{named} does not answer within {seconds} s"))
        })
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
    format!("{url} does not answer: {cause}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_date_header_is_read_and_anything_else_is_none() {
        assert_eq!(
            date_us("Sat, 28 Nov 2026 08:57:32 GMT"),
            Some(1_795_856_252_000_000)
        );
        assert_eq!(date_us("1795856252"), None);
    }
}
