//! Who may speak to a listener: requests that name a host of ours, and no other site's pages.
//!
//! Listening on loopback keeps other machines out, not the pages that a browser on this machine shows: a page can send
//! forms to any address, and a name server that answers with 127.0.0.1 makes it read the answers too. See docs/adr/0020.

mod authority;

use std::convert::Infallible;
use std::fmt;
use std::future::Ready;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::header::{HOST, ORIGIN};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use axum::extract::Request;
use axum::response::Response;
use futures::future::Either;
use tower::{Layer, Service};

use self::authority::{Authority, Host};
use crate::metrics::{Counter, Desc, Label, Registry};
use crate::server::LISTENER;

/// Refused requests.
pub(crate) const REFUSED: Desc = Desc::counter(
    "chitram_requests_refused_total",
    "Requests refused for the host or the site that they name, by reason.",
    &[
        LISTENER,
        Label::closed("reason", &["bad_host", "unknown_host", "cross_site"]),
    ],
);

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The hosts that a listener answers for: always the names and addresses of loopback, and the given names besides, each
/// with any port.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Vec<String>);

/// What can't be the name of a host.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a host; list names or addresses without port, such as images.example,10.0.0.7,[fd00::7]"
)]
pub struct BadHost(String);

impl FromStr for Hosts {
    type Err = BadHost;

    /// Names and addresses, separated by commas.
    fn from_str(text: &str) -> Result<Self, BadHost> {
        let names = text.split(',').map(str::trim);
        let names = names.map(|name| match Authority::parse(name) {
            Some(Authority { port: None, .. }) if !name.ends_with(':') && name != "*" => {
                Ok(name.to_owned())
            }
            _ => Err(BadHost(name.to_owned())),
        });
        names.collect::<Result<_, _>>().map(Self)
    }
}

impl Hosts {
    fn contains(&self, host: Host<'_>) -> bool {
        let given = || self.0.iter().filter_map(|name| Authority::parse(name));
        host.is_loopback() || given().any(|known| known.host == host)
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It does not say which host it is for, says it twice, or says what can't be one: 400 (RFC 9112 3.2).
    BadHost,
    /// It is for a host that is not served here: 421 (RFC 9110 15.5.20).
    UnknownHost,
    /// It would change something, and a page of another site sent it: 403.
    CrossSite,
}

impl Refusal {
    const ALL: [Self; 3] = [Self::BadHost, Self::UnknownHost, Self::CrossSite];

    /// The status of the answer.
    pub fn status(self) -> ::http::StatusCode {
        use ::http::StatusCode as S;
        match self {
            Self::BadHost => S::BAD_REQUEST,
            Self::UnknownHost => S::MISDIRECTED_REQUEST,
            Self::CrossSite => S::FORBIDDEN,
        }
    }

    /// The value of the metric's label `reason`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadHost => "bad_host",
            Self::UnknownHost => "unknown_host",
            Self::CrossSite => "cross_site",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadHost => "the request must name its host once, as name or address with an optional port",
            Self::UnknownHost => {
                "this host is not served here; CHITRAM_HOSTS lists the names besides those of loopback"
            }
            Self::CrossSite => "pages of other sites may not change anything here",
        })
    }
}

/// Layer for an axum router: refuses requests by [`Refusal`]; `answer` makes the response. It belongs inside
/// [`crate::http::layer`], where there is one, so that refusals are measured and logged as any answer.
pub fn layer(
    hosts: Hosts,
    listener: &'static str,
    registry: &Registry,
    answer: fn(Refusal) -> Response,
) -> GuardLayer {
    let refused = Refusal::ALL.map(|refusal| {
        let labels = [("listener", listener), ("reason", refusal.name())];
        registry.counter(&REFUSED, &labels)
    });
    GuardLayer(Arc::new(Rules {
        hosts,
        refused,
        answer,
    }))
}

struct Rules {
    hosts: Hosts,
    /// In the order of [`Refusal::ALL`].
    refused: [Counter; 3],
    answer: fn(Refusal) -> Response,
}

/// See [`layer`].
#[derive(Clone)]
pub struct GuardLayer(Arc<Rules>);

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            rules: Arc::clone(&self.0),
        }
    }
}

/// See [`layer`].
#[derive(Clone)]
pub struct Guard<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> Service<Request> for Guard<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match check(&request, &self.rules.hosts) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(refusal) => {
                self.rules.refused[refusal as usize].inc();
                Either::Right(std::future::ready(Ok((self.rules.answer)(refusal))))
            }
        }
    }
}

fn check(request: &Request, hosts: &Hosts) -> Result<(), Refusal> {
    let own = target(request)?;
    if own.is_some_and(|own| !hosts.contains(own.host)) {
        return Err(Refusal::UnknownHost);
    }
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if !safe && is_cross_site(request.headers(), own) {
        return Err(Refusal::CrossSite);
    }
    Ok(())
}

/// The host that a request is for; `None` for one of HTTP/1.0 that does not say.
fn target(request: &Request) -> Result<Option<Authority<'_>>, Refusal> {
    let host = at_most_one(request.headers(), &HOST).map_err(|_| Refusal::BadHost)?;
    let host = match host {
        None => None,
        Some(host) => Some(parse(host.to_str().ok())?),
    };
    let authority = match request.uri().authority() {
        None => None,
        Some(authority) => Some(parse(Some(authority.as_str()))?),
    };
    let version = request.version();
    match (authority, host) {
        // A proxy could have chosen by the one, and we by the other.
        (Some(authority), Some(host))
            if version == Version::HTTP_2 && !authority.is_same(host, scheme_port(request)) =>
        {
            Err(Refusal::BadHost)
        }
        (None, None) if version >= Version::HTTP_11 => Err(Refusal::BadHost),
        // The target of an HTTP/1.1 request names its host itself: then that counts, but `Host` has to be there.
        (Some(_), None) if version == Version::HTTP_11 => Err(Refusal::BadHost),
        (authority, host) => Ok(authority.or(host)),
    }
}

/// The port of an authority that names none, if the request's target says its scheme.
fn scheme_port(request: &Request) -> Option<u16> {
    default_port(request.uri().scheme_str()?)
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn parse(text: Option<&str>) -> Result<Authority<'_>, Refusal> {
    text.and_then(Authority::parse).ok_or(Refusal::BadHost)
}

/// Whether a browser sends this for a page of another site. A client that says neither header is not a browser.
fn is_cross_site(headers: &HeaderMap, own: Option<Authority<'_>>) -> bool {
    match at_most_one(headers, &SEC_FETCH_SITE) {
        Ok(Some(site)) => site != "same-origin" && site != "none",
        Ok(None) => match at_most_one(headers, &ORIGIN) {
            Ok(Some(origin)) => !is_own_origin(origin, own),
            Ok(None) => false,
            Err(Twice) => true,
        },
        Err(Twice) => true,
    }
}

fn is_own_origin(origin: &HeaderValue, own: Option<Authority<'_>>) -> bool {
    let Some((scheme, authority)) = origin.to_str().ok().and_then(|text| text.split_once("://"))
    else {
        return false;
    };
    let Some(default) = default_port(scheme) else {
        return false;
    };
    own.zip(Authority::parse(authority))
        .is_some_and(|(own, origin)| own.is_same(origin, Some(default)))
}

struct Twice;

fn at_most_one<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Twice> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Twice),
    }
}
