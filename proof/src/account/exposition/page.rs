//! A page of metrics, parsed: OpenMetrics text 1.0.0 and Prometheus text 0.0.4. A line that is of neither is kept as a fault,
//! so that one bad line hides no other.

use std::collections::{BTreeMap, BTreeSet};

use super::super::expectations::Term;

/// Lines that are read at most.
const MAX_LINES: usize = 200_000;

/// What a reader asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::account) enum Format {
    /// Prometheus text 0.0.4.
    Classic,
    /// OpenMetrics text 1.0.0.
    OpenMetrics,
}

/// A page.
#[derive(Debug)]
pub(in crate::account) struct Page {
    /// Where it was read.
    pub(in crate::account) address: String,
    pub(in crate::account) format: Format,
    /// The header `Content-Type`.
    pub(super) content_type: String,
    /// In the order of the page; a name can be there more than once.
    pub(super) families: Vec<Family>,
    pub(in crate::account) samples: Vec<Sample>,
    /// Number of a line and what is wrong with it.
    pub(super) faults: Vec<(usize, String)>,
    /// The whole text, for the search for secrets.
    pub(in crate::account) text: String,
}

/// The lines that begin with `#`, of one name.
#[derive(Debug, Default)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: Option<String>,
    pub(super) help: Option<String>,
    pub(super) unit: Option<String>,
}

/// A line with a value.
#[derive(Debug)]
pub(in crate::account) struct Sample {
    pub(in crate::account) name: String,
    /// In the order of the page.
    pub(in crate::account) labels: Vec<(String, String)>,
    pub(in crate::account) value: f64,
    pub(in crate::account) exemplar: Option<Exemplar>,
    /// The place in [`Page::families`] of the head above it.
    pub(super) family: Option<usize>,
}

#[derive(Debug)]
pub(in crate::account) struct Exemplar {
    pub(in crate::account) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

impl Sample {
    pub(in crate::account) fn label(&self, name: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels.find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    /// The series as text that is the same for the same series.
    pub(super) fn series(&self) -> String {
        let labels: BTreeSet<_> = self.labels.iter().collect();
        let labels: Vec<String> = labels
            .into_iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        format!("{}{{{}}}", self.name, labels.join(","))
    }
}

impl Page {
    pub(in crate::account) fn parse(
        address: &str,
        format: Format,
        content_type: &str,
        text: String,
    ) -> Self {
        let mut page = Self {
            address: address.to_owned(),
            format,
            content_type: content_type.to_owned(),
            families: Vec::new(),
            samples: Vec::new(),
            faults: Vec::new(),
            text: String::new(),
        };
        let mut ended = false;
        for (index, line) in text.lines().enumerate() {
            if index == MAX_LINES {
                let sentence = format!("more than {MAX_LINES} lines, and no more are read");
                page.faults.push((index + 1, sentence));
                break;
            }
            if ended {
                page.faults
                    .push((index + 1, "something after # EOF".to_owned()));
                break;
            }
            ended = line == "# EOF";
            if !ended && let Err(sentence) = page.line(line) {
                page.faults.push((index + 1, sentence));
            }
        }
        if format == Format::OpenMetrics && !ended {
            let lines = text.lines().count();
            page.faults.push((
                lines,
                "the page does not end with # EOF: it is cut".to_owned(),
            ));
        }
        page.text = text;
        page
    }

    /// The sum of the series that the terms select. A term without a series is an error: an absent series is not 0.
    pub(in crate::account) fn sum(&self, terms: &[Term]) -> Result<f64, String> {
        let mut sum = 0.0;
        for term in terms {
            let matches = |sample: &&Sample| {
                sample.name == term.metric
                    && term
                        .labels
                        .iter()
                        .all(|(name, value)| sample.label(name).unwrap_or_default() == value)
            };
            let mut found = self.samples.iter().filter(matches).peekable();
            if found.peek().is_none() {
                let Term { metric, labels } = term;
                return Err(format!(
                    "{} has no series of {metric} with {labels:?}",
                    self.address
                ));
            }
            sum += found.map(|sample| sample.value).sum::<f64>();
        }
        Ok(sum)
    }

    /// The sum of all series of this name; 0 if there is none.
    pub(in crate::account) fn total(&self, name: &str) -> f64 {
        let samples = self.samples.iter().filter(|sample| sample.name == name);
        samples.map(|sample| sample.value).sum()
    }

    /// Everything that may only rise: counters, and counts and buckets of histograms.
    pub(super) fn counters(&self) -> BTreeMap<String, f64> {
        let rises = |sample: &&Sample| {
            let kind = sample
                .family
                .and_then(|family| self.families[family].kind.as_deref());
            let name = &sample.name;
            match kind {
                Some("counter") => !name.ends_with("_created"),
                Some("histogram") => name.ends_with("_count") || name.ends_with("_bucket"),
                _ => false,
            }
        };
        let samples = self.samples.iter().filter(rises);
        samples
            .map(|sample| (sample.series(), sample.value))
            .collect()
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut parts = comment.splitn(3, ' ');
            let (word, name, rest) = (parts.next(), parts.next(), parts.next());
            return match (word, name) {
                (Some(word @ ("HELP" | "TYPE" | "UNIT")), Some(name)) => {
                    self.head(word, name, rest.unwrap_or_default())
                }
                _ if self.format == Format::Classic => Ok(()),
                _ => Err("a comment, which OpenMetrics does not have".to_owned()),
            };
        }
        if line.trim().is_empty() || line.starts_with('#') {
            return match self.format {
                Format::Classic => Ok(()),
                Format::OpenMetrics => Err("an empty line or a comment".to_owned()),
            };
        }
        let mut sample = Reader(line).sample()?;
        sample.family = self.family_of(&sample.name);
        self.samples.push(sample);
        Ok(())
    }

    fn head(&mut self, word: &str, name: &str, text: &str) -> Result<(), String> {
        let open = self
            .families
            .last()
            .is_some_and(|family| family.name == name)
            && !self
                .samples
                .iter()
                .rev()
                .any(|sample| sample.family == Some(self.families.len() - 1));
        if !open {
            self.families.push(Family {
                name: name.to_owned(),
                ..Family::default()
            });
        }
        let Some(family) = self.families.last_mut() else {
            return Ok(());
        };
        let field = match word {
            "HELP" => &mut family.help,
            "TYPE" => &mut family.kind,
            _ => &mut family.unit,
        };
        if field.is_some() {
            return Err(format!("a second {word} of {name}"));
        }
        *field = Some(text.to_owned());
        Ok(())
    }

    /// The newest head to which a series of this name can belong.
    fn family_of(&self, name: &str) -> Option<usize> {
        let belongs = |family: &Family| {
            let Some(suffix) = name.strip_prefix(family.name.as_str()) else {
                return false;
            };
            let open = self.format == Format::OpenMetrics;
            match family.kind.as_deref() {
                Some("counter") if open => matches!(suffix, "_total" | "_created"),
                Some("histogram") => match suffix {
                    "_created" => open,
                    suffix => matches!(suffix, "_bucket" | "_sum" | "_count"),
                },
                Some("summary") => match suffix {
                    "_created" => open,
                    suffix => matches!(suffix, "" | "_sum" | "_count"),
                },
                Some("info") if open => suffix == "_info",
                _ => suffix.is_empty(),
            }
        };
        self.families.iter().rposition(belongs)
    }
}

/// What is left of a line.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn sample(mut self) -> Result<Sample, String> {
        let name = self.name()?;
        let labels = if self.0.starts_with('{') {
            self.labels()?
        } else {
            Vec::new()
        };
        self.space()?;
        let value = self.number()?;
        let mut exemplar = None;
        if !self.0.is_empty() && !self.0.starts_with(" # ") {
            self.space()?;
            self.number()?; // a timestamp
        }
        if let Some(rest) = self.0.strip_prefix(" # ") {
            self.0 = rest;
            let labels = self.labels()?;
            self.space()?;
            exemplar = Some(Exemplar {
                labels,
                value: self.number()?,
            });
            if !self.0.is_empty() {
                self.space()?;
                self.number()?;
            }
        }
        if !self.0.is_empty() {
            return Err(format!("{:?} after the value", self.0));
        }
        Ok(Sample {
            name,
            labels,
            value,
            exemplar,
            family: None,
        })
    }

    fn name(&mut self) -> Result<String, String> {
        let end = self
            .0
            .find(|letter: char| !is_of_name(letter))
            .unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        if name.is_empty() || name.starts_with(|letter: char| letter.is_ascii_digit()) {
            return Err("no name at the place of one".to_owned());
        }
        self.0 = rest;
        Ok(name.to_owned())
    }

    fn labels(&mut self) -> Result<Vec<(String, String)>, String> {
        let mut labels: Vec<(String, String)> = Vec::new();
        self.expect("{")?;
        while !self.0.starts_with('}') {
            let name = self.name()?;
            self.expect("=\"")?;
            let value = self.quoted()?;
            if labels.iter().any(|(known, _)| *known == name) {
                return Err(format!("the label {name} twice"));
            }
            labels.push((name, value));
            if !self.0.starts_with('}') {
                self.expect(",")?;
            }
        }
        self.expect("}")?;
        Ok(labels)
    }

    /// The rest of a text whose first quotation mark is read.
    fn quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let mut letters = self.0.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Ok(text);
                }
                '\\' => match letters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, letter @ ('"' | '\\'))) => text.push(letter),
                    _ => return Err("an escape that is neither \\n, \\\" nor \\\\".to_owned()),
                },
                letter => text.push(letter),
            }
        }
        Err("a label's value without an end".to_owned())
    }

    fn number(&mut self) -> Result<f64, String> {
        let end = self.0.find(' ').unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at(end);
        let number = match text {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            "NaN" => f64::NAN,
            text => text
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
                .ok_or_else(|| format!("{text:?} is not a number"))?,
        };
        self.0 = rest;
        Ok(number)
    }

    fn space(&mut self) -> Result<(), String> {
        self.expect(" ")
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        self.0 = self.0.strip_prefix(text).ok_or_else(|| {
            format!(
                "{text:?} is missing before {:?}",
                self.0.get(..20).unwrap_or(self.0)
            )
        })?;
        Ok(())
    }
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(format: Format, text: &str) -> Page {
        Page::parse("http://h/metrics", format, "text/plain", text.to_owned())
    }

    #[test]
    fn a_line_has_labels_a_value_and_perhaps_an_exemplar() {
        let page = parsed(
            Format::OpenMetrics,
            "# TYPE a histogram\na_bucket{x=\"\\\"y\\n\",le=\"+Inf\"} 2 # {trace_id=\"t\"} 0.5 1.25\n# EOF\n",
        );
        assert!(page.faults.is_empty(), "{:?}", page.faults);
        let sample = &page.samples[0];
        assert_eq!(sample.label("x"), Some("\"y\n"));
        assert_eq!((sample.value, sample.family), (2.0, Some(0)));
        assert_eq!(sample.exemplar.as_ref().map(|one| one.value), Some(0.5));
    }

    #[test]
    fn a_bad_line_is_a_fault_and_the_rest_is_read() {
        for line in [
            "a{x=\"1\"",
            "a{x=1} 2",
            "a{x=\"1\",x=\"2\"} 3",
            "a one",
            "1a 2",
            "a{x=\"\\q\"} 1",
            "a 1 2 3",
            "a  1",
            "",
        ] {
            let page = parsed(Format::OpenMetrics, &format!("{line}\nb 1\n# EOF\n"));
            assert_eq!(page.faults.len(), 1, "{line}: {:?}", page.faults);
            assert_eq!(page.samples.len(), 1, "{line}");
        }
    }

    #[test]
    fn a_page_of_openmetrics_ends_with_its_mark() {
        assert_eq!(parsed(Format::OpenMetrics, "a 1\n").faults.len(), 1);
        assert_eq!(parsed(Format::OpenMetrics, "# EOF\na 1\n").faults.len(), 1);
        assert!(parsed(Format::Classic, "a 1\n").faults.is_empty());
    }

    #[test]
    fn a_term_without_a_series_has_no_sum() {
        let page = parsed(Format::Classic, "a{x=\"1\"} 2\na{x=\"2\"} 3\na 4\n");
        let term = |labels: &[(&str, &str)]| Term {
            metric: "a".to_owned(),
            labels: labels
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        };
        assert_eq!(page.sum(&[term(&[])]), Ok(9.0));
        assert_eq!(page.sum(&[term(&[("x", "1")])]), Ok(2.0));
        assert_eq!(page.sum(&[term(&[("x", "")])]), Ok(4.0));
        assert!(page.sum(&[term(&[("x", "3")])]).is_err());
    }
}
