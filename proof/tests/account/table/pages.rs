//! Pages of metrics.

use super::{Change, Mutation, row};

pub(super) const TABLE: &[Mutation] = &[
    row(
        "a series is there twice",
        "prometheus#2493",
        Change::Page(|page| twice(page, "tokio_workers ")),
        &["series-twice"],
    ),
    row(
        "a series of a histogram is there twice",
        "prometheus#2493",
        Change::Page(|page| twice(page, "http_server_request_duration_seconds_count{")),
        &["series-twice"],
    ),
    row(
        "two label sets are merged into one by a label that is dropped",
        "prometheus#2493",
        Change::Page(|page| without_label(page, "chitram_shed_total", "reason")),
        &["label-missing", "series-twice"],
    ),
    row(
        "an exemplar in the classic text",
        "zion#172",
        Change::Classic(with_exemplar),
        &["exemplar-in-classic"],
    ),
    row(
        "exemplars are never negotiated",
        "client_java#714",
        Change::Open(without_exemplars),
        &["exemplars-missing"],
    ),
    row(
        "exemplars have ids of 64 bits",
        "jaeger#3084",
        Change::Open(|page| {
            page.replace("trace_id=\"", "trace_id=\"0000000000000000")
                .split_inclusive('\n')
                .map(cut_exemplar)
                .collect()
        }),
        &["exemplar-invalid"],
    ),
    row(
        "exemplars lead to traces that nobody has",
        "client_java#714",
        Change::Open(|page| {
            page.replace("trace_id=\"", "trace_id=\"f")
                .split_inclusive('\n')
                .map(cut_exemplar)
                .collect()
        }),
        &["exemplar-without-trace"],
    ),
    row(
        "OpenMetrics as plain text",
        "prometheus/docs#2772",
        Change::MediaType("text/plain"),
        &["content-type-wrong"],
    ),
    row(
        "a page as JSON",
        "prometheus/docs#2772",
        Change::MediaType("application/json"),
        &["content-type-wrong"],
    ),
    row(
        "a page without a media type",
        "prometheus/docs#2772",
        Change::MediaType(""),
        &["content-type-wrong"],
    ),
    row(
        "a page of OpenMetrics without its end",
        "client_java#714",
        Change::Open(|page| page.replace("# EOF\n", "")),
        &["page-malformed"],
    ),
    row(
        "series beyond a limit are folded into one",
        "opentelemetry-rust#2901",
        Change::Page(|page| {
            on_first(
                page,
                "http_server_request_duration_seconds_count{",
                |line| {
                    format!(
                        "{line}http_server_request_duration_seconds_count{{otel_metric_overflow=\"true\"}} 3\n"
                    )
                },
            )
        }),
        &["undeclared-label", "label-missing"],
    ),
    row(
        "a thousand values of a label",
        "opentelemetry-rust#2901",
        Change::Page(many_series),
        &["too-many-series"],
    ),
    row(
        "a metric is renamed",
        "OTel demo#849",
        Change::Page(|page| page.replace("chitram_shed", "chitram_load_shed")),
        &["undeclared-metric", "metric-missing"],
    ),
    row(
        "a metric gets the suffix of its unit",
        "js#2530",
        Change::Page(|page| page.replace("chitram_queue_depth", "chitram_queue_depth_jobs")),
        &["undeclared-metric"],
    ),
    row(
        "a metric is gone",
        "OTel demo#849",
        Change::Page(|page| without(page, "chitram_queue_depth")),
        &["metric-missing"],
    ),
    row(
        "a label is renamed",
        "js#2530",
        Change::Page(|page| page.replace("http_route=", "route=")),
        &["undeclared-label"],
    ),
    row(
        "a path is a label's value",
        "opentelemetry-rust#2901",
        Change::Page(|page| {
            on_first(page, "otel_sdk_exporter_span_exported_total{", |line| {
                line.replace("error_type=\"", "error_type=\"/v1/7")
            })
        }),
        &["undeclared-value"],
    ),
    row(
        "a histogram is a summary",
        "fynd#282, metrics#269",
        Change::Page(as_summary),
        &["type-wrong", "buckets-wrong"],
    ),
    row(
        "a histogram has no buckets",
        "metrics#269",
        Change::Page(|page| {
            page.lines()
                .filter(|line| !line.starts_with("http_server_request_duration_seconds_bucket"))
                .fold(String::new(), |text, line| text + line + "\n")
        }),
        &["buckets-wrong"],
    ),
    row(
        "a histogram has other buckets",
        "otelsql#631, toolhive#3680",
        Change::Page(|page| page.replace("le=\"0.25\"", "le=\"250.0\"")),
        &["buckets-wrong"],
    ),
    row(
        "a bound of an objective is no bucket",
        "backstage#34194",
        Change::Page(|page| {
            page.lines()
                .filter(|line| {
                    !(line.starts_with("http_server_request") && line.contains("le=\"1.0\""))
                })
                .fold(String::new(), |text, line| text + line + "\n")
        }),
        &["buckets-wrong"],
    ),
    row(
        "bounds are whole numbers",
        "kubernetes-mixin#1005",
        Change::Page(|page| page.replace("le=\"1.0\"", "le=\"1\"")),
        &["bound-without-fraction"],
    ),
    row(
        "buckets do not add up",
        "VictoriaMetrics#3231",
        Change::Page(|page| {
            on_first(
                page,
                "http_server_request_duration_seconds_bucket{",
                |line| set_value(line, "99999"),
            )
        }),
        &["buckets-inconsistent"],
    ),
    row(
        "no time of creation",
        "prometheus#1673, #13570",
        Change::Open(|page| {
            page.lines()
                .filter(|line| !line.contains("_created"))
                .fold(String::new(), |text, line| text + line + "\n")
        }),
        &["created-missing"],
    ),
    row(
        "created at the epoch",
        "prometheus#1673",
        Change::Open(|page| {
            on_first(
                page,
                "http_server_request_duration_seconds_created",
                |line| set_value(line, "0"),
            )
        }),
        &["created-implausible"],
    ),
    row(
        "a count is negative",
        "prometheus#6624",
        Change::Page(|page| {
            page.replace("otel_sdk_span_ended_total ", "otel_sdk_span_ended_total -")
        }),
        &["value-impossible"],
    ),
    row(
        "durations in milliseconds",
        "otelsql#631",
        Change::Page(|page| scaled(page, "http_server_request_duration_seconds_sum", 1000.0)),
        &["durations-differ"],
    ),
    row(
        "a unit that is not the name's",
        "prometheus/docs#2688",
        Change::Open(|page| {
            page.replace(
                "# UNIT http_server_request_duration_seconds seconds",
                "# UNIT http_server_request_duration_seconds milliseconds",
            )
        }),
        &["unit-wrong"],
    ),
    row(
        "the page is cut in the middle",
        "prometheus#2493",
        Change::Open(|page| page[..page.len() / 2].to_owned()),
        &["page-malformed"],
    ),
    row(
        "a quotation mark in a value is not escaped",
        "prometheus#2493",
        Change::Page(|page| page.replace("version=\"", "version=\"\"")),
        &["page-malformed"],
    ),
    row(
        "requests are counted by sampled spans",
        "tempo#1515",
        Change::Page(|page| counted(page, 19)),
        &["requests-from-sampled-spans"],
    ),
    row(
        "requests are counted twice",
        "kubecost#36",
        Change::Page(|page| scaled(page, "http_server_request_duration_seconds_", 2.0)),
        &["requests-differ"],
    ),
    row(
        "a request is not counted",
        "prometheus#3746",
        Change::Page(|page| counted(page, 24)),
        &["requests-differ"],
    ),
    row(
        "spans are dropped and nobody counts them",
        "opentelemetry-rust#1063, #2357",
        Change::Page(|page| added(page, "otel_sdk_span_ended_total ", 5.0)),
        &["spans-unbalanced"],
    ),
    row(
        "dropped spans count as confirmed",
        "opentelemetry-rust#2357",
        Change::Page(|page| {
            added(
                &added(page, "otel_sdk_exporter_span_exported_total ", 3.0),
                "otel_sdk_span_ended_total ",
                3.0,
            )
        }),
        &["spans-missing"],
    ),
    row(
        "dropped lines count as written",
        "tracing#1941",
        Change::Page(|page| added(page, "chitram_log_lines_written_total ", 2.0)),
        &["lines-missing"],
    ),
    row(
        "a secret in a label",
        "variant",
        Change::Page(|page| page.replace("revision=\"", "revision=\"Planted-Token-7F3A")),
        &["secret-found"],
    ),
];

/// The first line that begins like this becomes another.
fn on_first(page: &str, begin: &str, change: impl Fn(&str) -> String) -> String {
    let mut done = false;
    let mut text = String::new();
    for line in page.split_inclusive('\n') {
        if !done && line.starts_with(begin) {
            done = true;
            text += &change(line);
        } else {
            text += line;
        }
    }
    assert!(done, "no line begins with {begin}");
    text
}

fn twice(page: &str, begin: &str) -> String {
    on_first(page, begin, |line| format!("{line}{line}"))
}

fn without(page: &str, part: &str) -> String {
    page.split_inclusive('\n')
        .filter(|line| !line.contains(part))
        .collect()
}

/// Lines of a metric without one of its labels, which is the first or the last.
fn without_label(page: &str, metric: &str, label: &str) -> String {
    let cut = |line: &str| {
        let Some((head, rest)) = line.split_once(&format!("{label}=\"")) else {
            return line.to_owned();
        };
        let (_, rest) = rest.split_once('"').unwrap();
        format!(
            "{}{}",
            head.trim_end_matches(','),
            if head.ends_with('{') {
                rest.trim_start_matches(',')
            } else {
                rest
            }
        )
    };
    page.split_inclusive('\n')
        .map(|line| {
            if line.starts_with(metric) {
                cut(line)
            } else {
                line.to_owned()
            }
        })
        .collect()
}

fn with_exemplar(page: &str) -> String {
    on_first(
        page,
        "http_server_request_duration_seconds_bucket{",
        |line| {
            format!(
                "{} # {{trace_id=\"0af7651916cd43dd8448eb211c80319c\"}} 0.001\n",
                line.trim_end()
            )
        },
    )
}

fn without_exemplars(page: &str) -> String {
    let lines = page.lines().map(|line| line.split(" # {").next().unwrap());
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// Cuts the id of an exemplar that was made too long back to its length, or to half of it.
fn cut_exemplar(line: &str) -> String {
    let Some((head, rest)) = line.split_once("trace_id=\"") else {
        return line.to_owned();
    };
    let (id, rest) = rest.split_once('"').unwrap();
    let id = if id.starts_with("0000000000000000") {
        &id[32..]
    } else {
        &id[..32]
    };
    format!("{head}trace_id=\"{id}\"{rest}")
}

fn many_series(page: &str) -> String {
    on_first(page, "http_server_active_requests{", |line| {
        use std::fmt::Write as _;
        let mut text = line.to_owned();
        for number in 0..5000 {
            let _ = writeln!(
                text,
                "http_server_active_requests{{http_request_method=\"GET\",http_route=\"/v1/{number}\"}} 0"
            );
        }
        text
    })
}

fn as_summary(page: &str) -> String {
    let name = "http_server_request_duration_seconds";
    page.replace(
        &format!("# TYPE {name} histogram"),
        &format!("# TYPE {name} summary"),
    )
    .replace(&format!("{name}_bucket{{"), &format!("{name}{{"))
    .replace("le=\"", "quantile=\"")
}

fn value(line: &str) -> f64 {
    let value = line
        .split(" # ")
        .next()
        .unwrap()
        .trim_end()
        .rsplit(' ')
        .next()
        .unwrap();
    value.parse().unwrap()
}

fn set_value(line: &str, value: &str) -> String {
    let bare = line.split(" # ").next().unwrap().trim_end();
    let (series, _) = bare.rsplit_once(' ').unwrap();
    format!("{series} {value}\n")
}

fn changed(page: &str, begin: &str, change: impl Fn(f64) -> f64) -> String {
    page.split_inclusive('\n')
        .map(|line| {
            if line.starts_with(begin) && !line.contains("_created") {
                set_value(line, &change(value(line)).to_string())
            } else {
                line.to_owned()
            }
        })
        .collect()
}

fn scaled(page: &str, begin: &str, factor: f64) -> String {
    changed(page, begin, |value| value * factor)
}

fn added(page: &str, begin: &str, number: f64) -> String {
    changed(page, begin, |value| value + number)
}

/// The histogram of requests counts so many: one series has them all, with their buckets.
fn counted(page: &str, number: u32) -> String {
    let name = "http_server_request_duration_seconds";
    let mut seen = String::new();
    page.split_inclusive('\n')
        .map(|line| {
            let counts = line.starts_with(&format!("{name}_bucket{{"))
                || line.starts_with(&format!("{name}_count{{"));
            if !counts {
                return line.to_owned();
            }
            let part = line
                .split("le=")
                .next()
                .unwrap()
                .split("} ")
                .next()
                .unwrap();
            let series = part
                .split_once('{')
                .unwrap()
                .1
                .trim_end_matches(',')
                .to_owned();
            if seen.is_empty() {
                seen.clone_from(&series);
            }
            set_value(line, &if series == seen { number } else { 0 }.to_string())
        })
        .collect()
}
