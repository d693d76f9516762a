//! The page: a section for each program, with tables of its metrics, spans and log fields.

use std::fmt::Write as _;

use super::uses::Uses;
use crate::declarations::{Field, Label, Metric, Program, Span};

const HEAD: &str = "\
# Telemetry

<!-- Written by `chitram-proof telemetry --write`, from what the programs declare: change the declarations, not this page. -->

Everything that the programs say about themselves. Names, labels and values are a public interface. An empty label value is as good
as no label. A histogram appears with its first observation; OpenMetrics text says when that was.
";

pub(super) fn write(programs: &[Program], uses: &Uses) -> String {
    let mut page = HEAD.to_owned();
    for program in programs {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {}\n", program.name);
        metrics(&mut page, &program.metrics, uses);
        spans(&mut page, &program.spans);
        fields(&mut page, &program.log_fields);
    }
    page
}

fn metrics(page: &mut String, metrics: &[Metric], uses: &Uses) {
    if metrics.is_empty() {
        return;
    }
    page.push_str("\n### Metrics\n\n| name | kind | unit | labels | meaning | used by |\n|---|---|---|---|---|---|\n");
    for metric in metrics {
        let unit = metric.unit.as_deref().unwrap_or("-");
        let labels: Vec<String> = metric.labels.iter().map(label).collect();
        let labels = or_dash(labels.join("<br>"));
        let by: Vec<String> = uses.of(&metric.name).into_iter().map(cell).collect();
        let by = or_dash(by.join("<br>"));
        let (name, kind, help) = (&metric.name, &metric.kind, cell(&metric.help));
        let _ = writeln!(
            page,
            "| `{name}` | {kind} | {unit} | {labels} | {help} | {by} |"
        );
    }
    buckets(page, metrics);
}

fn label(label: &Label) -> String {
    let values = match (&label.values, &label.bounded_by) {
        (Some(values), _) => {
            let values: Vec<String> = values.iter().map(|value| value_of(value)).collect();
            values.join(", ")
        }
        (None, Some(by)) => cell(by),
        (None, None) => "any".to_owned(),
    };
    format!("`{}`: {values}", label.name)
}

fn value_of(value: &str) -> String {
    match value {
        "" => "empty".to_owned(),
        value => format!("`{}`", cell(value)),
    }
}

/// Histograms with the same bounds share a row.
fn buckets(page: &mut String, metrics: &[Metric]) {
    let mut rows: Vec<(&[f64], Vec<String>)> = Vec::new();
    for metric in metrics {
        let Some(bounds) = &metric.buckets else {
            continue;
        };
        let name = format!("`{}`", metric.name);
        match rows.iter_mut().find(|(known, _)| known == bounds) {
            Some((_, names)) => names.push(name),
            None => rows.push((bounds, vec![name])),
        }
    }
    if rows.is_empty() {
        return;
    }
    page.push_str("\n| bounds of the buckets | of |\n|---|---|\n");
    for (bounds, names) in rows {
        let bounds: Vec<String> = bounds.iter().map(f64::to_string).collect();
        let _ = writeln!(page, "| {} | {} |", bounds.join(", "), names.join("<br>"));
    }
}

/// Spans of one kind with the same attributes share a row.
fn spans(page: &mut String, spans: &[Span]) {
    let mut rows: Vec<(&Span, Vec<String>)> = Vec::new();
    for span in spans {
        let name = format!("`{}`", cell(&span.name));
        let alike = |row: &&mut (&Span, Vec<String>)| {
            row.0.kind == span.kind && row.0.attributes == span.attributes
        };
        match rows.iter_mut().find(alike) {
            Some((_, names)) => names.push(name),
            None => rows.push((span, vec![name])),
        }
    }
    if rows.is_empty() {
        return;
    }
    page.push_str("\n### Spans\n\n| kind | names | attributes |\n|---|---|---|\n");
    for (span, names) in rows {
        let attributes: Vec<String> = span
            .attributes
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let (names, attributes) = (names.join(", "), or_dash(attributes.join(", ")));
        let _ = writeln!(page, "| {} | {names} | {attributes} |", span.kind);
    }
}

fn fields(page: &mut String, fields: &[Field]) {
    if fields.is_empty() {
        return;
    }
    page.push_str("\n### Log fields\n\n| type | fields |\n|---|---|\n");
    let mut kinds: Vec<&str> = fields.iter().map(|field| field.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let names = fields.iter().filter(|field| field.kind == kind);
        let names: Vec<String> = names.map(|field| format!("`{}`", field.name)).collect();
        let _ = writeln!(page, "| {kind} | {} |", names.join(", "));
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// A text inside a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
