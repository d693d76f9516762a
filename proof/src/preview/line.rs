//! Series on the page's time steps, with the names that the board gives them.

use std::collections::BTreeSet;

use crate::{
    boards::model::Panel,
    preview::{field::Field, reduction::Reduction, view::Answer},
    prometheus::{Labels, Range, Series},
};

/// One series on the steps of the page.
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    /// As the legend names it.
    pub(super) name: String,
    /// Its labels.
    pub(super) labels: &'a Labels,
    /// A value for each step; `None` where Prometheus has none.
    pub(super) values: Vec<Option<f64>>,
    /// How it is shown.
    pub(super) field: Field,
}

impl Line<'_> {
    /// The newest value and its step.
    pub(super) fn last(&self) -> Option<(usize, f64)> {
        let step = self.values.iter().rposition(Option::is_some)?;
        Some((step, self.values[step]?))
    }

    /// The step of the newest value, if the series ended before the page's end.
    pub(super) fn ended(&self) -> Option<usize> {
        self.last()
            .map(|(step, _)| step)
            .filter(|step| step + 1 < self.values.len())
    }

    /// One figure of the series.
    pub(super) fn figure(&self, reduction: Reduction) -> Option<f64> {
        reduction.of(&self.values)
    }
}

/// Number of steps of a range.
pub(super) fn steps(range: Range) -> usize {
    ((range.to - range.from) / range.step)
        .round()
        .clamp(0.0, 100_000.0) as usize
        + 1
}

/// When a step is, in Unix seconds.
pub(super) fn time_of(range: Range, step: usize) -> f64 {
    range.from + step as f64 * range.step
}

/// The first `most` series of a panel's answers, in their order, and how many there are beyond.
pub(super) fn lines<'a>(
    panel: &'a Panel,
    answers: &'a [Answer],
    range: Range,
    most: usize,
) -> (Vec<Line<'a>>, usize) {
    let all = answers
        .iter()
        .filter_map(|answer| answer.result.as_ref().ok())
        .map(Vec::len)
        .sum::<usize>();
    let lines = answers
        .iter()
        .filter_map(|answer| {
            Some((
                panel.targets.get(answer.target)?,
                answer.result.as_ref().ok()?,
            ))
        })
        .flat_map(|(target, series)| {
            let differing = differing(series);
            series.iter().map(move |one| {
                let by_query = name(
                    &target.legend_format,
                    &differing,
                    &one.labels,
                    &target.ref_id,
                );
                let field = Field::of(panel, &by_query, &target.ref_id);
                let display_name = field
                    .display_name()
                    .map(|template| display(template, one, &by_query));
                Line {
                    name: display_name.unwrap_or(by_query),
                    labels: &one.labels,
                    values: on_steps(one, range),
                    field,
                }
            })
        })
        .take(most)
        .collect();
    (lines, all.saturating_sub(most))
}

/// The samples on the steps that they belong to.
pub(super) fn on_steps(series: &Series, range: Range) -> Vec<Option<f64>> {
    let mut values = vec![None; steps(range)];
    for (at, value) in &series.samples {
        let step = ((at - range.from) / range.step).round();
        if step >= 0.0
            && let Some(place) = values.get_mut(step as usize)
        {
            *place = Some(*value);
        }
    }
    values
}

/// The name of a series by the query's template. Without one: its values of the labels in which the query's series
/// differ.
fn name(template: &str, differing: &BTreeSet<&str>, labels: &Labels, otherwise: &str) -> String {
    let name = match template {
        "" | "__auto" => labels_as_name(differing, labels),
        template => fill(template, labels),
    };
    if name.trim().is_empty() {
        return labels
            .get("__name__")
            .cloned()
            .unwrap_or_else(|| otherwise.to_owned());
    }
    name
}

/// The labels in which some series differ.
fn differing(all: &[Series]) -> BTreeSet<&str> {
    let names: BTreeSet<&str> = all
        .iter()
        .flat_map(|one| one.labels.keys().map(String::as_str))
        .collect();
    let differs = |name: &&str| {
        let mut values = all.iter().map(|one| one.labels.get(*name));
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    names.into_iter().filter(differs).collect()
}

fn labels_as_name(differing: &BTreeSet<&str>, labels: &Labels) -> String {
    let parts: Vec<(&String, &String)> = labels
        .iter()
        .filter(|(name, _)| differing.contains(name.as_str()))
        .collect();
    if let [(_, value)] = parts.as_slice() {
        return (*value).clone();
    }
    let written: Vec<String> = parts
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    written.join(", ")
}

/// Fills in `{{label}}`; a label that the series lacks is empty, as in Grafana.
pub(super) fn fill(template: &str, labels: &Labels) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let Some((label, after)) = after.split_once("}}") else {
            text.push_str("{{");
            rest = after;
            continue;
        };
        text.push_str(labels.get(label.trim()).map_or("", String::as_str));
        rest = after;
    }
    text.push_str(rest);
    text
}

/// Fills in a display name's `${__field.labels.X}` and `${__series.name}`.
fn display(template: &str, series: &Series, by_query: &str) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        text.push_str(before);
        let Some((variable, after)) = after.split_once('}') else {
            text.push_str("${");
            rest = after;
            continue;
        };
        let label = variable.strip_prefix("__field.labels.");
        let value = label.and_then(|label| series.labels.get(label.trim_matches(['"', '[', ']'])));
        text.push_str(value.map_or(by_query, String::as_str));
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(labels: &[(&str, &str)], samples: &[(f64, f64)]) -> Series {
        Series {
            labels: labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            samples: samples.to_vec(),
        }
    }

    #[test]
    fn samples_go_to_their_steps_and_the_rest_stays_empty() {
        let range = Range {
            from: 100.0,
            to: 120.0,
            step: 5.0,
        };
        let one = series(
            &[],
            &[(100.0, 1.0), (105.0, 2.0), (120.0, 5.0), (900.0, 7.0)],
        );
        assert_eq!(
            on_steps(&one, range),
            [Some(1.0), Some(2.0), None, None, Some(5.0)]
        );
    }

    #[test]
    fn a_series_is_named_by_the_template_or_by_what_tells_it_apart() {
        let all = [
            series(&[("code", "200"), ("job", "chitram")], &[]),
            series(&[("code", "503"), ("job", "chitram")], &[]),
        ];
        let labels = &all[1].labels;
        let differing = differing(&all);
        let cases = [
            ("{{code}} of {{ job }}", "503 of chitram"),
            ("", "503"),
            ("__auto", "503"),
            ("{{missing}}", "A"),
            ("open {{", "open {{"),
        ];
        for (template, expected) in cases {
            assert_eq!(
                name(template, &differing, labels, "A"),
                expected,
                "{template}"
            );
        }
    }

    #[test]
    fn a_series_has_ended_if_later_steps_have_no_value() {
        let panel = Panel::default();
        let labels = Labels::new();
        let mut line = Line {
            name: String::new(),
            labels: &labels,
            values: vec![Some(1.0), None, Some(f64::NAN), Some(3.0), None],
            field: Field::of(&panel, "", "A"),
        };
        assert_eq!(line.ended(), Some(3));
        line.values.push(Some(1.0));
        assert_eq!(line.ended(), None);
    }
}
