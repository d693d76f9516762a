//! The page of metrics in both of its formats: Prometheus text 0.0.4, and OpenMetrics text 1.0.0, which alone has
//! exemplars, units and the time at which a series came to be.

use std::fmt::{Display, Write as _};

use ::http::{HeaderMap, header};

use super::Desc;
use super::exemplar::{Exemplar, Moment};
use super::histogram::Snapshot;

/// A format of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus text 0.0.4.
    Classic,
    /// OpenMetrics text 1.0.0.
    OpenMetrics,
}

impl Format {
    /// OpenMetrics for a reader who lists it and does not like plain text better; plain text for everybody else.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter();
        let accepted = accepted.filter_map(|value| value.to_str().ok());
        let (mut open, mut plain) = (0.0, 0.0);
        for range in accepted.flat_map(|value| value.split(',')) {
            match media_range(range) {
                Some(("application/openmetrics-text", weight)) => open = f64::max(open, weight),
                Some(("text/plain", weight)) => plain = f64::max(plain, weight),
                _ => {}
            }
        }
        if open > 0.0 && open >= plain {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Type and weight of one entry of an `Accept` header (RFC 9110 12.5.1); `None` for a version that is not written here.
fn media_range(range: &str) -> Option<(&str, f64)> {
    let mut parts = range.split(';').map(str::trim);
    let media_type = parts.next()?;
    let mut weight = 1.0;
    for parameter in parts {
        match parameter.split_once('=')? {
            ("q", value) => weight = value.parse().ok()?,
            ("version", "0.0.4" | "1.0.0") => {}
            ("version", _) => return None,
            _ => {}
        }
    }
    Some((media_type, weight))
}

/// A page being written.
pub(super) struct Page {
    format: Format,
    text: String,
}

impl Page {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            text: String::with_capacity(64 * 1024),
        }
    }

    /// The head of a metric; its series follow.
    pub(super) fn family(&mut self, desc: &Desc) {
        let name = match self.format {
            Format::Classic => desc.name,
            Format::OpenMetrics => desc.family(),
        };
        self.line(format_args!("# HELP {name} {}", desc.help));
        self.line(format_args!("# TYPE {name} {}", desc.kind.name()));
        let unit = desc.unit().filter(|unit| name.ends_with(unit));
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            self.line(format_args!("# UNIT {name} {unit}"));
        }
    }

    /// A series without labels whose value may have a fraction, whatever its kind.
    pub(super) fn value(&mut self, name: &str, value: f64) {
        self.line(format_args!("{name} {}", Number(value)));
    }

    pub(super) fn counter(&mut self, desc: &Desc, labels: &str, value: u64, created: Moment) {
        let braces = Braces(labels);
        self.line(format_args!("{}{braces} {value}", desc.name));
        // The 0 itself says that nothing was before.
        if value > 0 {
            self.created(desc, labels, created);
        }
    }

    pub(super) fn gauge(&mut self, desc: &Desc, labels: &str, value: f64) {
        let braces = Braces(labels);
        self.line(format_args!("{}{braces} {}", desc.name, Number(value)));
    }

    pub(super) fn histogram(&mut self, desc: &Desc, labels: &str, snapshot: &Snapshot) {
        let name = desc.name;
        let comma = if labels.is_empty() { "" } else { "," };
        let bounds = snapshot
            .bounds
            .iter()
            .copied()
            .chain([f64::INFINITY])
            .map(Bound);
        for (index, (bound, count)) in bounds.zip(&snapshot.cumulative).enumerate() {
            let exemplar = snapshot.exemplars.get(index).copied().flatten();
            let exemplar = exemplar.filter(|_| self.format == Format::OpenMetrics);
            // Writing to a String cannot fail.
            let _ = write!(
                self.text,
                "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}"
            );
            if let Some(Exemplar { trace, value, at }) = exemplar {
                let at = Seconds(at);
                let _ = write!(self.text, " # {{trace_id=\"{trace}\"}} {value} {at}");
            }
            self.text.push('\n');
        }
        let braces = Braces(labels);
        self.line(format_args!("{name}_sum{braces} {}", Number(snapshot.sum)));
        let count = snapshot.cumulative.last().copied().unwrap_or_default();
        self.line(format_args!("{name}_count{braces} {count}"));
        self.created(desc, labels, snapshot.created);
    }

    /// When a series came to be. Every histogram has it: Prometheus looks for the one of a series that has none to the
    /// family's end, for each of its lines.
    fn created(&mut self, desc: &Desc, labels: &str, created: Moment) {
        if self.format == Format::OpenMetrics {
            let (family, braces) = (desc.family(), Braces(labels));
            self.line(format_args!(
                "{family}_created{braces} {}",
                Seconds(created)
            ));
        }
    }

    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }
}

/// The labels of a series as they stand between the braces, in the order of the declaration. Empty ones are left out: for
/// Prometheus they are as good as absent.
pub(super) fn label_text(desc: &Desc, labels: &[(&'static str, &str)]) -> String {
    let mut text = String::new();
    for label in desc.labels {
        let value = labels.iter().find(|(name, _)| *name == label.name);
        let Some((name, value)) = value.filter(|(_, value)| !value.is_empty()) else {
            continue;
        };
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{name}=\"{}\"", Quoted(value));
    }
    text
}

/// Labels with their braces; nothing when there are none.
struct Braces<'a>(&'a str);

impl Display for Braces<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            "" => Ok(()),
            labels => write!(f, "{{{labels}}}"),
        }
    }
}

/// A label's value, escaped.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A sample's value.
struct Number(f64);

impl Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            value => write!(f, "{value}"),
        }
    }
}

/// A bucket's bound as Prometheus 3 stores it in whatever format it came: with a fraction, `1.0`.
struct Bound(f64);

impl Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_infinite() {
            f.write_str("+Inf")
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

/// A moment in seconds.
struct Seconds(Moment);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    fn negotiated(accept: &'static str) -> Format {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        Format::negotiate(&headers)
    }

    #[test]
    fn openmetrics_is_for_readers_who_ask_for_it() {
        for accept in [
            "application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            // Prometheus 3, with and without protocol buffers in front.
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        ] {
            assert_eq!(negotiated(accept), Format::OpenMetrics, "{accept}");
        }
    }

    #[test]
    fn everybody_else_gets_classic_text() {
        assert_eq!(Format::negotiate(&HeaderMap::new()), Format::Classic);
        for accept in [
            "*/*",
            "text/plain",
            "text/plain;version=0.0.4, application/openmetrics-text;q=0.5",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=often",
            "application/openmetrics-text;;;",
            ",,;",
        ] {
            assert_eq!(negotiated(accept), Format::Classic, "{accept}");
        }
    }
}
