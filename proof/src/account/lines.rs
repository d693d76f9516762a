//! Each document against the declared fields, and the mapping of their index.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::codes;
use super::elasticsearch::Document;
use super::evidence::{Evidence, Lines};
use super::expectations;
use super::judgement::Judgement;
use super::traces::is_id;
use crate::declarations::Field;

/// How far in the future a line can seem to be, in microseconds.
const LATER: u64 = 1_000_000;
/// A line that is this much older than the one before it has a wrong time, in microseconds: numbers and times are taken one
/// after the other, by threads that may be stopped in between.
const BACK: u64 = 5_000_000;

/// A time of RFC 3339, in microseconds since the epoch of Unix. `None` if it is not one or has no zone.
pub(super) fn microseconds(text: &str) -> Option<u64> {
    let time: Timestamp = text.parse().ok()?;
    u64::try_from(time.as_microsecond()).ok()
}

/// The process and the number of a line. A line that was kept as text has its own inside of that.
pub(super) fn identity(document: &Document, names: &expectations::Lines) -> Option<(String, u64)> {
    let number = |value: &Value| value.as_u64();
    if !is_text(document, names) {
        let number = document.fields.get(&names.sequence).and_then(number)?;
        return Some((document.text(&names.instance)?, number));
    }
    let text = document.text("message")?;
    if let Ok(line) = serde_json::from_str::<BTreeMap<String, Value>>(&text) {
        let instance = super::jaeger::text(line.get(&names.instance)?);
        return Some((instance, line.get(&names.sequence).and_then(number)?));
    }
    // A line that was cut, or has a byte that is not JSON: its identity stands before what broke it.
    let after = |name: &str| {
        let (_, rest) = text.split_once(&format!("\"{name}\":"))?;
        rest.split([',', '}'])
            .next()
            .map(|value| value.trim_matches('"').to_owned())
    };
    Some((
        after(&names.instance)?,
        after(&names.sequence)?.parse().ok()?,
    ))
}

fn is_text(document: &Document, names: &expectations::Lines) -> bool {
    !names.as_text.is_empty() && document.is(&names.as_text)
}

/// Judges the mapping and every document of the service.
pub(super) fn judge(evidence: &Evidence, lines: &Lines, judgement: &mut Judgement) {
    mapping(evidence, lines, judgement);
    let Some(names) = &evidence.expectations.lines else {
        return judgement.cannot("lines: the expectations have no [lines]");
    };
    let declared: BTreeMap<&str, &Field> = evidence
        .program
        .log_fields
        .iter()
        .map(|field| (field.name.as_str(), field))
        .collect();
    let mut judged = 0;
    for document in lines.own(names) {
        if is_text(document, names) {
            let said = document.text("message").unwrap_or_default();
            let said: String = said.chars().take(120).collect();
            let reason = document.text("error.message").unwrap_or_default();
            let sentence = format!("{} is kept as text: {reason} {said}", document.id);
            judgement.find(codes::LINE_AS_TEXT, &lines.place, "lines", sentence);
            continue;
        }
        judged += 1;
        let mut judge = Judge {
            evidence,
            lines,
            names,
            document,
            judgement,
        };
        judge.identity();
        judge.fields(&declared);
        judge.time();
        judge.rules();
    }
    if judged == 0 {
        let service = &lines.service;
        judgement.cannot(format!("lines: {} has none of {service}", lines.place));
    }
    order(lines, names, judgement);
}

/// One document and where findings go.
struct Judge<'a> {
    evidence: &'a Evidence,
    lines: &'a Lines,
    names: &'a expectations::Lines,
    document: &'a Document,
    judgement: &'a mut Judgement,
}

impl Judge<'_> {
    fn find(&mut self, code: &'static str, field: &str, sentence: impl AsRef<str>) {
        let sentence = format!("{} (document {})", sentence.as_ref(), self.document.id);
        self.judgement
            .find(code, &self.lines.place, field, sentence);
    }

    fn identity(&mut self) {
        let names = self.names;
        let Some((instance, number)) = identity(self.document, names) else {
            let sentence = format!("{} or {} is not there", names.instance, names.sequence);
            return self.find(codes::LINE_WITHOUT_IDENTITY, &names.sequence, sentence);
        };
        if instance.is_empty() || number == 0 {
            let sentence = format!("{instance:?} and {number} do not identify it");
            self.find(codes::LINE_WITHOUT_IDENTITY, &names.sequence, sentence);
        }
        for (field, digits) in [(&names.trace, 32), (&names.span, 16)] {
            let id = self.document.text(field);
            let cut = |id: &String| digits == 32 && id.starts_with("0000000000000000");
            if let Some(id) = id.filter(|id| !is_id(id, digits) || cut(id)) {
                let sentence = format!("{id:?} is not an id of {} bits", digits * 4);
                self.find(codes::ID_MALFORMED, field, sentence);
            }
        }
    }

    fn fields(&mut self, declared: &BTreeMap<&str, &Field>) {
        for (name, value) in &self.document.fields {
            let Some(field) = declared.get(name.as_str()) else {
                self.find(codes::UNDECLARED_FIELD, name, "it is not declared");
                continue;
            };
            if !fits(value, &field.kind) {
                let sentence = format!("it is {value}, which is not of the type {}", field.kind);
                self.find(codes::FIELD_TYPE_WRONG, name, sentence);
            }
        }
        for name in &self.document.ignored {
            self.find(
                codes::FIELD_IGNORED,
                name,
                "it is too long, so no search finds it",
            );
        }
        for name in &self.names.required {
            if !self.document.fields.contains_key(name) {
                self.find(codes::FIELD_MISSING, name, "every line has it");
            }
        }
    }

    fn time(&mut self) {
        let field = &self.names.time;
        let Some(said) = self.document.text(field) else {
            return;
        };
        let Some(time) = microseconds(&said) else {
            return self.find(
                codes::TIME_WITHOUT_ZONE,
                field,
                format!("{said:?} is not a time with a zone"),
            );
        };
        if time > self.evidence.now + LATER {
            self.find(codes::TIME_WRONG, field, format!("{said} is in the future"));
        }
        // The index keeps milliseconds.
        let indexed = self.document.indexed_time.as_deref().and_then(microseconds);
        if indexed.is_none_or(|indexed| indexed.abs_diff(time) >= 1000) {
            let sentence = format!(
                "the line says {said}, and is found at {:?}",
                self.document.indexed_time
            );
            self.find(codes::TIME_WRONG, field, sentence);
        }
    }

    fn rules(&mut self) {
        for rule in &self.evidence.expectations.line_rules {
            let document = self.document;
            let mut least = rule.at_least.iter();
            let applies = document.is(&rule.when)
                && least.all(|(field, least)| {
                    document
                        .number(field)
                        .is_some_and(|number| number >= *least)
                });
            for field in rule.required.iter().filter(|_| applies) {
                if !document.fields.contains_key(field) {
                    let sentence =
                        format!("lines with {:?} {:?} have it", rule.when, rule.at_least);
                    self.find(codes::FIELD_MISSING, field, sentence);
                }
            }
        }
    }
}

/// Whether Elasticsearch takes the value for the type without changing it.
fn fits(value: &Value, kind: &str) -> bool {
    match kind {
        "keyword" => value.is_string() || value.is_number() || value.is_boolean(),
        "date" | "text" => value.is_string(),
        "long" | "integer" | "short" | "byte" | "unsigned_long" => value.is_i64() || value.is_u64(),
        "double" | "float" | "half_float" | "scaled_float" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => !value.is_null(),
    }
}

/// Every declared field is mapped as it is declared: what is not is kept and never found.
fn mapping(evidence: &Evidence, lines: &Lines, judgement: &mut Judgement) {
    for field in &evidence.program.log_fields {
        match lines.mapping.get(&field.name) {
            None => judgement.find(
                codes::FIELD_UNMAPPED,
                &lines.place,
                &field.name,
                "it is declared, and the index does not map it: no search finds it",
            ),
            Some(kind) if *kind != field.kind => judgement.find(
                codes::MAPPING_WRONG,
                &lines.place,
                &field.name,
                format!("it is declared as {}, and mapped as {kind}", field.kind),
            ),
            Some(_) => {}
        }
    }
}

/// Numbers and times of a process rise together.
fn order(lines: &Lines, names: &expectations::Lines, judgement: &mut Judgement) {
    let mut processes: BTreeMap<String, BTreeMap<u64, u64>> = BTreeMap::new();
    for document in lines
        .own(names)
        .filter(|document| !is_text(document, names))
    {
        let time = document
            .text(&names.time)
            .and_then(|time| microseconds(&time));
        if let (Some((instance, number)), Some(time)) = (identity(document, names), time) {
            processes.entry(instance).or_default().insert(number, time);
        }
    }
    for (instance, times) in processes {
        let mut latest = 0;
        for (number, time) in times {
            if time + BACK < latest {
                let sentence = format!(
                    "line {number} of {instance} is older than the one before it, by {} s",
                    (latest - time) / 1_000_000
                );
                judgement.find(codes::TIME_WRONG, &lines.place, &names.time, sentence);
            }
            latest = latest.max(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::elasticsearch::document;
    use super::*;

    fn names() -> expectations::Lines {
        let text = include_str!("../../../docs/telemetry/account.toml");
        let file: expectations::Expectations = toml::from_str(text).unwrap();
        file.lines.unwrap()
    }

    #[test]
    fn a_line_kept_as_text_keeps_its_identity() {
        let whole = json!({"service.node.name": "n", "event.sequence": 7}).to_string();
        let cut = r#"{"service.node.name":"n","event.sequence":7,"error.message":"abc"#.to_owned();
        for text in [whole, cut] {
            let document = document(
                "x",
                &json!({"event.kind": "pipeline_error", "message": text}),
            );
            assert_eq!(
                identity(&document, &names()),
                Some(("n".to_owned(), 7)),
                "{text}"
            );
        }
        let plain = document(
            "x",
            &json!({"event": {"sequence": 3}, "service.node.name": "m"}),
        );
        assert_eq!(identity(&plain, &names()), Some(("m".to_owned(), 3)));
        assert_eq!(
            identity(&document("x", &json!({"message": "a"})), &names()),
            None
        );
    }

    #[test]
    fn a_time_without_a_zone_is_none() {
        assert_eq!(microseconds("1970-01-01T00:00:01.5Z"), Some(1_500_000));
        assert_eq!(microseconds("1970-01-01T01:00:01+01:00"), Some(1_000_000));
        assert_eq!(microseconds("1970-01-01T00:00:01"), None);
        assert_eq!(microseconds("now"), None);
    }

    #[test]
    fn a_value_fits_its_type_unchanged() {
        assert!(
            fits(&json!(200), "long") && !fits(&json!("200"), "long") && !fits(&json!(2.5), "long")
        );
        assert!(fits(&json!(0), "keyword") && !fits(&json!(["a"]), "keyword"));
        assert!(!fits(&json!(1), "date") && !fits(&json!(null), "ip"));
    }
}
