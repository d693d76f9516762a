//! Who may call: programs on this machine, and no page that a browser on this machine shows.
//!
//! Loopback keeps other machines out. A page is kept out by two rules. The host that a request names must be one of
//! loopback's own names, or a foreign name server that points its name to 127.0.0.1 would make this endpoint the page's own
//! site. And whatever comes with an origin may change nothing: this endpoint has no pages, so it is another site's.

use std::net::IpAddr;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};

use super::problem::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The layer around every route.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    match check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let hosts = hosts(uri, headers).ok_or_else(|| {
        let detail = "the request must name its host once, for instance 127.0.0.1:8082";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    if !hosts.iter().all(is_loopback) {
        let detail = "this host is not served here: only localhost, 127.0.0.0/8 and [::1] are";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
    }
    if !method.is_safe() && is_from_a_page(headers) {
        let detail = "pages may not change anything here";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(())
}

/// The host of the target, where that has one, and of the header `Host`; `None` when there is none, or more than one header.
fn hosts(uri: &Uri, headers: &HeaderMap) -> Option<Vec<Authority>> {
    let mut given = headers.get_all(header::HOST).iter();
    let header = match (given.next(), given.next()) {
        (_, Some(_)) => return None,
        (Some(host), None) => Some(host.to_str().ok()?.parse().ok()?),
        (None, None) => None,
    };
    let hosts: Vec<Authority> = uri.authority().cloned().into_iter().chain(header).collect();
    (!hosts.is_empty()).then_some(hosts)
}

fn is_loopback(authority: &Authority) -> bool {
    // `Authority::host` leaves out a user, which no request of ours has.
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host().trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>().map(|address| address.to_canonical());
    address.map_or_else(
        |_| host.eq_ignore_ascii_case("localhost"),
        |address| address.is_loopback(),
    )
}

fn is_from_a_page(headers: &HeaderMap) -> bool {
    let site = headers.get(SEC_FETCH_SITE);
    headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn status(method: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let checked = check(request.method(), request.uri(), request.headers());
        checked.map_or_else(
            |problem| problem.into_response().status().as_u16(),
            |()| 200,
        )
    }

    #[test]
    fn only_the_names_of_loopback_are_served() {
        for (host, expected) in [
            ("127.0.0.1:8082", 200),
            ("127.9.9.9", 200),
            ("LOCALHOST:1", 200),
            ("[::1]:8082", 200),
            ("[::ffff:127.0.0.1]:8082", 200),
            ("example.com", 421),
            ("localhost.example.com", 421),
            ("127.0.0.1.example.com:8082", 421),
            ("10.0.0.1:8082", 421),
            ("me@127.0.0.1:8082", 421),
            ("a b", 400),
            ("", 400),
        ] {
            assert_eq!(
                status("GET", "/processes", &[("host", host)]),
                expected,
                "{host}"
            );
        }
    }

    #[test]
    fn a_request_without_a_host_or_with_two_is_refused() {
        assert_eq!(status("GET", "/", &[]), 400);
        let two = [("host", "127.0.0.1"), ("host", "127.0.0.1")];
        assert_eq!(status("GET", "/", &two), 400);
    }

    #[test]
    fn the_host_of_an_absolute_target_counts_too() {
        let own = [("host", "127.0.0.1:8082")];
        assert_eq!(status("GET", "http://example.com/processes", &own), 421);
        assert_eq!(status("GET", "http://localhost:8082/processes", &[]), 200);
    }

    #[test]
    fn what_a_page_sends_may_read_its_refusal_but_change_nothing() {
        let host = ("host", "127.0.0.1:8082");
        for (name, value) in [
            ("origin", "http://example.com"),
            ("origin", "http://127.0.0.1:8082"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let headers = [host, (name, value)];
            assert_eq!(
                status("POST", "/processes/service/stop", &headers),
                403,
                "{value}"
            );
            assert_eq!(status("GET", "/processes", &headers), 200, "{value}");
        }
        let typed = [host, ("sec-fetch-site", "none")];
        assert_eq!(status("POST", "/alerts", &typed), 200);
        assert_eq!(status("POST", "/alerts", &[host]), 200);
    }
}
