//! How what is chosen is written into a text.

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
pub(super) struct Filling {
    pub(super) selection: Selection,
    /// It may stand for several values, even if one is chosen: then that one is a regular expression too.
    pub(super) multiple: bool,
}

impl Filling {
    fn values(&self) -> Vec<&str> {
        match &self.selection {
            Selection::One(value) | Selection::AllAs(value) => vec![value],
            Selection::Many(values) => values.iter().map(String::as_str).collect(),
        }
    }

    /// As Grafana's Prometheus data source fills it in.
    pub(super) fn in_query(&self) -> String {
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
    pub(super) fn in_title(&self) -> String {
        match &self.selection {
            Selection::AllAs(_) => "All".to_owned(),
            _ => self.values().join(" + "),
        }
    }

    /// As a format asks (`${name:format}`). "All" with a value of its own is filled in as that value whatever the format.
    pub(super) fn formatted(&self, format: &str) -> Option<String> {
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
