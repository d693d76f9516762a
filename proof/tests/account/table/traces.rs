//! Spans.

use serde_json::{Value, json};

use super::{Change, Mutation, row};

pub(super) const TABLE: &[Mutation] = &[
    row(
        "a span is sampled out",
        "dapr#7574",
        Change::Traces(|found| drop(spans_of(found).remove(1))),
        &["spans-missing"],
    ),
    row(
        "a whole trace is lost",
        "jaeger#1772",
        Change::Traces(|found| drop(traces(found).remove(0))),
        &["spans-missing"],
    ),
    row(
        "half of the traces are evicted",
        "jaeger#1772",
        Change::Traces(|found| {
            let half = traces(found).len() / 2;
            traces(found).truncate(half);
        }),
        &["spans-missing"],
    ),
    row(
        "a span comes twice",
        "jaeger#1772",
        Change::Traces(|found| {
            let span = spans_of(found)[0].clone();
            spans_of(found).push(span);
        }),
        &["span-twice"],
    ),
    row(
        "a span comes twice under another id",
        "jaeger#1772",
        Change::Traces(|found| {
            let mut span = spans_of(found)[0].clone();
            span["spanID"] = json!("00000000000000aa");
            spans_of(found).push(span);
        }),
        &["spans-surplus"],
    ),
    row(
        "spans with trace ids of 64 bits",
        "jaeger#3084",
        Change::Traces(|found| each_id(found, |id| id[16..].to_owned())),
        &["id-malformed"],
    ),
    row(
        "trace ids with an empty upper half",
        "jaeger#3084",
        Change::Traces(|found| each_id(found, |id| format!("0000000000000000{}", &id[16..]))),
        &["id-malformed"],
    ),
    row(
        "unknown_service",
        "opentelemetry-rust: unknown_service",
        Change::Traces(|found| {
            each_process(found, |process| {
                process["serviceName"] = json!("unknown_service")
            })
        }),
        &["service-unknown", "spans-missing"],
    ),
    row(
        "the instance is not on the resource",
        "cluster-monitoring-operator#1227",
        Change::Traces(|found| {
            each_process(found, |process| untag(process, "service.instance.id"))
        }),
        &["service-unknown"],
    ),
    row(
        "a wrong parent where APIs are mixed",
        "tracing#1458",
        Change::Traces(|found| swap_parents(found, "SELECT images", "GetObject")),
        &["parent-wrong"],
    ),
    row(
        "a child of its own child",
        "tracing#1458",
        Change::Traces(own_parent),
        &["parent-wrong"],
    ),
    row(
        "a parent in another trace",
        "tracing#1458",
        Change::Traces(|found| {
            on(found, "SELECT images", |span| {
                span["references"][0]["traceID"] = json!("0af7651916cd43dd8448eb211c80319c")
            })
        }),
        &["parent-wrong"],
    ),
    row(
        "a root in the middle",
        "tracing#1458",
        Change::Traces(|found| on(found, "GetObject", |span| span["references"] = json!([]))),
        &["parent-missing"],
    ),
    row(
        "a parent that nobody has",
        "dapr#7574",
        Change::Traces(|found| {
            on(found, "decode", |span| {
                span["references"][0]["spanID"] = json!("00000000000000bb")
            })
        }),
        &["parent-missing"],
    ),
    row(
        "a step of the worker belongs to the upload",
        "tracing#1458",
        Change::Traces(|found| grandparent(found, "INSERT variants")),
        &["parent-wrong"],
    ),
    row(
        "a child before its parent",
        "jaeger#1459",
        Change::Traces(|found| on(found, "SELECT images", |span| shift(span, -300_000))),
        &["clock-skew"],
    ),
    row(
        "a clock that is an hour ahead",
        "jaeger#1459",
        Change::Traces(|found| on(found, "GET /v1/images", |span| shift(span, 3_600_000_000))),
        &["clock-skew"],
    ),
    row(
        "a retry without a link",
        "variant",
        Change::Traces(|found| {
            on(found, "process variants", |span| {
                retag(span, "job.attempt", &json!(2))
            })
        }),
        &["link-missing"],
    ),
    row(
        "the path is in the name",
        "variant",
        Change::Traces(|found| {
            on(found, "GET /v1/images/{id}", |span| {
                span["operationName"] = json!("GET /v1/images/7")
            })
        }),
        &["undeclared-span"],
    ),
    row(
        "a span is renamed",
        "OTel demo#849",
        Change::Traces(|found| {
            each(found, "GetObject", |span| {
                span["operationName"] = json!("get")
            })
        }),
        &["undeclared-span"],
    ),
    row(
        "client spans are internal",
        "variant",
        Change::Traces(|found| {
            each(found, "GetObject", |span| {
                retag(span, "span.kind", &json!("internal"))
            })
        }),
        &["span-kind-wrong"],
    ),
    row(
        "no peer.service",
        "variant",
        Change::Traces(|found| on(found, "GetObject", |span| untag(span, "peer.service"))),
        &["attribute-missing"],
    ),
    row(
        "peer.service is a host",
        "variant",
        Change::Traces(|found| {
            on(found, "GetObject", |span| {
                retag(span, "peer.service", &json!("127.0.0.1:9000"))
            })
        }),
        &["attribute-wrong"],
    ),
    row(
        "a number of a span became a text",
        "variant",
        Change::Traces(|found| {
            on(found, "GET /v1/images", |span| {
                retag(span, "http.response.status_code", &json!("200"));
                kind_of(span, "http.response.status_code", "string");
            })
        }),
        &["attribute-wrong"],
    ),
    row(
        "a client's address is an attribute",
        "variant",
        Change::Traces(|found| {
            on(found, "GET /v1/images", |span| {
                tag(span, "client.address", "10.0.0.7")
            })
        }),
        &["undeclared-attribute"],
    ),
    row(
        "the query is in an attribute",
        "variant",
        Change::Traces(|found| {
            on(found, "SELECT images", |span| {
                tag(span, "db.query.text", "SELECT * FROM images")
            })
        }),
        &["undeclared-attribute"],
    ),
    row(
        "an error without a type",
        "variant",
        Change::Traces(|found| {
            on(found, "SELECT images", |span| {
                tag(span, "otel.status_code", "ERROR")
            })
        }),
        &["attribute-missing"],
    ),
    row(
        "a 404 is an error",
        "variant",
        Change::Traces(|found| {
            with_status(found, 404, |span| tag(span, "otel.status_code", "ERROR"))
        }),
        &["status-wrong"],
    ),
    row(
        "a 503 is no error",
        "variant",
        Change::Traces(|found| {
            on(found, "GET /v1/images", |span| {
                retag(span, "http.response.status_code", &json!(503))
            })
        }),
        &["status-wrong"],
    ),
    row(
        "baggage is not on the children",
        "OTel demo#331",
        Change::Traces(|found| each(found, "SELECT images", |span| untag(span, "run.id"))),
        &["baggage-missing"],
    ),
    row(
        "baggage is on no span",
        "OTel demo#331",
        Change::Traces(|found| all(found, |span| untag(span, "run.id"))),
        &["baggage-missing"],
    ),
    row(
        "durations of spans in milliseconds",
        "harvest#195",
        Change::Traces(|found| {
            all(found, |span| {
                span["duration"] = json!(span["duration"].as_u64().unwrap() / 1000)
            })
        }),
        &["durations-differ"],
    ),
    row(
        "a span without an id",
        "jaeger#1772",
        Change::Traces(|found| {
            on(found, "GET /v1/images", |span| {
                span["spanID"] = json!("0000000000000000")
            })
        }),
        &["id-malformed"],
    ),
    row(
        "a secret in an event of a span",
        "variant",
        Change::Traces(|found| {
            on(
                found,
                "SELECT images",
                |span| {
                    span["logs"] =
                        json!([{"fields": [{"key": "m", "value": "say \"planted-token-7f3a\""}]}])
                },
            )
        }),
        &["secret-found"],
    ),
];

fn traces(found: &mut Value) -> &mut Vec<Value> {
    found["data"].as_array_mut().unwrap()
}

/// The spans of a trace that has several.
fn spans_of(found: &mut Value) -> &mut Vec<Value> {
    let mut all = traces(found).iter_mut();
    let trace = all.find(|trace| trace["spans"].as_array().unwrap().len() > 2);
    trace.unwrap()["spans"].as_array_mut().unwrap()
}

fn all(found: &mut Value, change: impl Fn(&mut Value)) {
    for trace in traces(found) {
        trace["spans"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .for_each(&change);
    }
}

/// Every span of a name.
fn each(found: &mut Value, name: &str, change: impl Fn(&mut Value)) {
    all(found, |span| {
        if span["operationName"] == name {
            change(span);
        }
    });
}

/// The first span of a name, in a trace that has the span's parent if it has one.
fn on(found: &mut Value, name: &str, change: impl Fn(&mut Value)) {
    if traces(found).is_empty() {
        return; // the search of a stretch in which nothing was
    }
    let spans = traces(found)
        .iter_mut()
        .flat_map(|trace| trace["spans"].as_array_mut().unwrap());
    let mut of_name = spans.filter(|span| span["operationName"] == name);
    change(of_name.next().unwrap_or_else(|| panic!("no span {name}")));
}

fn with_status(found: &mut Value, status: u64, change: impl Fn(&mut Value)) {
    let mut spans = traces(found)
        .iter_mut()
        .flat_map(|trace| trace["spans"].as_array_mut().unwrap());
    let has = |span: &&mut Value| {
        let mut tags = span["tags"].as_array().unwrap().iter();
        tags.any(|tag| tag["key"] == "http.response.status_code" && tag["value"] == status)
    };
    change(spans.find(has).unwrap());
}

fn each_id(found: &mut Value, change: impl Fn(&str) -> String) {
    for trace in traces(found) {
        let id = change(trace["traceID"].as_str().unwrap());
        trace["traceID"] = json!(id);
        for span in trace["spans"].as_array_mut().unwrap() {
            span["traceID"] = json!(id);
            for reference in span["references"].as_array_mut().unwrap() {
                reference["traceID"] = json!(id);
            }
        }
    }
}

fn each_process(found: &mut Value, change: impl Fn(&mut Value)) {
    for trace in traces(found) {
        trace["processes"]
            .as_object_mut()
            .unwrap()
            .values_mut()
            .for_each(&change);
    }
}

fn tag(span: &mut Value, key: &str, value: &str) {
    let tags = span["tags"].as_array_mut().unwrap();
    tags.push(json!({"key": key, "type": "string", "value": value}));
}

fn untag(span: &mut Value, key: &str) {
    span["tags"]
        .as_array_mut()
        .unwrap()
        .retain(|tag| tag["key"] != key);
}

fn retag(span: &mut Value, key: &str, value: &Value) {
    for tag in span["tags"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .filter(|tag| tag["key"] == key)
    {
        tag["value"] = value.clone();
    }
}

fn kind_of(span: &mut Value, key: &str, kind: &str) {
    for tag in span["tags"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .filter(|tag| tag["key"] == key)
    {
        tag["type"] = json!(kind);
    }
}

fn shift(span: &mut Value, microseconds: i64) {
    let start = span["startTime"].as_i64().unwrap() + microseconds;
    span["startTime"] = json!(start);
}

/// In a trace with both, the one becomes the parent of the other.
fn swap_parents(found: &mut Value, parent: &str, child: &str) {
    for trace in traces(found) {
        let spans = trace["spans"].as_array_mut().unwrap();
        let id = spans
            .iter()
            .find(|span| span["operationName"] == parent)
            .map(|span| span["spanID"].clone());
        let child = spans.iter_mut().find(|span| span["operationName"] == child);
        if let (Some(id), Some(child)) = (id, child) {
            child["references"][0]["spanID"] = id;
            return;
        }
    }
}

fn own_parent(found: &mut Value) {
    on(found, "SELECT images", |span| {
        span["references"][0]["spanID"] = span["spanID"].clone()
    });
}

/// The parent's parent takes its parent's place.
fn grandparent(found: &mut Value, name: &str) {
    for trace in traces(found) {
        let spans = trace["spans"].as_array_mut().unwrap();
        let Some(at) = spans.iter().position(|span| span["operationName"] == name) else {
            continue;
        };
        let parent = spans[at]["references"][0]["spanID"].clone();
        let of_parent = spans.iter().find(|span| span["spanID"] == parent).unwrap();
        let id = of_parent["references"][0]["spanID"].clone();
        spans[at]["references"][0]["spanID"] = id;
        return;
    }
}
