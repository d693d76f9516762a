//! Events of a board's annotations: regions such as a fault or a load run, and moments such as a deployment.

use super::{
    colour,
    line::{fill, on_steps, time_of},
    unit,
    view::EventView,
};
use crate::prometheus::{Range, Series};

/// Events drawn at most for one annotation; more would be a curtain.
const MOST: usize = 200;

/// The events of one annotation.
#[derive(Clone, Debug)]
pub(super) struct Events {
    /// The annotation's name.
    pub(super) name: String,
    /// Their colour as CSS.
    pub(super) colour: String,
    /// In no particular order.
    pub(super) all: Vec<Event>,
    /// Events beyond those that are drawn.
    pub(super) left_out: usize,
    /// The server's sentence, if it refused the query.
    pub(super) error: Option<String>,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    /// Unix seconds.
    pub(super) from: f64,
    /// Unix seconds; the same as `from` for a moment.
    pub(super) to: f64,
    /// What happened.
    pub(super) label: String,
}

impl Event {
    /// When it was, for people.
    pub(super) fn time(&self) -> String {
        let from = unit::date(self.from, "%H:%M:%S");
        if self.is_moment() {
            from
        } else {
            format!("{from} to {}", unit::date(self.to, "%H:%M:%S"))
        }
    }

    /// Whether it has no length: it is drawn as a line.
    pub(super) fn is_moment(&self) -> bool {
        self.to <= self.from
    }
}

/// The events of an annotation. As in Grafana, steps in a row at which the value is not 0 are one event.
pub(super) fn events(view: &EventView, range: Range) -> Events {
    let (mut found, error) = match &view.result {
        Ok(series) => (
            series
                .iter()
                .flat_map(|one| of_series(view, one, range))
                .collect(),
            None,
        ),
        Err(sentence) => (Vec::new(), Some(sentence.clone())),
    };
    let left_out = found.len().saturating_sub(MOST);
    found.truncate(MOST);
    Events {
        name: view.name.clone(),
        colour: colour::css(&view.colour).unwrap_or_else(|| "var(--fault)".to_owned()),
        all: found,
        left_out,
        error,
    }
}

fn of_series(view: &EventView, series: &Series, range: Range) -> Vec<Event> {
    let label = label(view, series);
    let values = on_steps(series, range);
    let is_on = |value: &Option<f64>| value.is_some_and(|value| value != 0.0 && !value.is_nan());
    let mut events: Vec<Event> = Vec::new();
    let mut was_on = false;
    for (step, value) in values.iter().enumerate() {
        let now = time_of(range, step);
        let on = is_on(value);
        match events.last_mut() {
            Some(event) if on && was_on => event.to = now,
            _ if on => events.push(Event {
                from: now,
                to: now,
                label: label.clone(),
            }),
            _ => {}
        }
        was_on = on;
    }
    events
}

/// By the annotation's template; without one, the values of the series' labels that are not about the scrape.
fn label(view: &EventView, series: &Series) -> String {
    let label = if view.title.is_empty() {
        let own: Vec<&str> = series
            .labels
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "__name__" | "instance" | "job"))
            .map(|(_, value)| value.as_str())
            .collect();
        own.join(", ")
    } else {
        fill(&view.title, &series.labels)
    };
    if label.trim().is_empty() {
        view.name.clone()
    } else {
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_in_a_row_are_one_event_and_a_single_step_is_a_moment() {
        let range = Range {
            from: 0.0,
            to: 50.0,
            step: 10.0,
        };
        let samples = vec![
            (0.0, 1.0),
            (10.0, 1.0),
            (20.0, 0.0),
            (30.0, 1.0),
            (50.0, f64::NAN),
        ];
        let labels = [("experiment".to_owned(), "store-slow".to_owned())].into();
        let view = EventView {
            name: "Faults".to_owned(),
            colour: "orange".to_owned(),
            title: "{{experiment}}".to_owned(),
            result: Ok(vec![Series { labels, samples }]),
        };
        let found = events(&view, range);
        let event = |from, to| Event {
            from,
            to,
            label: "store-slow".to_owned(),
        };
        assert_eq!(found.all, [event(0.0, 10.0), event(30.0, 30.0)]);
        assert!(found.all[1].is_moment());
    }
}
