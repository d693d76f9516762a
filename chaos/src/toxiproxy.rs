//! A client of Toxiproxy's HTTP API: only the calls that an experiment needs, each with a deadline.
//!
//! Only [`Toxiproxy::list`] asks for all proxies, and only a healthy server is asked: on one that is wedged the list hangs
//! for every proxy. `/reset` is never called, since it strips other people's toxics; nor is `/populate`, which replaces
//! a proxy with its toxics where an address differs.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use crate::definition::Stream;
use crate::http;

/// Largest answer that is read.
const MAX_BYTES: usize = 1 << 20;

/// A proxy as it is created: what a restarted server has to be told again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Name.
    pub name: String,
    /// Address that it accepts at.
    pub listen: String,
    /// Address that it dials.
    pub upstream: String,
    /// Whether it accepts.
    pub enabled: bool,
}

/// A proxy with its toxics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proxy {
    /// What it is.
    #[serde(flatten)]
    pub definition: Definition,
    /// What acts on it.
    #[serde(default)]
    pub toxics: Vec<Toxic>,
}

/// A toxic, as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Toxic {
    /// Name, unique on its proxy.
    pub name: String,
    /// `latency`, `timeout`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// `downstream` or `upstream`.
    pub stream: String,
    /// Share of connections.
    pub toxicity: f64,
    /// Numbers by name.
    pub attributes: Map<String, Value>,
}

impl Toxic {
    /// A toxic with these attributes.
    pub fn new(
        name: &str,
        kind: &str,
        stream: Stream,
        toxicity: f64,
        attributes: &[(&str, u64)],
    ) -> Self {
        let attributes = attributes
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        Self {
            name: name.into(),
            kind: kind.into(),
            stream: stream.as_str().into(),
            toxicity,
            attributes,
        }
    }

    /// Whether the server has this toxic as it was meant: it prints toxicity with the precision of an f32.
    pub fn is_as_meant(&self, meant: &Self) -> bool {
        (self.toxicity - meant.toxicity).abs() < 1e-6
            && Self {
                toxicity: 0.0,
                ..self.clone()
            } == Self {
                toxicity: 0.0,
                ..meant.clone()
            }
    }
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer in time, or a 503, with which Toxiproxy gives up on a lock that somebody holds. The sentence names the
    /// address. What was asked for may still happen.
    #[error("{0}")]
    Unanswered(String),
    /// Nothing listens there.
    #[error("{0}")]
    NoServer(String),
    /// A proxy or toxic of this name is there already.
    #[error("{0} is there already")]
    Exists(String),
    /// The proxy or toxic is not there.
    #[error("{0} is not there")]
    NotFound(String),
    /// Any other refusal.
    #[error("{0}")]
    Refused(String),
}

/// A server's API.
#[derive(Clone, Debug)]
pub struct Toxiproxy {
    http: reqwest::Client,
    base: Url,
    deadline: Duration,
}

impl Toxiproxy {
    /// The API at this address; every call ends within `deadline`.
    pub fn new(http: reqwest::Client, base: Url, deadline: Duration) -> Self {
        Self {
            http,
            base,
            deadline,
        }
    }

    /// The same API with another deadline.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// The API's address.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The server's version.
    pub async fn version(&self) -> Result<String, Error> {
        let body = self.call(Method::GET, &["version"], None).await?;
        // Old servers answer the bare number.
        let version = body
            .get("version")
            .and_then(Value::as_str)
            .map(str::to_owned);
        Ok(version.unwrap_or_else(|| body.as_str().unwrap_or("unknown").to_owned()))
    }

    /// All proxies.
    pub async fn list(&self) -> Result<Vec<Proxy>, Error> {
        let proxies: Map<String, Value> = read(self.call(Method::GET, &["proxies"], None).await?)?;
        proxies.into_values().map(read).collect()
    }

    /// One proxy.
    pub async fn proxy(&self, name: &str) -> Result<Proxy, Error> {
        read(self.call(Method::GET, &["proxies", name], None).await?)
    }

    /// Makes a proxy.
    pub async fn create(&self, proxy: &Definition) -> Result<(), Error> {
        self.call(Method::POST, &["proxies"], Some(body(proxy)?))
            .await
            .map(|_| ())
    }

    /// Removes a proxy; one that is not there is removed already. Disable it before: removing one that accepts holds the
    /// lock of all proxies until its last connection is dialled.
    pub async fn remove_proxy(&self, name: &str) -> Result<(), Error> {
        match self.call(Method::DELETE, &["proxies", name], None).await {
            Err(Error::NotFound(_)) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Enables or disables a proxy. Only this field is sent: any mention of `listen` may move the port.
    pub async fn set_enabled(&self, name: &str, enabled: bool) -> Result<(), Error> {
        self.call(
            Method::POST,
            &["proxies", name],
            Some(json!({ "enabled": enabled })),
        )
        .await
        .map(|_| ())
    }

    /// Adds a toxic.
    pub async fn add(&self, proxy: &str, toxic: &Toxic) -> Result<(), Error> {
        let path = ["proxies", proxy, "toxics"];
        self.call(Method::POST, &path, Some(body(toxic)?))
            .await
            .map(|_| ())
    }

    /// Removes a toxic; one that is not there is removed already.
    pub async fn remove(&self, proxy: &str, toxic: &str) -> Result<(), Error> {
        let path = ["proxies", proxy, "toxics", toxic];
        match self.call(Method::DELETE, &path, None).await {
            Err(Error::NotFound(_)) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Value>,
    ) -> Result<Value, Error> {
        let url = http::below(&self.base, path);
        let what = format!("{method} {url}");
        match tokio::time::timeout(self.deadline, self.exchange(method, url, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Unanswered(format!(
                "{what} was not answered within {} s",
                self.deadline.as_secs_f64()
            ))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        url: Url,
        body: Option<Value>,
    ) -> Result<Value, Error> {
        let unanswered = |error: reqwest::Error| {
            let sentence = http::unanswered(&url, &error);
            let refused = error.is_connect() && !error.is_timeout();
            if refused {
                Error::NoServer(sentence)
            } else {
                Error::Unanswered(sentence)
            }
        };
        let mut request = self.http.request(method, url.clone());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let mut answer = request.send().await.map_err(unanswered)?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unanswered)? {
            if bytes.len() + chunk.len() > MAX_BYTES {
                return Err(Error::Refused(format!(
                    "{url} answers more than {MAX_BYTES} bytes"
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
        let path = || url.path().trim_start_matches('/').to_owned();
        let text = String::from_utf8_lossy(&bytes);
        let said = || format!("{url} answers {status}: {}", text.trim());
        match status {
            StatusCode::NOT_FOUND => return Err(Error::NotFound(path())),
            StatusCode::CONFLICT => return Err(Error::Exists(path())),
            StatusCode::SERVICE_UNAVAILABLE => return Err(Error::Unanswered(said())),
            status if !status.is_success() => return Err(Error::Refused(said())),
            _ => {}
        }
        Ok(serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.trim().to_owned())))
    }
}

fn body(value: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::Refused(error.to_string()))
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_json::from_value(value)
        .map_err(|error| Error::Refused(format!("this is not Toxiproxy's API: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toxic_read_back_with_the_precision_of_an_f32_is_the_one_that_was_meant() {
        let meant = Toxic::new(
            "a",
            "latency",
            Stream::Downstream,
            0.3,
            &[("latency", 400), ("jitter", 50)],
        );
        let seen: Toxic = serde_json::from_str(
            r#"{"attributes":{"jitter":50,"latency":400},"name":"a","type":"latency","stream":"downstream","toxicity":0.30000001}"#,
        )
        .expect("a toxic");
        assert!(seen.is_as_meant(&meant));
        assert!(
            !Toxic {
                stream: "upstream".into(),
                ..seen
            }
            .is_as_meant(&meant)
        );
    }
}
