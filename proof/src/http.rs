//! Reading over HTTP: one deadline and one bound of bytes for every call.

use std::time::Duration;

use url::Url;

/// The longest that a call may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// A client that follows no redirects and takes no proxy from the environment.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(concat!("chitram-proof/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(2))
        .timeout(DEADLINE)
        .build()
}

/// `base` with a path below it, whether or not it ends with a slash.
pub fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// Status and body of the answer to a request. The error is a sentence that names the address.
pub async fn read(request: reqwest::RequestBuilder, url: &Url) -> Result<(u16, Vec<u8>), String> {
    let (status, _, body) = read_typed(request, url).await?;
    Ok((status, body))
}

/// Status, `Content-Type` (empty if there is none) and body of the answer to a request.
pub async fn read_typed(
    request: reqwest::RequestBuilder,
    url: &Url,
) -> Result<(u16, String, Vec<u8>), String> {
    let failed = |error: reqwest::Error| format!("{url} does not answer: {}", cause(&error));
    let mut answer = request.send().await.map_err(failed)?;
    let status = answer.status().as_u16();
    let media_type = answer.headers().get(reqwest::header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or_default().to_owned();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(format!("{url} answers with more than {MAX_BYTES} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, media_type, body))
}

/// The innermost cause, which names the failure and not the call.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
