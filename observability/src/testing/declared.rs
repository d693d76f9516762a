//! What telemetry says, against what is declared: each function names what is not.

use serde_json::Value;

use super::{Scrape, Series, SpanRecord};
use crate::declarations::Declarations;

/// Series whose metric, label or label value is not declared.
pub fn undeclared_series(declared: &Declarations, scrape: &Scrape) -> Vec<String> {
    let strange = scrape
        .all()
        .iter()
        .filter(|series| !is_declared(declared, series));
    strange
        .map(|series| format!("{} {:?}", series.name, series.labels))
        .collect()
}

fn is_declared(declared: &Declarations, series: &Series) -> bool {
    let of_histogram = ["_bucket", "_sum", "_count"]
        .iter()
        .filter_map(|suffix| series.name.strip_suffix(suffix));
    let desc = of_histogram
        .chain([series.name.as_str()])
        .find_map(|name| declared.metric(name));
    desc.is_some_and(|desc| {
        series.labels.iter().all(|(name, value)| {
            name == "le" && series.name.ends_with("_bucket")
                || desc
                    .labels
                    .iter()
                    .any(|label| label.name == name && label.allows(value))
        })
    })
}

/// Spans that are not declared, and attributes that their span does not declare.
pub fn undeclared_spans(declared: &Declarations, spans: &[SpanRecord]) -> Vec<String> {
    let mut strange = Vec::new();
    for span in spans {
        let unknown = |attribute: &&String| {
            declared.span_has(&span.name, &span.kind, attribute) == Some(false)
        };
        if declared.span_has(&span.name, &span.kind, "").is_none() {
            strange.push(format!("{} span {:?}", span.kind, span.name));
        }
        strange.extend(
            span.attributes
                .keys()
                .filter(unknown)
                .map(|attribute| format!("{attribute} of span {:?}", span.name)),
        );
    }
    strange.sort_unstable();
    strange.dedup();
    strange
}

/// Fields of log lines that are not declared, or whose value is not of the declared type.
pub fn undeclared_fields(declared: &Declarations, lines: &[Value]) -> Vec<String> {
    let fields = lines.iter().filter_map(Value::as_object).flatten();
    let mut strange: Vec<String> = fields
        .filter(|(name, value)| {
            !declared
                .field(name)
                .is_some_and(|field| fits(field.kind, name, value))
        })
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    strange.sort_unstable();
    strange.dedup();
    strange
}

/// The schema makes every label a keyword; what is a number in the line is still found as one.
fn fits(kind: &str, name: &str, value: &Value) -> bool {
    match kind {
        "long" => value.is_i64() || value.is_u64(),
        "keyword" if name.starts_with("labels.") => !value.is_object() && !value.is_array(),
        _ => value.is_string(),
    }
}
