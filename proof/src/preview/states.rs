//! States over time: a row for each series, a segment for each value that lasted.

use maud::{Markup, html};

use super::{
    axis::{SIDE, TimeAxis},
    chart::Chart,
    colour,
    line::{Line, time_of},
    plot,
    shape::px,
    unit,
};

/// Segments of a row at most.
const MOST: usize = 200;
/// Segments named in a row's description.
const DESCRIBED: usize = 12;

/// A value that lasted.
#[derive(Debug, PartialEq)]
struct State {
    text: String,
    colour: String,
    /// First step.
    first: usize,
    /// The step after its last.
    end: usize,
}

/// The panel.
pub(super) fn states(chart: &Chart) -> Markup {
    let x = TimeAxis::new(chart.range);
    let mut texts: Vec<String> = Vec::new();
    html! {
        div.states {
            @for line in &chart.lines {
                @let (states, left_out) = of_line(line, &mut texts);
                span.name { (line.name) }
                div.lane role="img" aria-label=(described(line, &states, chart)) {
                    svg viewBox=(format!("0 0 {SIDE} {SIDE}")) preserveAspectRatio="none" { (plot::events(chart.events, x)) }
                    @for state in &states { (segment(state, chart, x)) }
                    @if left_out > 0 { span.quiet { (left_out) " more changes" } }
                }
            }
            span {}
            div.axis.time aria-hidden="true" {
                @for tick in x.ticks(8) { span style=(format!("left:{}%", px(tick.percent))) { (tick.text) } }
            }
        }
    }
}

fn segment(state: &State, chart: &Chart, x: TimeAxis) -> Markup {
    let (left, right) = (x.x(state.first), x.x(state.end));
    let style = format!(
        "left:{}%;width:{}%;--c:{}",
        px(left / SIDE * 100.0),
        px(((right - left) / SIDE * 100.0).max(0.2)),
        state.colour
    );
    html! { span.state style=(style) title=(when(state, chart)) { (state.text) } }
}

fn when(state: &State, chart: &Chart) -> String {
    let at = |step: usize| unit::date(time_of(chart.range, step).min(chart.range.to), "%H:%M:%S");
    format!(
        "{} from {} to {}",
        state.text,
        at(state.first),
        at(state.end)
    )
}

/// Equal values in a row are one state, as they are written. `texts` are those that have a colour by their order.
fn of_line(line: &Line, texts: &mut Vec<String>) -> (Vec<State>, usize) {
    let mut states: Vec<State> = Vec::new();
    let mut left_out = 0;
    for (step, value) in line.values.iter().enumerate() {
        let Some(value) = *value else { continue };
        let text = line.field.text(value);
        if let Some(state) = states.last_mut()
            && state.end == step
            && state.text == text
        {
            state.end = step + 1;
        } else if states.len() == MOST {
            left_out += 1;
        } else {
            let colour = line
                .field
                .colour(value)
                .unwrap_or_else(|| by_order(&text, texts));
            states.push(State {
                text,
                colour,
                first: step,
                end: step + 1,
            });
        }
    }
    (states, left_out)
}

fn by_order(text: &str, texts: &mut Vec<String>) -> String {
    let known = texts.iter().position(|known| known == text);
    let place = known.unwrap_or_else(|| {
        texts.push(text.to_owned());
        texts.len() - 1
    });
    colour::of_series(place)
}

fn described(line: &Line, states: &[State], chart: &Chart) -> String {
    let named: Vec<String> = states
        .iter()
        .take(DESCRIBED)
        .map(|state| when(state, chart))
        .collect();
    let more = match states.len().saturating_sub(DESCRIBED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("{}: {}{more}", line.name, named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{boards::model::Panel, preview::field::Field, prometheus::Labels};
    use serde_json::json;

    #[test]
    fn equal_values_in_a_row_are_one_state_and_a_gap_ends_it() {
        let panel: Panel = serde_json::from_value(json!({"fieldConfig": {"defaults": {"mappings": [
            {"type": "value", "options": {"0": {"text": "closed", "color": "green"}, "1": {"text": "open", "color": "red"}}}
        ]}}}))
        .unwrap();
        let labels = Labels::new();
        let line = Line {
            name: "store".to_owned(),
            labels: &labels,
            values: vec![Some(0.0), Some(0.0), Some(1.0), None, Some(1.0)],
            field: Field::of(&panel, "store", "A"),
        };
        let (states, left_out) = of_line(&line, &mut Vec::new());
        let seen: Vec<_> = states
            .iter()
            .map(|state| (state.text.as_str(), state.first, state.end))
            .collect();
        assert_eq!(seen, [("closed", 0, 2), ("open", 2, 3), ("open", 4, 5)]);
        assert_eq!(states[1].colour, "var(--red)");
        assert_eq!(left_out, 0);
    }
}
