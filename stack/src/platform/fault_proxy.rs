//! The fault proxy: Toxiproxy, else its stand-in; and the proxies in it, made through its HTTP API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::part::Part;
use super::{Context, Take};
use crate::console;
use crate::error::Error;
use crate::folder::Folder;
use crate::net;
use crate::server::toxiproxy;
use crate::standin;
use crate::state::{Kind, Proxy, Role, Server};
use crate::wait;

/// How long a restarted proxy may take until its API answers.
const RESTART_DEADLINE: Duration = Duration::from_secs(30);

/// A client of the proxy's HTTP API that keeps `stack.toml` in step.
#[derive(Clone)]
pub(super) struct FaultProxy {
    url: String,
    folder: Arc<Folder>,
}

pub(super) async fn start(
    context: &Context,
    take: Take,
    api_port: u16,
) -> Result<(Part, FaultProxy), Error> {
    let folder = Arc::clone(&context.folder);
    if let Some(found) = take.choose(toxiproxy::find()) {
        let real = toxiproxy::start(&found, &context.launch(api_port)).await?;
        note(context, Kind::Real, &found.version, &real.url)?;
        let proxy = FaultProxy {
            url: real.url,
            folder,
        };
        let part = if let Some(running) = real.running {
            let restarted = proxy.clone();
            Part::process(context, running, move || restarted.clone().refill().boxed())?
        } else {
            proxy.remove_stale().await;
            Part::Proxies(proxy.clone())
        };
        return Ok((part, proxy));
    }
    let listener = net::listen(api_port, "--toxiproxy-port").await?;
    let address = listener
        .local_addr()
        .map_err(|source| Error::io("read a socket's address", source))?;
    let url = format!("http://{address}");
    note(context, Kind::StandIn, standin::toxiproxy::VERSION, &url)?;
    let part = Part::task("the fault proxy", |shutdown| async move {
        standin::toxiproxy::serve(listener, shutdown)
            .await
            .map_err(|error| error.to_string())
    });
    Ok((part, FaultProxy { url, folder }))
}

fn note(context: &Context, kind: Kind, version: &str, url: &str) -> Result<(), Error> {
    let server = Server {
        role: Role::FaultProxy,
        name: "toxiproxy".to_owned(),
        kind,
        version: version.to_owned(),
    };
    context.note(server, |endpoints| {
        endpoints.toxiproxy = Some(url.to_owned());
    })
}

impl FaultProxy {
    /// Makes a proxy and notes it. Port 0 is a free one; the address it got is returned.
    pub(super) async fn add(
        &self,
        name: &str,
        listen: SocketAddr,
        upstream: SocketAddr,
    ) -> Result<SocketAddr, Error> {
        let proxy = Proxy {
            listen: self.create(name, listen, upstream).await?,
            upstream,
        };
        let address = proxy.listen;
        self.folder.update(|state| {
            state.proxies.insert(name.to_owned(), proxy);
        })?;
        Ok(address)
    }

    async fn create(
        &self,
        name: &str,
        listen: SocketAddr,
        upstream: SocketAddr,
    ) -> Result<SocketAddr, Error> {
        let body = json!({"name": name, "listen": listen, "upstream": upstream, "enabled": true});
        let (status, answer) = self.call(Method::POST, "/proxies", Some(&body)).await?;
        let made = (status == StatusCode::CREATED)
            .then(|| answer["listen"].as_str()?.parse().ok())
            .flatten();
        made.ok_or_else(|| match status {
            StatusCode::CONFLICT => Error::Unavailable(format!(
                "the fault proxy at {} already has a proxy called {name}: remove it, or give another fault proxy",
                self.url
            )),
            _ => Error::Unavailable(format!(
                "the fault proxy at {} did not make the proxy {name} on {listen}: {status} {answer}",
                self.url
            )),
        })
    }

    /// Makes the proxies again in a server that was restarted, where they were.
    async fn refill(self) {
        let answers = async || self.call(Method::GET, "/version", None).await.ok();
        if wait::until(RESTART_DEADLINE, answers).await.is_none() {
            console::note(&format!(
                "the restarted fault proxy at {} does not answer",
                self.url
            ));
            return;
        }
        for (name, proxy) in self.folder.state().proxies {
            // A chaos run that had to end the server makes them again too, and may have been quicker.
            if self.is_there(&name, &proxy).await {
                continue;
            }
            if let Err(error) = self.create(&name, proxy.listen, proxy.upstream).await
                && !self.is_there(&name, &proxy).await
            {
                console::note(&error.to_string());
            }
        }
    }

    /// Whether the server has this proxy, at its addresses.
    async fn is_there(&self, name: &str, proxy: &Proxy) -> bool {
        let answer = self
            .call(Method::GET, &format!("/proxies/{name}"), None)
            .await;
        answer.is_ok_and(|(_, seen)| {
            seen["listen"] == json!(proxy.listen) && seen["upstream"] == json!(proxy.upstream)
        })
    }

    /// Removes the proxies that this stack made: the server goes on without us.
    pub(super) async fn remove_ours(&self) {
        for name in self.folder.state().proxies.keys() {
            if let Err(error) = self
                .call(Method::DELETE, &format!("/proxies/{name}"), None)
                .await
            {
                console::note(&format!("{error}; its proxy {name} is left"));
            }
        }
    }

    /// Removes what a dead owner of our folder made in this server, if it still is what that owner made.
    async fn remove_stale(&self) {
        let Some(stale) = self.folder.stale() else {
            return;
        };
        if stale.endpoints.toxiproxy.as_ref() != Some(&self.url) {
            return;
        }
        for (name, proxy) in &stale.proxies {
            let path = format!("/proxies/{name}");
            if self.is_there(name, proxy).await {
                let _ = self.call(Method::DELETE, &path, None).await;
            }
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Error> {
        let url = format!("{}{path}", self.url);
        let mut request = net::http()?.request(method, &url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let failed = |error: reqwest::Error| {
            Error::Unavailable(format!(
                "the fault proxy does not answer at {url}: {}",
                error.without_url()
            ))
        };
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let text = answer.text().await.map_err(failed)?;
        // Not everything it says is JSON, e.g. its version.
        Ok((
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        ))
    }
}
