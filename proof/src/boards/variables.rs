//! Fills variables into queries and titles, as Grafana does before it asks Prometheus.
//!
//! The rules that matter for a proof: a variable that may stand for several values is filled in as a regular expression,
//! with everything escaped twice (once for the expression, once for the PromQL string); "All" with a value of its own is
//! filled in as that value says; and a name that is no variable stays as it is, which PromQL then refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use promql_parser::util::parse_duration;

/// The prefix of Grafana's own variables, which nobody declares.
const BUILT_IN: &str = "__";

/// The formats of `${name:format}` that are known here: those that make sense in PromQL.
const FORMATS: &[&str] = &[
    "raw",
    "csv",
    "text",
    "pipe",
    "regex",
    "glob",
    "json",
    "doublequote",
    "singlequote",
];

/// What is chosen for a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// One value.
    One(String),
    /// Several values, or every value.
    Many(Vec<String>),
    /// "All", which the variable wants filled in as this text, unescaped.
    AllAs(String),
}

/// A variable as it is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filling {
    selection: Selection,
    /// It may stand for several values, even if one is chosen: then that one is a regular expression too.
    multiple: bool,
}

/// The range that a board shows, and the steps of a panel in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// Unix seconds.
    pub from: f64,
    /// Unix seconds.
    pub to: f64,
    /// Between two points of the panel: `$__interval`.
    pub interval: Duration,
    /// Between two scrapes, as the data source of Grafana knows it.
    pub scrape_interval: Duration,
}

impl Times {
    /// The times of a panel: its step is the range over its points, and at least `least` and the scrape interval.
    pub fn of_panel(
        range: (f64, f64),
        points: f64,
        least: Option<Duration>,
        scrape_interval: Duration,
    ) -> Self {
        let (from, to) = range;
        let even = ((to - from) / points.max(1.0)).max(0.0);
        // Whole seconds from one second on: a step of 1.37 s makes no two reads of a board alike.
        let even = if even > 1.0 { even.ceil() } else { even };
        let even = Duration::try_from_secs_f64(even).unwrap_or(Duration::MAX);
        Self {
            from,
            to,
            interval: even.max(least.unwrap_or(scrape_interval)),
            scrape_interval,
        }
    }

    /// `$__rate_interval`: Grafana's documented maximum of interval + scrape interval and four scrape intervals, so that
    /// a window always holds enough samples and no increase between two windows is lost.
    pub fn rate_interval(&self) -> Duration {
        (self.interval + self.scrape_interval).max(self.scrape_interval * 4)
    }

    /// `$__range`.
    pub fn range(&self) -> Duration {
        Duration::try_from_secs_f64((self.to - self.from).max(0.0)).unwrap_or_default()
    }

    /// One of Grafana's own variables.
    fn built_in(&self, name: &str) -> Option<String> {
        let milliseconds = |length: Duration| length.as_millis().to_string();
        Some(match name {
            "__interval" => text_of(self.interval),
            "__interval_ms" => milliseconds(self.interval),
            "__rate_interval" => text_of(self.rate_interval()),
            "__rate_interval_ms" => milliseconds(self.rate_interval()),
            "__range" => format!("{}s", self.range().as_secs()),
            "__range_s" => self.range().as_secs().to_string(),
            "__range_ms" => milliseconds(self.range()),
            "__from" => format!("{:.0}", self.from * 1000.0),
            "__to" => format!("{:.0}", self.to * 1000.0),
            _ => return None,
        })
    }
}

/// A length as PromQL reads it.
fn text_of(length: Duration) -> String {
    if length.subsec_millis() == 0 {
        format!("{}s", length.as_secs())
    } else {
        format!("{}ms", length.as_millis())
    }
}

/// An interval of a panel or variable: `30s`, `>30s`, `1m`. A number alone is none, though PromQL takes it for seconds.
pub fn interval(text: &str) -> Option<Duration> {
    let text = text.trim().trim_start_matches(['>', '=']);
    if text.parse::<f64>().is_ok() {
        return None;
    }
    parse_duration(text).ok()
}

/// The variables that are known at a place, with what is chosen.
#[derive(Clone, Debug)]
pub struct Scope {
    variables: BTreeMap<String, Filling>,
    /// The times.
    pub times: Times,
}

/// A text with its variables filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// The text.
    pub text: String,
    /// The variables in it that were filled in, Grafana's own included.
    pub used: BTreeSet<String>,
    /// Names after a `$` that are no variables; they stand in the text as before.
    pub unknown: BTreeSet<String>,
    /// Formats (`${name:format}`) that are not known here; they stand in the text as before.
    pub formats: BTreeSet<String>,
}

impl Scope {
    /// A place without variables.
    pub fn new(times: Times) -> Self {
        Self {
            variables: BTreeMap::new(),
            times,
        }
    }

    /// Sets what is chosen for a variable. `multiple`: it may stand for several values.
    pub fn choose(&mut self, name: &str, selection: Selection, multiple: bool) {
        let filling = Filling {
            selection,
            multiple,
        };
        self.variables.insert(name.to_owned(), filling);
    }

    /// The scope of one copy of a repeated panel: the variable has one value in it.
    #[must_use]
    pub fn repeated(&self, name: &str, value: &str) -> Self {
        let mut scope = self.clone();
        let multiple = self.variables.get(name).is_some_and(|known| known.multiple);
        scope.choose(name, Selection::One(value.to_owned()), multiple);
        scope
    }

    /// The same variables in other times.
    #[must_use]
    pub fn at(&self, times: Times) -> Self {
        Self {
            variables: self.variables.clone(),
            times,
        }
    }

    /// What is chosen for a variable.
    pub fn selection(&self, name: &str) -> Option<&Selection> {
        self.variables.get(name).map(|filling| &filling.selection)
    }

    /// Fills in a query.
    pub fn query(&self, text: &str) -> Filled {
        self.fill(text, Filling::in_query)
    }

    /// Fills in a text for people, such as a title.
    pub fn title(&self, text: &str) -> Filled {
        self.fill(text, Filling::in_title)
    }

    fn fill(&self, text: &str, default: fn(&Filling) -> String) -> Filled {
        let mut filled = Filled::default();
        let mut end = 0;
        for reference in references(text) {
            filled.text.push_str(&text[end..reference.start]);
            end = reference.end;
            let written = &text[reference.start..reference.end];
            match self.value(&reference, default) {
                Ok(value) => {
                    filled.used.insert(reference.name.to_owned());
                    filled.text.push_str(&value);
                }
                Err(missing) => {
                    match missing {
                        Missing::Variable => filled.unknown.insert(reference.name.to_owned()),
                        Missing::Format(format) => filled.formats.insert(format),
                    };
                    filled.text.push_str(written);
                }
            }
        }
        filled.text.push_str(&text[end..]);
        filled
    }

    fn value(
        &self,
        reference: &Reference,
        default: fn(&Filling) -> String,
    ) -> Result<String, Missing> {
        if reference.name.starts_with(BUILT_IN) {
            return self.times.built_in(reference.name).ok_or(Missing::Variable);
        }
        let filling = self
            .variables
            .get(reference.name)
            .ok_or(Missing::Variable)?;
        match reference.format {
            None => Ok(default(filling)),
            Some(format) => filling
                .formatted(format)
                .ok_or_else(|| Missing::Format(format.to_owned())),
        }
    }
}

/// Why a reference can't be filled in.
enum Missing {
    Variable,
    Format(String),
}

impl Filling {
    fn values(&self) -> Vec<&str> {
        match &self.selection {
            Selection::One(value) | Selection::AllAs(value) => vec![value],
            Selection::Many(values) => values.iter().map(String::as_str).collect(),
        }
    }

    /// As Grafana's Prometheus data source fills it in.
    fn in_query(&self) -> String {
        if let Selection::AllAs(text) = &self.selection {
            return text.clone();
        }
        let values = self.values();
        match values.as_slice() {
            [one] if !self.multiple => escape_string(one),
            [one] => escape_twice(one),
            many => {
                let escaped: Vec<_> = many.iter().map(|value| escape_twice(value)).collect();
                format!("({})", escaped.join("|"))
            }
        }
    }

    /// As a heading says it.
    fn in_title(&self) -> String {
        match &self.selection {
            Selection::AllAs(_) => "All".to_owned(),
            _ => self.values().join(" + "),
        }
    }

    /// As a format asks (`${name:format}`). "All" with a value of its own is filled in as that value whatever the format.
    fn formatted(&self, format: &str) -> Option<String> {
        if !FORMATS.contains(&format) {
            return None;
        }
        if let (Selection::AllAs(text), true) = (&self.selection, format != "text") {
            return Some(text.clone());
        }
        let values = self.values();
        let quoted = |quote: char| {
            let each = |value: &&str| {
                let value = value.replace(quote, &format!("\\{quote}"));
                format!("{quote}{value}{quote}")
            };
            values.iter().map(each).collect::<Vec<_>>().join(",")
        };
        let escaped = || {
            values
                .iter()
                .map(|value| escape_regex(value))
                .collect::<Vec<_>>()
        };
        Some(match format {
            "raw" | "csv" => values.join(","),
            "text" => self.in_title(),
            "pipe" => values.join("|"),
            "regex" => match escaped().as_slice() {
                [one] => one.clone(),
                many => format!("({})", many.join("|")),
            },
            "glob" => match values.as_slice() {
                [one] => (*one).to_owned(),
                many => format!("{{{}}}", many.join(",")),
            },
            "json" => match values.as_slice() {
                [one] if !self.multiple => serde_json::json!(one).to_string(),
                many => serde_json::json!(many).to_string(),
            },
            "doublequote" => quoted('"'),
            "singlequote" => quoted('\''),
            _ => return None,
        })
    }
}

/// For a PromQL string.
fn escape_string(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

/// For a regular expression.
fn escape_regex(value: &str) -> String {
    escape(value, "\\^$*+?.()|[]{}/", "\\")
}

/// For a regular expression in a PromQL string.
fn escape_twice(value: &str) -> String {
    escape(&value.replace('\\', "\\\\\\\\"), "^$*{}[]'+?.()|", "\\\\")
}

/// Puts `sign` before each of the `special` characters.
fn escape(value: &str, special: &str, sign: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if special.contains(character) {
            escaped.push_str(sign);
        }
        escaped.push(character);
    }
    escaped
}

/// A place in a text where a variable is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// First byte.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
    /// The variable.
    pub name: &'a str,
    /// How it wants to be filled in: `${name:format}`.
    pub format: Option<&'a str>,
}

/// Every place where a variable is named, in order: `$name`, `${name}`, `${name:format}`, `[[name]]`, `[[name:format]]`.
/// A number is none: `$1` is a group of `label_replace`.
pub fn references(text: &str) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].find(['$', '[']) {
        let start = at + next;
        match reference(text, start) {
            Some(reference) => {
                at = reference.end;
                if !reference.name.bytes().all(|byte| byte.is_ascii_digit()) {
                    found.push(reference);
                }
            }
            None => at = start + 1,
        }
    }
    found
}

/// The reference that begins here, if one does.
fn reference(text: &str, start: usize) -> Option<Reference<'_>> {
    let rest = &text[start..];
    let (inner, length) = if let Some(braced) = rest.strip_prefix("${") {
        let end = braced.find('}')?;
        (&braced[..end], end + 3)
    } else if let Some(bracketed) = rest.strip_prefix("[[") {
        let end = bracketed.find("]]")?;
        (&bracketed[..end], end + 4)
    } else {
        let plain = rest.strip_prefix('$')?;
        let end = plain.find(|c: char| !is_word(c)).unwrap_or(plain.len());
        (&plain[..end], end + 1)
    };
    let (name, format) = match inner.split_once(':') {
        Some((name, format)) => (name, Some(format)),
        None => (inner, None),
    };
    // `${name.field}`: a field of a value with parts, of which queries have none.
    let name = name.split('.').next().unwrap_or(name);
    (!name.is_empty() && name.chars().all(is_word)).then_some(Reference {
        start,
        end: start + length,
        name,
        format,
    })
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        let times = Times::of_panel((0.0, 3600.0), 720.0, None, Duration::from_secs(5));
        let mut scope = Scope::new(times);
        let many = ["127.0.0.1:8080", "b"].map(str::to_owned).to_vec();
        scope.choose("one", Selection::One("a.b".into()), false);
        scope.choose("instance", Selection::Many(many), true);
        scope.choose("route", Selection::AllAs(".*".into()), true);
        scope.choose("chosen", Selection::One("/v1/{id}".into()), true);
        scope
    }

    #[test]
    fn each_way_to_name_a_variable_is_filled_in_as_grafana_does() {
        let scope = scope();
        for (text, expected) in [
            (r#"up{job="$one"}"#, r#"up{job="a.b"}"#),
            (r#"up{job="${one}"}"#, r#"up{job="a.b"}"#),
            (r#"up{job="[[one]]"}"#, r#"up{job="a.b"}"#),
            (
                r#"up{i=~"$instance"}"#,
                r#"up{i=~"(127\\.0\\.0\\.1:8080|b)"}"#,
            ),
            (r#"up{r=~"$route"}"#, r#"up{r=~".*"}"#),
            (r#"up{r=~"${chosen}"}"#, r#"up{r=~"/v1/\\{id\\}"}"#),
            ("${instance:pipe}", "127.0.0.1:8080|b"),
            ("${instance:csv}", "127.0.0.1:8080,b"),
            ("${instance:raw}", "127.0.0.1:8080,b"),
            ("[[instance:glob]]", "{127.0.0.1:8080,b}"),
            ("${instance:regex}", r"(127\.0\.0\.1:8080|b)"),
            ("${one:regex}", r"a\.b"),
            (
                "${one:json} ${instance:json}",
                r#""a.b" ["127.0.0.1:8080","b"]"#,
            ),
            ("${instance:doublequote}", r#""127.0.0.1:8080","b""#),
            ("${route:text} ${route:pipe}", "All .*"),
            ("rate(x[$__rate_interval])", "rate(x[20s])"),
            ("x[${__interval}] $__interval_ms", "x[5s] 5000"),
            ("$__range $__range_s $__range_ms", "3600s 3600 3600000"),
            ("$__from $__to", "0 3600000"),
        ] {
            let filled = scope.query(text);
            assert_eq!(filled.text, expected, "{text}");
            assert!(
                filled.unknown.is_empty() && filled.formats.is_empty(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_name_that_is_no_variable_stays_and_is_reported() {
        let filled = scope().query("x{a=\"$nowhere\"}[$__unknown] ${one:lucene}");
        assert_eq!(filled.text, "x{a=\"$nowhere\"}[$__unknown] ${one:lucene}");
        let unknown: Vec<_> = filled.unknown.iter().map(String::as_str).collect();
        assert_eq!(unknown, ["__unknown", "nowhere"]);
        assert!(filled.formats.contains("lucene"));
    }

    #[test]
    fn groups_anchors_and_brackets_are_no_variables() {
        for text in [
            r#"label_replace(x, "a", "$1-${2}", "b", "(.*)(.*)$")"#,
            "x[5m] $ $$ ${} ${unclosed [[",
        ] {
            let filled = scope().query(text);
            assert_eq!(filled.text, text);
            assert!(filled.used.is_empty());
        }
    }

    #[test]
    fn a_heading_names_the_values_without_escapes() {
        let scope = scope();
        assert_eq!(scope.title("$one of $route").text, "a.b of All");
        assert_eq!(scope.title("$instance").text, "127.0.0.1:8080 + b");
        let copy = scope.repeated("instance", "b");
        assert_eq!(copy.title("$instance").text, "b");
    }

    #[test]
    fn the_rate_interval_is_never_below_four_scrapes() {
        let five = Duration::from_secs(5);
        let short = Times::of_panel((0.0, 60.0), 1000.0, None, five);
        assert_eq!(short.interval, five);
        assert_eq!(short.rate_interval(), Duration::from_secs(20));
        let day = Times::of_panel((0.0, 86_400.0), 100.0, None, five);
        assert_eq!(day.interval, Duration::from_secs(864));
        assert_eq!(day.rate_interval(), Duration::from_secs(869));
        assert_eq!(interval("200"), None);
        let asked = Times::of_panel((0.0, 60.0), 1000.0, interval(">1m"), five);
        assert_eq!(asked.interval, Duration::from_mins(1));
    }
}
