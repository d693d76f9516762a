//! Mutations of the queries of panels.

use crate::table::{Change, Mutation, files, live, replaced, replaced_all};

/// A selector with a rate's range.
const RATED: &str = r"(rate|increase)\((\w+\{[^}]*\})\[\$__rate_interval\]\)";
/// The quantile of a histogram, as the boards write it.
const QUANTILE: &str = r"histogram_quantile\(([0-9.]+), (sum by \([^)]*\)) \(rate\((\w+)_bucket(\{[^}]*\})\[\$__rate_interval\]\)\)\)";

/// The table.
pub(crate) const TABLE: &[Mutation] = &[
    // Rates and counters.
    files(
        "a window of one scrape",
        "prometheus#1428",
        Change::Query(|q| window(q, "5s")),
        &["fixed-range"],
    ),
    files(
        "a window of exactly two scrapes",
        "openobserve#14546",
        Change::Query(|q| window(q, "10s")),
        &["fixed-range"],
    ),
    files(
        "a rate over $__interval",
        "openshift/console#5152",
        Change::Query(|q| window(q, "$$__interval")),
        &["rate-over-interval"],
    ),
    files(
        "windows with gaps between them",
        "grafana#43720",
        Change::Query(|q| window(q, "1m")),
        &["fixed-range"],
    ),
    files(
        "a counter plotted raw",
        "dashboard-linter#55",
        Change::Query(|q| replaced(q, RATED, "$2")),
        &["raw-counter"],
    ),
    files(
        "the maximum of a counter",
        "dashboard-linter#55",
        Change::Query(|q| replaced(q, RATED, "max_over_time($2[$$__rate_interval])")),
        &["raw-counter"],
    ),
    files(
        "the difference of a counter",
        "prometheus#6624",
        Change::Query(|q| replaced(q, RATED, "delta($2[$$__rate_interval])")),
        &["delta-of-counter"],
    ),
    files(
        "the slope of a counter",
        "prometheus#6624",
        Change::Query(|q| replaced(q, RATED, "deriv($2[$$__rate_interval])")),
        &["delta-of-counter"],
    ),
    files(
        "a sum before the rate",
        "prometheus#6624",
        Change::Query(|q| replaced(q, RATED, "$1(sum by (job) ($2)[$$__rate_interval:5s])")),
        &["sum-before-rate"],
    ),
    files(
        "the rate of a gauge",
        "dashboard-linter#55",
        Change::Query(|q| {
            replaced(
                q,
                r"\b(\w+_(?:in_use|depth|tasks|waiting|lines|bytes|fds|threads|age_seconds)\{[^}]*\})(\s|\)|$)",
                "rate($1[$$__rate_interval])$2",
            )
        }),
        &["rate-of-gauge"],
    ),
    // Histograms.
    files(
        "the bounds aggregated away",
        "prometheus#4365",
        Change::Query(|q| {
            replaced(
                q,
                r"sum by \(le(?:, )?([^)]*)\) \(rate",
                "sum by ($1) (rate",
            )
        }),
        &["quantile-without-le"],
    ),
    files(
        "the mean of percentiles",
        "sourcegraph#9840",
        Change::Query(|q| {
            replaced(
                q,
                QUANTILE,
                "avg(histogram_quantile($1, $2 (rate(${3}_bucket$4[$$__rate_interval]))))",
            )
        }),
        &["aggregated-quantile"],
    ),
    files(
        "the mean of percentiles over time",
        "Hystrix#1203",
        Change::Query(|q| {
            replaced(
                q,
                QUANTILE,
                "avg_over_time(histogram_quantile($1, $2 (rate(${3}_bucket$4[$$__rate_interval])))[10m:])",
            )
        }),
        &["aggregated-quantile"],
    ),
    files(
        "the mean in the place of a percentile",
        "flagger#1161",
        Change::Query(|q| {
            replaced(
                q,
                QUANTILE,
                "sum(rate(${3}_sum$4[$$__rate_interval])) / sum(rate(${3}_count$4[$$__rate_interval]))",
            )
        }),
        &["mislabelled-quantile"],
    ),
    files(
        "another percentile than the title says",
        "flagger#1161",
        Change::Query(|q| replaced(q, r"histogram_quantile\(0\.95", "histogram_quantile(0.5")),
        &["mislabelled-quantile"],
    ),
    files(
        "a quantile of 95",
        "prometheus#4365",
        Change::Query(|q| replaced(q, r"histogram_quantile\(0\.95", "histogram_quantile(95")),
        &["quantile-out-of-range"],
    ),
    files(
        "a quantile of what has no buckets",
        "fynd#282, metrics#269",
        Change::Query(|q| replaced(q, r"(histogram_quantile.*?)_bucket\{", "${1}_count{")),
        &["quantile-without-buckets"],
    ),
    files(
        "a bound that is no bucket's",
        "backstage#34194",
        Change::Query(|q| replaced(q, r#"le="0\.25""#, r#"le="0.3""#)),
        &["undeclared-value"],
    ),
    files(
        "a bound without a decimal point",
        "kubernetes-mixin#1005",
        Change::Query(|q| replaced(q, r#"le="0\.25""#, r#"le="1""#)),
        &["bound-without-point"],
    ),
    files(
        "every bucket counted",
        "kubecost#36",
        Change::Query(|q| {
            replaced(
                q,
                r"^(sum(?: by \([^)]*\) ?)?\((?:rate|increase)\(\w+)_count\{",
                "${1}_bucket{",
            )
        }),
        &["buckets-added"],
    ),
    files(
        "divided by the sum of observations",
        "OTel demo#849",
        Change::Query(|q| replaced(q, r"(?s)(/\s.*_seconds)_count\{", "${1}_sum{")),
        &["wrong-unit"],
    ),
    files(
        "a rate of the sum of observations",
        "OTel demo#849",
        Change::Query(|q| replaced(q, r"^(sum[^/]*_seconds)_count(\{[^/]*)$", "${1}_sum$2")),
        &["wrong-unit"],
    ),
    files(
        "a percentile times a thousand",
        "otelsql#631",
        Change::Query(|q| replaced(q, QUANTILE, "1000 * $0")),
        &["wrong-unit"],
    ),
    live(
        "native histograms ingested, classic ones read",
        "mimir#5583",
        "steady",
        Change::Query(|q| replaced(q, r"(\w+)_bucket\{", "${1}{")),
        &["unknown-metric"],
    ),
    // Joins and absence.
    files(
        "a ratio of each failure with itself",
        "grafana PR 43116",
        Change::Query(with_itself),
        &["ratio-with-itself"],
    ),
    files(
        "a ratio of each status with itself",
        "grafana PR 43116",
        Change::Query(|q| {
            with_itself(
                &replaced(
                    q,
                    r#"error_type=~"[^"]*""#,
                    r#"http_response_status_code=~"5..""#,
                )?
                .replace("error_type", "http_response_status_code"),
            )
        }),
        &["ratio-with-itself"],
    ),
    live(
        "a ratio by the status that both sides keep",
        "grafana PR 43116",
        "store-fault",
        Change::Query(|q| {
            let q = replaced_all(
                q,
                r"sum by \(http_request_method, http_route\)",
                "sum by (http_request_method, http_route, http_response_status_code)",
            )?;
            q.contains('/').then_some(q)
        }),
        &["untrue"],
    ),
    files(
        "sides by different labels",
        "prometheus#4365",
        Change::Query(|q| replaced(q, r"/\s*\(sum by \([^)]*\)", "/ (sum by (job)")),
        &["ratio-of-different-labels"],
    ),
    live(
        "sides by different labels, on live data",
        "prometheus#4365",
        "steady",
        Change::Query(|q| replaced(q, r"/\s*\(sum by \([^)]*\)", "/ (sum by (job)")),
        &["empty"],
    ),
    files(
        "a renamed metric under `or vector(0)`",
        "paas-cf#1684",
        Change::Query(|q| Some(format!("{} or vector(0)", renamed(q)?))),
        &["undeclared-metric"],
    ),
    live(
        "a renamed metric under `or vector(0)`, on live data",
        "paas-cf#1684",
        "steady",
        Change::Query(|q| Some(format!("{} or on () vector(0)", renamed(q)?))),
        &["unknown-metric"],
    ),
    files(
        "doubled by a factor",
        "kubecost#36",
        Change::Query(|q| q.contains("rate(").then(|| format!("({q}) * 2"))),
        &["wrong-unit"],
    ),
    live(
        "the same facts added twice",
        "kubecost#36",
        "steady",
        Change::Query(doubled),
        &["untrue"],
    ),
    live(
        "two jobs of the same metrics added",
        "kubecost#36",
        "steady",
        Change::Query(|q| {
            replaced(
                &replaced(q, r"^sum", "sum")?,
                r#"\{job="chitram", instance=~"\$instance"(?:, )?"#,
                "{",
            )
        }),
        &["sum-over-jobs"],
    ),
    live(
        "a ratio upside down",
        "flagger#1161",
        "store-fault",
        Change::Query(|q| replaced(q, r"^(sum.*) / \((.*) > 0\)$", "$2 / $1")),
        &["share-out-of-range", "untrue"],
    ),
    files(
        "a ratio of parts of different wholes",
        "pyrra#448",
        Change::Query(|q| {
            replaced(
                q,
                r#"(http_response_status_code!~"4\.\.", )(error_type=~)"#,
                "$2",
            )
        }),
        &["share-of-another-whole"],
    ),
    // Names and labels.
    files(
        "a metric renamed upstream",
        "OTel demo#849",
        Change::Query(renamed),
        &["undeclared-metric"],
    ),
    files(
        "a suffix of OTLP's",
        "js#2530",
        Change::Query(|q| {
            replaced(
                q,
                r"\b((?:chitram|otel|loadtest|process|tokio)_\w+)_total\{",
                "$1{",
            )
        }),
        &["undeclared-metric"],
    ),
    live(
        "a dotted name",
        "prometheus/docs#2688",
        "steady",
        Change::Query(|q| {
            replaced(
                q,
                r"http_server_request_duration_seconds_count\{",
                r#"{"http.server.request.duration_count","#,
            )
        }),
        &[
            "not-analysed",
            "unknown-metric",
            "value-without-series",
            "empty",
        ],
    ),
    files(
        "a label renamed",
        "OTel demo#849",
        Change::Query(|q| replaced(q, r"http_route=~", "http_target=~")),
        &["undeclared-label"],
    ),
    files(
        "a grouping by a label that is gone",
        "OTel demo#849",
        Change::Query(|q| replaced(q, r"by \((le, )?http_request_method", "by (${1}http_method")),
        &["undeclared-label"],
    ),
    files(
        "a value renamed",
        "OTel demo#849",
        Change::Query(|q| {
            replaced(
                q,
                r#"="(open|closed|half_open|done|stored|rendered)""#,
                r#"="${1}ed""#,
            )
        }),
        &["undeclared-value"],
    ),
    files(
        "a filter of the board left out",
        "grafana-k8s-operator#199",
        Change::Query(|q| replaced(q, r#", instance=~"\$instance""#, "")),
        &["variable-ignored"],
    ),
    files(
        "a filter of the board left out of one side",
        "grafana-k8s-operator#199",
        Change::Query(|q| replaced(q, r#"(?s)(/.*?), http_route=~"\$route""#, "$1")),
        &["variable-ignored"],
    ),
    // Variables.
    files(
        "`=` with several values",
        "grafana-k8s-operator#199",
        Change::Query(|q| replaced(q, r#"=~"\$(instance|route)""#, r#"="$$$1""#)),
        &["equals-several"],
    ),
    files(
        "`!=` with several values",
        "grafana-k8s-operator#199",
        Change::Query(|q| replaced(q, r#"=~"\$(instance|route)""#, r#"!="$$$1""#)),
        &["equals-several"],
    ),
    files(
        "several values as a list with commas",
        "grafana-k8s-operator#199",
        Change::Query(|q| replaced(q, r#"=~"\$(instance|route)""#, r#"=~"$${$1:csv}""#)),
        &["equals-several"],
    ),
    files(
        "a variable that is not there",
        "harvest#2952",
        Change::Query(|q| replaced(q, r"\$instance", "$$node")),
        &["unknown-variable"],
    ),
];

fn window(query: &str, by: &str) -> Option<String> {
    replaced(query, r"\[\$__rate_interval\]", &format!("[{by}]"))
}

fn renamed(query: &str) -> Option<String> {
    replaced(
        query,
        r"\b(chitram|http|db|otel|process|tokio)_(\w+)\{",
        "${1}_v2_$2{",
    )
}

/// Both sides of the quotient of failures over requests keep the type of failure.
fn with_itself(query: &str) -> Option<String> {
    let label = if query.contains("error_type=~") {
        "error_type"
    } else {
        "http_response_status_code"
    };
    let by = replaced_all(query, r"sum by \(", &format!("sum by ({label}, "))
        .or_else(|| replaced_all(query, r"sum\(", &format!("sum by ({label}) (")))?;
    (by.contains('/') && by.contains(&format!("{label}=~"))).then_some(by)
}

/// Counts by route, each twice.
fn doubled(query: &str) -> Option<String> {
    let counts = query.starts_with(
        "sum by (http_request_method, http_route) (rate(http_server_request_duration_seconds_count",
    );
    (counts && !query.contains('/')).then(|| format!("{query} + {query}"))
}
