//! The forms in which a result is printed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::judgement::Judgement;
use crate::finding::Finding;
use crate::xml::escape;

/// How the result is printed.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
    /// For a comment on a change
    Markdown,
    /// For CI
    Junit,
}

/// The result in a form, with a newline at its end.
pub(super) fn print(judgement: &Judgement, output: Output) -> Result<String, serde_json::Error> {
    Ok(match output {
        Output::Text => text(judgement),
        Output::Json => serde_json::to_string_pretty(judgement)? + "\n",
        Output::Markdown => markdown(judgement),
        Output::Junit => junit(judgement),
    })
}

fn figures(figures: &[(&str, f64)]) -> String {
    let figures: Vec<String> = figures
        .iter()
        .map(|(name, number)| format!("{name} {number}"))
        .collect();
    figures.join(", ")
}

fn summary(judgement: &Judgement) -> String {
    let (findings, unmeasured) = (judgement.findings.len(), judgement.unmeasured.len());
    let plural = if findings == 1 { "" } else { "s" };
    format!("{findings} finding{plural}, {unmeasured} not measured")
}

// Writing to a String cannot fail.
fn text(judgement: &Judgement) -> String {
    let mut text = String::new();
    for measured in &judgement.measured {
        let _ = writeln!(text, "{}: {}", measured.about, figures(&measured.figures));
    }
    for Finding {
        code,
        file,
        subject,
        sentence,
        ..
    } in &judgement.findings
    {
        let _ = writeln!(text, "{code}  {file}  {subject}: {sentence}");
    }
    for sentence in &judgement.unmeasured {
        let _ = writeln!(text, "not measured: {sentence}");
    }
    text + &summary(judgement) + "\n"
}

fn markdown(judgement: &Judgement) -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    let mut text = String::from("| what | figures |\n|---|---|\n");
    for measured in &judgement.measured {
        let _ = writeln!(
            text,
            "| {} | {} |",
            cell(&measured.about),
            figures(&measured.figures)
        );
    }
    if !judgement.findings.is_empty() {
        text.push_str("\n| code | where | what |\n|---|---|---|\n");
        for Finding {
            code,
            file,
            subject,
            sentence,
            ..
        } in &judgement.findings
        {
            let _ = writeln!(
                text,
                "| `{code}` | {} {} | {} |",
                cell(file),
                cell(subject),
                cell(sentence)
            );
        }
    }
    for sentence in &judgement.unmeasured {
        let _ = writeln!(text, "\nNot measured: {sentence}");
    }
    text + "\n" + &summary(judgement) + "\n"
}

/// The cases of one place, and how many of them are what.
#[derive(Default)]
struct Suite {
    cases: String,
    tests: usize,
    failures: usize,
    errors: usize,
}

impl Suite {
    fn add(&mut self, place: &str, name: &str, inside: &str) {
        self.tests += 1;
        let (place, name) = (escape(place), escape(name));
        let _ = writeln!(
            self.cases,
            "    <testcase classname=\"{place}\" name=\"{name}\">{inside}</testcase>"
        );
    }
}

/// A suite for each place; what could not be measured is an error of a suite of its own, never a test that passed.
fn junit(judgement: &Judgement) -> String {
    let mut suites: BTreeMap<&str, Suite> = BTreeMap::new();
    for finding in &judgement.findings {
        let failure = format!(
            "<failure type=\"{}\" message=\"{}\"/>",
            finding.code,
            escape(&finding.sentence)
        );
        let suite = suites.entry(&finding.file).or_default();
        suite.failures += 1;
        suite.add(&finding.file, &finding.subject, &failure);
    }
    let account = suites.entry("account").or_default();
    for one in &judgement.measured {
        let name = format!("{}: {}", one.about, figures(&one.figures));
        account.add("account", &name, "");
    }
    for sentence in &judgement.unmeasured {
        let error = format!("<error message=\"{}\"/>", escape(sentence));
        account.errors += 1;
        account.add("account", "not measured", &error);
    }
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (place, suite) in suites {
        let _ = write!(
            text,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">\n{}  </testsuite>\n",
            escape(place),
            suite.tests,
            suite.failures,
            suite.errors,
            suite.cases
        );
    }
    text + "</testsuites>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_names_what_was_measured_found_and_not_measured() {
        let mut judgement = Judgement::new();
        judgement.measure("spans of a", vec![("ended", 7.0), ("received", 6.0)]);
        judgement.find("spans-missing", "http://j/", "spans", "6 of <7> are there");
        judgement.cannot("the account of lines: a | b");
        let judgement = judgement.finish();
        for (output, parts) in [
            (
                Output::Text,
                vec![
                    "spans of a: ended 7, received 6",
                    "spans-missing  http://j/",
                    "not measured: the account",
                    "1 finding, 1 not measured",
                ],
            ),
            (
                Output::Json,
                vec!["\"code\": \"spans-missing\"", "\"unmeasured\"", "\"ended\""],
            ),
            (
                Output::Markdown,
                vec![
                    "| spans of a | ended 7, received 6 |",
                    "| `spans-missing` |",
                    "Not measured: the account of lines: a | b",
                ],
            ),
            (
                Output::Junit,
                vec![
                    "failures=\"1\"",
                    "<failure type=\"spans-missing\" message=\"6 of &lt;7&gt; are there\"/>",
                    "errors=\"1\"",
                ],
            ),
        ] {
            let text = print(&judgement, output).unwrap();
            for part in parts {
                assert!(text.contains(part), "{output:?} lacks {part}:\n{text}");
            }
        }
    }
}
