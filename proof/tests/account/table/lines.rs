//! Log lines and their index.

use serde_json::{Value, json};

use super::{Change, Mutation, row};

pub(super) const TABLE: &[Mutation] = &[
    row(
        "a line is lost",
        "rsyslog#3918, fluent-bit#1108",
        Change::Documents(|found| lose(found, 5)),
        &["lines-missing"],
    ),
    row(
        "the last lines are lost",
        "tracing#1941, beats#1341",
        Change::Documents(|found| lose_last(found, 2)),
        &["lines-missing"],
    ),
    row(
        "a batch vanishes",
        "rsyslog#2757",
        Change::Documents(|found| (0..10).for_each(|_| lose(found, 3))),
        &["lines-missing"],
    ),
    row(
        "failed items of a bulk request are taken for delivered",
        "logstash#1631, vector#140",
        Change::Documents(|found| lose(found, 8)),
        &["lines-missing"],
    ),
    row(
        "a line comes twice under another id",
        "rsyslog#3918",
        Change::Documents(double),
        &["line-twice"],
    ),
    row(
        "a file is read twice after its inode was used again",
        "beats#1341",
        Change::Documents(renumber),
        &["line-twice", "lines-surplus", "lines-missing"],
    ),
    row(
        "a line is cut by a length cap",
        "beats#30020, moby#36777",
        Change::Documents(as_text),
        &["line-as-text"],
    ),
    row(
        "JSON that is not escaped",
        "rsyslog#1126",
        Change::Documents(as_text_without_end),
        &["line-as-text"],
    ),
    row(
        "a field is dropped",
        "ecs#35",
        Change::Documents(|found| each(found, |line| unset(line, "log.logger"))),
        &["field-missing"],
    ),
    row(
        "a field of one line is dropped",
        "ecs#35",
        Change::Documents(|found| on(found, |line| unset(line, "http.route"))),
        &["field-missing"],
    ),
    row(
        "the number of a line is dropped",
        "variant",
        Change::Documents(|found| on(found, |line| unset(line, "event.sequence"))),
        &["line-without-identity"],
    ),
    row(
        "the name of the process is dropped",
        "variant",
        Change::Documents(|found| each(found, |line| unset(line, "service.node.name"))),
        &["line-without-identity"],
    ),
    row(
        "an object where a value was",
        "ecs#35",
        Change::Documents(|found| {
            on(found, |line| {
                line["http.route"] = json!({"template": "/v1"})
            })
        }),
        &["undeclared-field"],
    ),
    row(
        "a number became a text",
        "ecs#35",
        Change::Documents(|found| {
            on(found, |line| {
                line["http.response.status_code"] = json!("200")
            })
        }),
        &["field-type-wrong"],
    ),
    row(
        "a list where a value was",
        "ecs#35",
        Change::Documents(|found| on(found, |line| line["url.path"] = json!(["/v1"]))),
        &["field-type-wrong"],
    ),
    row(
        "a field that nobody declared",
        "ecs#35",
        Change::Documents(|found| on(found, |line| line["user.email"] = json!("a@b"))),
        &["undeclared-field"],
    ),
    row(
        "a keyword that is too long",
        "elasticsearch#82086",
        Change::Documents(ignored),
        &["field-ignored"],
    ),
    row(
        "a time that was not parsed becomes now",
        "beats#4836",
        Change::Documents(|found| {
            on(found, |line| {
                line["@timestamp"] = json!("2030-01-01T00:00:00Z")
            })
        }),
        &["time-wrong"],
    ),
    row(
        "the time of reading instead of that of the event",
        "beats#4836",
        Change::Documents(read_late),
        &["time-wrong"],
    ),
    row(
        "a time without a zone",
        "logstash#10280",
        Change::Documents(|found| {
            each(found, |line| {
                let time = line["@timestamp"]
                    .as_str()
                    .unwrap()
                    .trim_end_matches('Z')
                    .to_owned();
                line["@timestamp"] = json!(time);
            })
        }),
        &["time-without-zone"],
    ),
    row(
        "times of another zone",
        "logstash#10280",
        Change::Documents(two_hours),
        &["time-wrong"],
    ),
    row(
        "trace ids of 64 bits",
        "jaeger#3084",
        Change::Documents(|found| {
            each(found, |line| {
                if let Some(id) = line["trace.id"].as_str() {
                    line["trace.id"] = json!(id[16..]);
                }
            })
        }),
        &["id-malformed"],
    ),
    row(
        "lines have the ids of other traces",
        "variant",
        Change::Documents(|found| {
            on(found, |line| {
                line["trace.id"] = json!("0af7651916cd43dd8448eb211c80319c")
            })
        }),
        &["span-without-line"],
    ),
    row(
        "lines have the ids of other spans",
        "tracing#1458",
        Change::Documents(|found| on(found, |line| line["span.id"] = json!("00000000000000cc"))),
        &["line-without-span", "span-without-line"],
    ),
    row(
        "a request has no line",
        "variant",
        Change::Documents(|found| on(found, |line| line["message"] = json!("answered"))),
        &["request-lines-differ"],
    ),
    row(
        "a request has two lines",
        "kubecost#36",
        Change::Documents(second_line),
        &["request-lines-differ"],
    ),
    row(
        "a slow request without its stages",
        "variant",
        Change::Documents(|found| {
            on(found, |line| {
                line["event.duration"] = json!(2_000_000_000_u64)
            })
        }),
        &["field-missing"],
    ),
    row(
        "a failed request without its stages",
        "variant",
        Change::Documents(|found| on(found, |line| line["http.response.status_code"] = json!(503))),
        &["field-missing"],
    ),
    row(
        "a line says another status than its span",
        "variant",
        Change::Documents(|found| {
            each(found, |line| {
                if line["http.response.status_code"] == 404 {
                    line["http.response.status_code"] = json!(200);
                }
            })
        }),
        &["span-and-line-differ"],
    ),
    row(
        "durations in microseconds",
        "otelsql#631",
        Change::Documents(|found| {
            each(found, |line| {
                if let Some(duration) = line["event.duration"].as_u64() {
                    line["event.duration"] = json!(duration / 1000);
                }
            })
        }),
        &["durations-differ"],
    ),
    row(
        "a secret in a line",
        "variant",
        Change::Documents(|found| {
            on(found, |line| {
                line["message"] = json!("request PLANTED-TOKEN-7F3A")
            })
        }),
        &["secret-found"],
    ),
    row(
        "a field is not mapped",
        "alias: elasticsearch#41699",
        Change::Mapping(|found| unmap(found, "trace")),
        &["field-unmapped"],
    ),
    row(
        "a field is mapped as text",
        "ecs#35",
        Change::Mapping(|found| {
            properties(found)["event"]["properties"]["duration"] = json!({"type": "text"})
        }),
        &["mapping-wrong"],
    ),
];

fn hits(found: &mut Value) -> &mut Vec<Value> {
    found["hits"]["hits"].as_array_mut().unwrap()
}

/// Each line. The page after the last one is empty.
fn each(found: &mut Value, change: impl Fn(&mut Value)) {
    for hit in hits(found) {
        change(&mut hit["_source"]);
    }
}

/// The first line about a request that was answered well and is part of a sampled trace.
fn on(found: &mut Value, change: impl Fn(&mut Value)) {
    if let Some(hit) = request(found) {
        change(&mut hit["_source"]);
    }
}

fn request(found: &mut Value) -> Option<&mut Value> {
    let mut hits = hits(found).iter_mut();
    hits.find(|hit| {
        let line = &hit["_source"];
        line["message"] == "request" && line["http.request.method"] == "POST"
    })
}

/// Elasticsearch's own total goes with it: it never had the line.
fn lose(found: &mut Value, at: usize) {
    let total = found["hits"]["total"]["value"].as_u64().unwrap();
    if hits(found).len() > at {
        hits(found).remove(at);
    }
    found["hits"]["total"]["value"] = json!(total - 1);
}

/// The lines with the highest numbers.
fn lose_last(found: &mut Value, number: usize) {
    for _ in 0..number {
        let last = hits(found)
            .iter()
            .enumerate()
            .max_by_key(|(_, hit)| hit["_source"]["event.sequence"].as_u64());
        let at = last.map_or(usize::MAX, |(at, _)| at);
        lose(found, at);
    }
}

fn more(found: &mut Value) {
    let total = found["hits"]["total"]["value"].as_u64().unwrap();
    found["hits"]["total"]["value"] = json!(total + 1);
}

fn double(found: &mut Value) {
    if let Some(mut hit) = request(found).cloned() {
        hit["_id"] = json!("another");
        hits(found).insert(0, hit);
    }
    more(found);
}

/// A second line about the same request, with a number of its own.
fn second_line(found: &mut Value) {
    if let Some(mut hit) = request(found).cloned() {
        hit["_id"] = json!("another");
        hit["_source"]["event.sequence"] = json!(100_000);
        hits(found).insert(0, hit);
    }
    more(found);
}

/// One line has the number of another.
fn renumber(found: &mut Value) {
    on(found, |line| line["event.sequence"] = json!(1));
}

fn kept(found: &mut Value, text: impl Fn(String) -> String) {
    on(found, |line| {
        let text = text(line.to_string());
        *line = json!({
            "@timestamp": line["@timestamp"], "ecs.version": "8.11.0", "event.kind": "pipeline_error",
            "event.dataset": "unparsed", "message": text,
        });
    });
}

fn as_text(found: &mut Value) {
    kept(found, |text| text);
}

fn as_text_without_end(found: &mut Value) {
    kept(found, |text| text[..text.len() - 9].to_owned());
}

/// Source and index agree, and both say ten seconds later.
fn read_late(found: &mut Value) {
    moved(found, 10);
}

fn two_hours(found: &mut Value) {
    moved(found, -7200);
}

fn moved(found: &mut Value, seconds: i64) {
    for hit in hits(found) {
        let text = hit["_source"]["@timestamp"].as_str().unwrap();
        let time: jiff::Timestamp = text.parse().unwrap();
        let moved = time + jiff::SignedDuration::from_secs(seconds);
        hit["_source"]["@timestamp"] = json!(moved.to_string());
        hit["fields"]["@timestamp"] = json!([moved.to_string()]);
    }
}

fn ignored(found: &mut Value) {
    if let Some(hit) = request(found) {
        hit["_ignored"] = json!(["url.path"]);
    }
}

fn unset(line: &mut Value, field: &str) {
    line.as_object_mut().unwrap().remove(field);
}

fn properties(found: &mut Value) -> &mut Value {
    let newest = found
        .as_object_mut()
        .unwrap()
        .values_mut()
        .next_back()
        .unwrap();
    &mut newest["mappings"]["properties"]
}

fn unmap(found: &mut Value, field: &str) {
    properties(found).as_object_mut().unwrap().remove(field);
}
