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
    let read = async {
        let mut answer = http
            .get(url.clone())
            .send()
            .await
            .map_err(|error| unanswered(url, &error))?;
        if !answer.status().is_success() {
            return Err(Unread {
                status: Some(answer.status().as_u16()),
                sentence: format!("{url} answers {}", answer.status()),
            });
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| unanswered(url, &error))?
        {
            if body.len() + chunk.len() > max_bytes {
                return Err(format!("{url} answers more than {max_bytes} bytes").into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    match tokio::time::timeout(deadline, read).await {
        Ok(read) => read,
        Err(_) => Err(format!("{url} does not answer within {} s", deadline.as_secs_f64()).into()),
    }
}

/// That an address does not answer, with the innermost cause, which is the one that says something.
pub fn unanswered(url: &Url, error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    format!("{url} does not answer: {cause}")
}
