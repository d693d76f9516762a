//! The series of each route, made before the first request, so that a request looks up no metric; and the name of its span.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ::http::Method;
use tracing::warn;

use super::RouteSpec;
use crate::metrics::{Desc, Gauge, GaugeGuard, Histogram, Label, Registry};

const DURATION: Desc = Desc::histogram(
    "http_server_request_duration_seconds",
    "Time from a request's arrival to the last byte of its answer handed to the connection.",
    &[
        METHOD,
        ROUTE,
        Label::bounded(
            "http_response_status_code",
            "what the routes declare, and 499 for a client that went away",
        ),
        Label::closed(
            "error_type",
            &[
                "",
                "500",
                "501",
                "502",
                "503",
                "504",
                "505",
                "507",
                "508",
                "510",
                "511",
                "client_closed_request",
                "panic",
                "response_body",
            ],
        ),
    ],
    REQUEST_SECONDS,
);
/// 250 ms, 1 s and 30 s are bounds because promises are made about them. Few, since each route has them several times.
const REQUEST_SECONDS: &[f64] = &[
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];
const ACTIVE: Desc = Desc::gauge(
    "http_server_active_requests",
    "Requests that have arrived and are not answered to the last byte.",
    &[METHOD, ROUTE],
);
const METHOD: Label = Label::closed("http_request_method", &METHODS);
const ROUTE: Label = Label::bounded(
    "http_route",
    "the templates of the routes, and `unmatched` for a request of none of them",
);

/// Every metric of the HTTP layer.
pub(crate) const DECLARED: &[&Desc] = &[&DURATION, &ACTIVE];

/// Status of a request whose client went away before the end of the answer.
pub(super) const CLIENT_CLOSED: u16 = 499;
/// Route of a request that no declared route matches.
const UNMATCHED: &str = "unmatched";
/// Method of a request whose method the HTTP conventions do not know.
const OTHER_METHOD: &str = "_OTHER";

const METHODS: [&str; 10] = [
    "CONNECT",
    "DELETE",
    "GET",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "POST",
    "PUT",
    "TRACE",
    OTHER_METHOD,
];

/// What went wrong with an exchange beyond its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The client went away.
    ClientClosed,
    /// The answer's body broke after its head was sent.
    Body,
    /// The handler panicked.
    Panic,
}

/// `error.type` of an outcome; `None` for a good one and for the client's own mistakes.
pub(super) fn error_type(status: u16, failure: Option<Failure>) -> Option<String> {
    match failure {
        Some(Failure::ClientClosed) => Some("client_closed_request".to_owned()),
        Some(Failure::Body) => Some("response_body".to_owned()),
        Some(Failure::Panic) => Some("panic".to_owned()),
        None => (status >= 500).then(|| status.to_string()),
    }
}

/// All routes of one app.
pub(super) struct RouteTable {
    declared: HashMap<&'static str, Vec<Arc<Route>>>,
    /// In the order of [`METHODS`].
    unmatched: Vec<Arc<Route>>,
}

impl RouteTable {
    pub(super) fn new(registry: &Registry, specs: &[RouteSpec]) -> Self {
        let mut declared: HashMap<_, Vec<_>> = HashMap::new();
        for spec in specs {
            let methods = declared.entry(spec.route).or_default();
            let method = known_method(&spec.method);
            methods.push(Arc::new(Route::declared(
                registry,
                method,
                spec.route,
                spec.statuses,
            )));
            let head = specs
                .iter()
                .any(|other| other.route == spec.route && other.method == Method::HEAD);
            if spec.method == Method::GET && !head {
                methods.push(Arc::new(Route::open(registry, "HEAD", spec.route)));
            }
        }
        let unmatched = METHODS
            .iter()
            .map(|method| Arc::new(Route::open(registry, method, UNMATCHED)))
            .collect();
        Self {
            declared,
            unmatched,
        }
    }

    /// The entry of a request; `matched` is the router's template.
    pub(super) fn find(&self, method: &Method, matched: Option<&str>) -> Arc<Route> {
        let method = known_method(method);
        let route = matched
            .and_then(|route| self.declared.get(route))
            .and_then(|methods| methods.iter().find(|route| route.method == method));
        route
            .unwrap_or_else(|| &self.unmatched[position(method)])
            .clone()
    }
}

/// One method of one route, with its series.
pub(super) struct Route {
    /// Label value, of a closed set.
    pub(super) method: &'static str,
    /// Label value: the template, or `unmatched`.
    pub(super) label: &'static str,
    /// `{METHOD} {route}`, or the method alone where no route is known.
    pub(super) span_name: String,
    registry: Registry,
    active: OnceLock<Gauge>,
    /// Whether an outcome that was not declared is worth a line in the log.
    strict: bool,
    series: Vec<(Outcome, Histogram)>,
    late: Mutex<Vec<(Outcome, Histogram)>>,
}

type Outcome = (u16, Option<Failure>);

impl Route {
    /// An entry that keeps a handle on every outcome that is to be expected. Of them the usual good answer and 503 are visible
    /// from the start: without them a route that nobody asks, or that fails from the first request on, has no ratio. The
    /// others, and those of HEAD, become visible with their first request, or each scrape would be zeros mostly.
    fn declared(
        registry: &Registry,
        method: &'static str,
        route: &'static str,
        statuses: &[u16],
    ) -> Self {
        let mut entry = Self::open(registry, method, route);
        let answered = statuses.iter().map(|status| (*status, None));
        // The bodies that are streamed, and can break halfway.
        let streamed = statuses
            .iter()
            .filter(|status| method == "GET" && matches!(status, 200 | 206));
        let broken = streamed.map(|status| (*status, Some(Failure::Body)));
        let outcomes = answered
            .chain(broken)
            .chain([(CLIENT_CLOSED, Some(Failure::ClientClosed))]);
        // The last of its good statuses is what a route answers to a request for something new, or with everything.
        let good = statuses
            .iter()
            .rfind(|status| (200..=299).contains(*status) && **status != 206);
        let from_zero = |(status, failure): Outcome| {
            failure.is_none() && method != "HEAD" && (status == 503 || Some(&status) == good)
        };
        entry.series = outcomes
            .map(|outcome| {
                let histogram = entry.histogram(outcome);
                if from_zero(outcome) {
                    histogram.show();
                }
                (outcome, histogram)
            })
            .collect();
        if method != "HEAD" {
            entry.active = OnceLock::from(entry.gauge());
        }
        entry.strict = true;
        entry
    }

    /// An entry that declares no status: its series appear with their first request.
    fn open(registry: &Registry, method: &'static str, route: &'static str) -> Self {
        let span_name = span_name(method, route);
        Self {
            method,
            label: route,
            span_name,
            registry: registry.clone(),
            active: OnceLock::new(),
            strict: false,
            series: Vec::new(),
            late: Mutex::default(),
        }
    }

    /// The template, unless no route matched.
    pub(super) fn template(&self) -> Option<&'static str> {
        (self.label != UNMATCHED).then_some(self.label)
    }

    /// Counts one request as active until the guard is dropped.
    pub(super) fn enter(&self) -> GaugeGuard {
        self.active.get_or_init(|| self.gauge()).guard()
    }

    pub(super) fn record(&self, status: u16, failure: Option<Failure>, elapsed: Duration) {
        let outcome = (status, failure);
        match self.series.iter().find(|(known, _)| *known == outcome) {
            Some((_, histogram)) => histogram.record(elapsed),
            None => self.late(outcome).record(elapsed),
        }
    }

    fn late(&self, outcome: Outcome) -> Histogram {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, histogram)) = late.iter().find(|(known, _)| *known == outcome) {
            return histogram.clone();
        }
        let histogram = self.histogram(outcome);
        late.push((outcome, histogram.clone()));
        drop(late);
        if self.strict && outcome.1.is_none() {
            let status = outcome.0;
            warn!(
                http.request.method = self.method,
                http.route = self.label,
                http.response.status_code = status,
                "status is not declared for this route"
            );
        }
        histogram
    }

    fn histogram(&self, (status, failure): Outcome) -> Histogram {
        let labels = [
            ("http_request_method", self.method),
            ("http_route", self.label),
            ("http_response_status_code", &*status.to_string()),
            (
                "error_type",
                &*error_type(status, failure).unwrap_or_default(),
            ),
        ];
        self.registry.histogram(&DURATION, &labels)
    }

    fn gauge(&self) -> Gauge {
        self.registry.gauge(
            &ACTIVE,
            &[
                ("http_request_method", self.method),
                ("http_route", self.label),
            ],
        )
    }
}

/// The name of every server span of an app with these routes.
pub(crate) fn span_names(specs: &[RouteSpec]) -> Vec<String> {
    let mut names: Vec<String> = METHODS
        .iter()
        .map(|method| span_name(method, UNMATCHED))
        .collect();
    for spec in specs {
        names.push(span_name(known_method(&spec.method), spec.route));
        if spec.method == Method::GET {
            names.push(span_name("HEAD", spec.route));
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn span_name(method: &str, route: &str) -> String {
    match (method, route) {
        (OTHER_METHOD, UNMATCHED) => "HTTP".to_owned(),
        (method, UNMATCHED) => method.to_owned(),
        (method, route) => format!("{method} {route}"),
    }
}

fn known_method(method: &Method) -> &'static str {
    METHODS
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or(OTHER_METHOD)
}

fn position(method: &'static str) -> usize {
    METHODS
        .iter()
        .position(|known| *known == method)
        .unwrap_or(METHODS.len() - 1)
}
