//! `objectives.toml`: what users were promised, and the series that tell whether it is kept.

use std::path::Path;

use promql_parser::label::MatchOp;
use promql_parser::parser::{Expr, VectorSelector};
use serde::Deserialize;

use crate::exit::Refusal;
use crate::files;
use crate::promql;

/// The largest share that can be promised: of its budget, one event in ten million, numbers still tell something.
const MOST: f64 = 0.999_999_9;

/// The file, checked.
#[derive(Debug)]
pub(super) struct Objectives {
    /// In their order in the file.
    pub(super) list: Vec<Objective>,
}

/// One objective.
#[derive(Debug)]
pub(super) struct Objective {
    /// Kebab case; the value of the label `slo`.
    pub(super) name: String,
    /// What is promised, for people.
    pub(super) title: String,
    /// The share of events that must be good, between 0 and 1.
    pub(super) share: f64,
    /// Selects the counters of all valid events.
    pub(super) total: String,
    /// Selects the counters of the good or of the bad ones.
    pub(super) part: Part,
    /// How long an event takes to show whether it is good, as PromQL writes it: all events are counted as of that long ago.
    pub(super) settles_after: Option<String>,
    /// Valid events below which a short window decides nothing.
    pub(super) minimum_events: u64,
    /// Path of the board that shows it, `/d/UID`.
    pub(super) dashboard: String,
    /// Value of the label `service` of its alerts.
    pub(super) service: String,
}

/// Which events the second selector counts.
#[derive(Debug)]
pub(super) enum Part {
    /// The good ones: for latency, a bucket of a histogram.
    Good(String),
    /// The bad ones.
    Bad(String),
}

impl Part {
    /// The selector.
    pub(super) fn selector(&self) -> &str {
        match self {
            Self::Good(selector) | Self::Bad(selector) => selector,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    service: String,
    window: String,
    objective: Vec<Raw>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    title: String,
    objective: f64,
    total: String,
    good: Option<String>,
    bad: Option<String>,
    settles_after: Option<String>,
    minimum_events: u64,
    dashboard: String,
}

impl Objectives {
    /// Reads and checks a file. The error names the file, and the objective and field at fault.
    pub(super) fn read(file: &Path) -> Result<Self, Refusal> {
        let text = files::read(file)?;
        Self::parse(&text).map_err(|reason| Refusal::usage(format!("{}: {reason}", file.display())))
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.window != "30d" {
            return Err(format!(
                "window is {:?}, but the factors of the burn rates belong to \"30d\"",
                file.window
            ));
        }
        if file.objective.is_empty() {
            return Err("no [[objective]]".to_owned());
        }
        let mut list: Vec<Objective> = Vec::new();
        for raw in file.objective {
            let name = raw.name.clone();
            if list.iter().any(|other| other.name == name) {
                return Err(format!("objective {name}: the name is given twice"));
            }
            let objective = Objective::check(raw, &file.service)
                .map_err(|reason| format!("objective {name}: {reason}"))?;
            list.push(objective);
        }
        Ok(Self { list })
    }

    /// The objective of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Objective> {
        self.list.iter().find(|objective| objective.name == name)
    }
}

impl Objective {
    fn check(raw: Raw, service: &str) -> Result<Self, String> {
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if raw.name.is_empty() || !raw.name.chars().all(kebab) {
            return Err("name must be lowercase letters, digits and hyphens".to_owned());
        }
        if !(raw.objective > 0.0 && raw.objective <= MOST) {
            return Err(format!(
                "objective is {}, but must be a share above 0 and at most {MOST}, such as 0.999",
                raw.objective
            ));
        }
        if !raw.dashboard.starts_with("/d/") {
            return Err("dashboard must be the path of a board, /d/UID".to_owned());
        }
        let part = match (raw.good, raw.bad) {
            (Some(good), None) => Part::Good(good),
            (None, Some(bad)) => Part::Bad(bad),
            _ => return Err("give either good or bad".to_owned()),
        };
        if let Some(duration) = &raw.settles_after {
            promql::duration(duration).map_err(|error| format!("settles_after: {error}"))?;
        }
        check_selector("total", &raw.total)?;
        check_selector("good or bad", part.selector())?;
        Ok(Self {
            name: raw.name,
            title: raw.title,
            share: raw.objective,
            total: raw.total,
            part,
            settles_after: raw.settles_after,
            minimum_events: raw.minimum_events,
            dashboard: raw.dashboard,
            service: service.to_owned(),
        })
    }

    /// The share of events that may be bad. Rounded to 1e-9, since 1 - 0.999 is not 0.001 in binary.
    pub(super) fn budget(&self) -> f64 {
        ((1.0 - self.share) * 1e9).round() / 1e9
    }

    /// The name in camel case, as the alert's name begins.
    pub(super) fn camel(&self) -> String {
        let mut camel = String::new();
        for word in self.name.split('-') {
            let mut letters = word.chars();
            camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            camel.push_str(letters.as_str());
        }
        camel
    }

    #[cfg(test)]
    pub(super) fn for_test(share: f64, minimum_events: u64) -> Self {
        Self {
            name: "reads".to_owned(),
            title: "Reads".to_owned(),
            share,
            total: "reads_total".to_owned(),
            part: Part::Bad("reads_failed_total".to_owned()),
            settles_after: None,
            minimum_events,
            dashboard: "/d/x".to_owned(),
            service: "x".to_owned(),
        }
    }
}

/// A counter's selector, without range and offset: the generator adds those.
fn check_selector(field: &str, text: &str) -> Result<(), String> {
    let expr = promql::parse(text).map_err(|error| format!("{field}: {error}"))?;
    let Expr::VectorSelector(selector) = expr else {
        return Err(format!(
            "{field} must be a selector of series, and nothing around it"
        ));
    };
    let VectorSelector {
        name,
        matchers,
        offset,
        at,
    } = selector;
    if offset.is_some() || at.is_some() {
        return Err(format!("{field} must have neither offset nor @"));
    }
    let name = name.ok_or_else(|| format!("{field} must name its metric"))?;
    if ["_total", "_count", "_bucket"]
        .iter()
        .all(|suffix| !name.ends_with(suffix))
    {
        return Err(format!(
            "{field} selects {name}, which is no counter by its name (_total, _count, _bucket)"
        ));
    }
    let mut bounds = matchers
        .matchers
        .iter()
        .filter(|matcher| matcher.name == "le");
    let bound = bounds.next();
    if name.ends_with("_bucket")
        && !bound.is_some_and(|bound| bound.op == MatchOp::Equal && bound.value.contains('.'))
    {
        return Err(format!(
            "{field} must select one bucket by le=\"...\", with a decimal point as Prometheus 3 writes bounds (\"1.0\")"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        service = "x"
        window = "30d"
        [[objective]]
        name = "reads"
        title = "Reads"
        objective = 0.999
        total = 'reads_total{job="x"}'
        bad = 'reads_total{job="x",status="500"}'
        minimum_events = 100
        dashboard = "/d/x"
    "#;

    #[test]
    fn a_good_file_is_read() {
        let objectives = Objectives::parse(GOOD).unwrap();
        let objective = objectives.get("reads").unwrap();
        assert_eq!(objective.budget().to_string(), "0.001");
        assert_eq!(objective.camel(), "Reads");
    }

    #[test]
    fn a_bad_file_is_refused_with_the_field_at_fault() {
        for (from, to, expected) in [
            ("minimum_events", "minimum", "unknown field"),
            ("\"30d\"", "\"28d\"", "burn rates belong to \"30d\""),
            ("0.999", "99.9", "objective reads: objective is 99.9"),
            ("bad =", "good =\"x_total\"\nbad =", "either good or bad"),
            (
                "'reads_total{job=\"x\"}'",
                "'rate(reads_total[5m])'",
                "nothing around it",
            ),
            (
                "'reads_total{job=\"x\"}'",
                "'reads{job=\"x\"}'",
                "no counter by its name",
            ),
            (
                "'reads_total{job=\"x\"}'",
                "'reads_bucket{le=\"1\"}'",
                "decimal point",
            ),
            (
                "'reads_total{job=\"x\"}'",
                "'reads_total offset 5m'",
                "neither offset",
            ),
            ("name = \"reads\"", "name = \"Reads\"", "lowercase"),
            ("\"/d/x\"", "\"x\"", "/d/UID"),
            (
                "title",
                "settles_after = \"soon\"\ntitle",
                "settles_after: invalid length of time `soon`",
            ),
            (
                "title",
                "settles_after = \"-30\"\ntitle",
                "settles_after: invalid length of time `-30`",
            ),
            (
                "title",
                "settles_after = \"1e30\"\ntitle",
                "settles_after: invalid length of time `1e30`",
            ),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let error = Objectives::parse(&text).unwrap_err();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
