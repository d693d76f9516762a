//! The search for texts that must be nowhere: in pages, spans and lines, as they are, in other case, or encoded as in a URL.

use serde_json::Value;

use super::codes;
use super::evidence::{Evidence, Traces};
use super::judgement::Judgement;

/// Looks everywhere.
pub(super) fn judge(evidence: &Evidence, judgement: &mut Judgement) {
    if evidence.secrets.is_empty() {
        return;
    }
    let needles: Vec<(usize, String)> = evidence
        .secrets
        .iter()
        .enumerate()
        .flat_map(|(number, secret)| forms(number, secret))
        .collect();
    // A finding must not print what it found.
    let holds = |text: &str| {
        let text = text.to_lowercase();
        needles
            .iter()
            .find(|(_, needle)| text.contains(needle))
            .map(|(number, _)| number + 1)
    };
    let mut find = |number: Option<usize>, place: &str, subject: &str, at: String| {
        if let Some(number) = number {
            judgement.find(
                codes::SECRET_FOUND,
                place,
                subject,
                format!("secret {number} of the file is in {at}"),
            );
        }
    };
    if let Some(pages) = &evidence.pages {
        find(
            holds(&pages.later.text),
            &pages.later.address,
            "page",
            "the page of metrics".to_owned(),
        );
    }
    if let Some(traces) = &evidence.traces {
        for span in traces.all.iter().flat_map(|trace| &trace.spans) {
            let tags = span.tags.iter().chain(&span.resource).map(|tag| &tag.value);
            let found = holds(&span.name).or_else(|| {
                tags.chain([&span.events])
                    .find_map(|value| inside(value, &holds))
            });
            find(
                found,
                &traces.place,
                &span.name,
                format!("span {} of trace {}", span.id, span.trace),
            );
        }
    }
    if let Some(lines) = &evidence.lines {
        for document in &lines.documents {
            for (field, value) in &document.fields {
                let found = holds(field).or_else(|| inside(value, &holds));
                find(
                    found,
                    &lines.place,
                    field,
                    format!("document {}", document.id),
                );
            }
        }
    }
    let (spans, lines) = (
        evidence.traces.iter().flat_map(Traces::own).count(),
        evidence
            .lines
            .as_ref()
            .map_or(0, |lines| lines.documents.len()),
    );
    judgement.measure(
        "search for secrets",
        vec![
            ("secrets", evidence.secrets.len() as f64),
            ("spans", spans as f64),
            ("documents", lines as f64),
        ],
    );
}

fn forms(number: usize, secret: &str) -> [(usize, String); 2] {
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    [
        (number, secret.to_lowercase()),
        (number, encoded.to_lowercase()),
    ]
}

/// Looks into texts, not at their form in JSON, in which a quotation mark has a backslash.
fn inside(value: &Value, holds: &impl Fn(&str) -> Option<usize>) -> Option<usize> {
    match value {
        Value::String(text) => holds(text),
        Value::Array(values) => values.iter().find_map(|value| inside(value, holds)),
        Value::Object(fields) => fields.values().find_map(|value| inside(value, holds)),
        other => holds(&other.to_string()),
    }
}
