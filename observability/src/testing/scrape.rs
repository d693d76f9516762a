//! Prometheus text, read.

use std::collections::{BTreeMap, BTreeSet};

/// What `/metrics` answered.
#[derive(Debug, Clone)]
pub struct Scrape {
    series: Vec<Series>,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name of the sample: with `_bucket`, `_sum` or `_count` for a histogram's.
    pub name: String,
    /// Labels, without the empty ones, which Prometheus takes for absent.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

impl Scrape {
    /// Reads Prometheus text, format 0.0.4, and of OpenMetrics text the samples.
    ///
    /// # Panics
    /// With the line that is not in that format.
    pub fn parse(text: &str) -> Self {
        let samples = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let parse =
            |line| sample(line).unwrap_or_else(|| panic!("not a line of Prometheus text: {line}"));
        Self {
            series: samples.map(parse).collect(),
        }
    }

    /// Sum of the series of this name that have these labels, and maybe others. `None` when there is no such series.
    ///
    /// An empty value asks for series without the label.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let matches = |series: &&Series| {
            labels
                .iter()
                .all(|(label, value)| series.label(label) == *value)
        };
        let values: Vec<f64> = self
            .series(name)
            .into_iter()
            .filter(matches)
            .map(|series| series.value)
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Every series of this name.
    pub fn series(&self, name: &str) -> Vec<&Series> {
        self.series
            .iter()
            .filter(|series| series.name == name)
            .collect()
    }

    /// Every series.
    pub fn all(&self) -> &[Series] {
        &self.series
    }

    /// The names of all samples.
    pub fn names(&self) -> BTreeSet<String> {
        self.series
            .iter()
            .map(|series| series.name.clone())
            .collect()
    }
}

impl Series {
    fn label(&self, label: &str) -> &str {
        self.labels.get(label).map_or("", String::as_str)
    }
}

fn sample(line: &str) -> Option<Series> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => label_set(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Series {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// The labels up to the closing brace, and what follows it.
fn label_set(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = quoted_value(quoted)?;
        if !value.is_empty() {
            labels.insert(name.to_owned(), value);
        }
        rest = after;
    }
}

/// The value up to its closing quote, unescaped, and what follows.
fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[index + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a Help.\n# TYPE a counter\na{x=\"1\",y=\"\"} 2\na{x=\"2\",y=\"q\\\"\\\\}\\n\"} 3\nb 4.5\n";

    #[test]
    fn values_add_up_over_the_labels_not_asked_for() {
        let scrape = Scrape::parse(TEXT);
        assert_eq!(scrape.value("a", &[]), Some(5.0));
        assert_eq!(scrape.value("a", &[("x", "1"), ("y", "")]), Some(2.0));
        assert_eq!(scrape.value("b", &[]), Some(4.5));
        assert_eq!(scrape.value("a", &[("x", "3")]), None);
    }

    #[test]
    fn escaped_label_values_are_read_back() {
        let scrape = Scrape::parse(TEXT);
        assert_eq!(scrape.series("a")[1].labels["y"], "q\"\\}\n");
    }

    #[test]
    #[should_panic(expected = "not a line of Prometheus text: a{x=")]
    fn a_broken_line_is_named() {
        Scrape::parse("a{x=\"1} 2");
    }
}
