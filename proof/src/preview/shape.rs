//! From series to shapes: stacks, runs without a gap, and the paths of lines, areas, bars and dots.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use super::{
    axis::{TimeAxis, ValueAxis, is_drawable},
    line::Line,
};

/// The outline of a series: from `base` to `top` at each step.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// What the series stands on: 0, or the series below it in its stack.
    pub(super) base: Vec<f64>,
    /// Where it reaches; `None` where it has no value that can be drawn.
    pub(super) top: Vec<Option<f64>>,
}

/// Which series are put on one another: those of the same unit and group.
type StackKey = (String, String);

/// The outlines of all series, stacked where the board says so. Values below 0 are stacked downwards.
pub(super) fn shapes(lines: &[Line]) -> Vec<Shape> {
    let totals = totals(lines);
    let mut reached: BTreeMap<StackKey, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    lines
        .iter()
        .map(|line| {
            let values = line
                .values
                .iter()
                .map(|value| value.filter(|value| is_drawable(*value)));
            let length = line.values.len();
            let Some((key, is_share)) = stack_of(line) else {
                return Shape {
                    base: vec![0.0; length],
                    top: values.collect(),
                };
            };
            let total = totals.get(&key);
            let (up, down) = reached
                .entry(key)
                .or_insert_with(|| (vec![0.0; length], vec![0.0; length]));
            let mut shape = Shape {
                base: Vec::with_capacity(length),
                top: Vec::with_capacity(length),
            };
            for (step, value) in values.enumerate() {
                let value = match (value, is_share) {
                    (Some(value), true) => share(value, total.map_or(0.0, |total| total[step])),
                    (value, _) => value,
                };
                let level = if value.is_some_and(|value| value < 0.0) {
                    &mut down[step]
                } else {
                    &mut up[step]
                };
                shape.base.push(*level);
                shape.top.push(value.map(|value| *level + value));
                *level += value.unwrap_or(0.0);
            }
            shape
        })
        .collect()
}

/// The stack that a series belongs to, and whether it is one of shares.
fn stack_of(line: &Line) -> Option<(StackKey, bool)> {
    let stacking = line.field.custom("stacking");
    let group = stacking["group"].as_str().unwrap_or_default().to_owned();
    let key = (line.field.unit.clone(), group);
    match stacking["mode"].as_str()? {
        "normal" => Some((key, false)),
        "percent" => Some((key, true)),
        _ => None,
    }
}

/// The sum of each stack at each step.
fn totals(lines: &[Line]) -> BTreeMap<StackKey, Vec<f64>> {
    let mut totals: BTreeMap<StackKey, Vec<f64>> = BTreeMap::new();
    for line in lines {
        if let Some((key, _)) = stack_of(line) {
            let total = totals
                .entry(key)
                .or_insert_with(|| vec![0.0; line.values.len()]);
            for (sum, value) in total.iter_mut().zip(&line.values) {
                *sum += value.filter(|value| is_drawable(*value)).unwrap_or(0.0);
            }
        }
    }
    totals
}

/// A share of nothing is no value.
fn share(value: f64, total: f64) -> Option<f64> {
    (total != 0.0).then(|| value / total)
}

/// How far values may be apart and still be joined by a line: `spanNulls` of the board, in steps.
pub(super) fn bridge(span_nulls: &Value, step_s: f64) -> usize {
    match span_nulls {
        Value::Bool(true) => usize::MAX,
        Value::Number(milliseconds) => {
            let length = milliseconds.as_f64().unwrap_or(0.0) / 1e3 / step_s;
            length.clamp(1.0, 1e9) as usize
        }
        _ => 1,
    }
}

/// The parts of an outline that have no gap longer than `bridge` steps: the steps with a value.
pub(super) fn runs(shape: &Shape, bridge: usize) -> Vec<Vec<usize>> {
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for step in (0..shape.top.len()).filter(|step| shape.top[*step].is_some()) {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| step - last <= bridge) => run.push(step),
            _ => runs.push(vec![step]),
        }
    }
    runs
}

/// Between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interpolation {
    Straight,
    StepAfter,
    StepBefore,
}

/// Draws outlines on a pair of axes.
#[derive(Clone, Copy)]
pub(super) struct Pen<'a> {
    pub(super) x: TimeAxis,
    pub(super) y: &'a ValueAxis,
    pub(super) interpolation: Interpolation,
}

impl Pen<'_> {
    /// The line along the top of each run. A value without neighbours is a dot: a line without length and round ends.
    pub(super) fn line(&self, shape: &Shape, runs: &[Vec<usize>]) -> String {
        let mut path = String::new();
        for run in runs {
            self.edge(&mut path, 'M', run, |step| {
                shape.top[step].unwrap_or_default()
            });
            if run.len() == 1 {
                path.push_str("h0");
            }
        }
        path
    }

    /// The area between top and base of each run.
    pub(super) fn area(&self, shape: &Shape, runs: &[Vec<usize>]) -> String {
        let mut path = String::new();
        for run in runs.iter().filter(|run| run.len() > 1) {
            self.edge(&mut path, 'M', run, |step| {
                shape.top[step].unwrap_or_default()
            });
            let back: Vec<usize> = run.iter().rev().copied().collect();
            let backwards = Pen {
                interpolation: self.interpolation.backwards(),
                ..*self
            };
            backwards.edge(&mut path, 'L', &back, |step| shape.base[step]);
            path.push('Z');
        }
        path
    }

    /// A bar for each value, as wide as six tenths of a step.
    pub(super) fn bars(&self, shape: &Shape) -> String {
        let bar = |step: usize, top: f64| {
            let (left, right) = self.x.edges(step, step, 0.6);
            let (base, top) = (px(self.y.y(shape.base[step])), px(self.y.y(top)));
            format!("M{} {base}V{top}H{}V{base}Z", px(left), px(right))
        };
        (shape.top.iter().enumerate())
            .filter_map(|(step, top)| Some(bar(step, (*top)?)))
            .collect()
    }

    /// A dot for each value.
    pub(super) fn dots(&self, shape: &Shape) -> String {
        let mut path = String::new();
        for (step, top) in shape.top.iter().enumerate() {
            if let Some(top) = top {
                let _ = write!(path, "M{} {}h0", px(self.x.x(step)), px(self.y.y(*top)));
            }
        }
        path
    }

    fn edge(&self, path: &mut String, begin: char, steps: &[usize], value: impl Fn(usize) -> f64) {
        for (place, step) in steps.iter().enumerate() {
            let (x, y) = (px(self.x.x(*step)), px(self.y.y(value(*step))));
            let _ = match (place, self.interpolation) {
                (0, _) => write!(path, "{begin}{x} {y}"),
                (_, Interpolation::Straight) => write!(path, "L{x} {y}"),
                (_, Interpolation::StepAfter) => write!(path, "H{x}V{y}"),
                (_, Interpolation::StepBefore) => write!(path, "V{y}H{x}"),
            };
        }
    }
}

impl Interpolation {
    /// By the board's word for it.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "stepAfter" => Self::StepAfter,
            "stepBefore" => Self::StepBefore,
            _ => Self::Straight,
        }
    }

    fn backwards(self) -> Self {
        match self {
            Self::Straight => Self::Straight,
            Self::StepAfter => Self::StepBefore,
            Self::StepBefore => Self::StepAfter,
        }
    }
}

/// One decimal, and none where it is 0: a tenth of a thousandth of the plot is finer than a pixel.
pub(super) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        boards::model::Panel,
        preview::{axis::Extent, field::Field},
        prometheus::{Labels, Range},
    };
    use serde_json::json;

    fn drawn(stacking: &str, all: &[&[Option<f64>]]) -> Vec<Shape> {
        let panel: Panel = serde_json::from_value(json!({
            "fieldConfig": {"defaults": {"custom": {"stacking": {"mode": stacking}}}}
        }))
        .unwrap();
        let labels = Labels::new();
        let lines: Vec<Line> = all
            .iter()
            .map(|values| Line {
                name: String::new(),
                labels: &labels,
                values: values.to_vec(),
                field: Field::of(&panel, "", "A"),
            })
            .collect();
        shapes(&lines)
    }

    #[test]
    fn a_stack_adds_up_and_a_missing_value_adds_nothing() {
        let shapes = drawn(
            "normal",
            &[
                &[Some(1.0), None, Some(3.0)],
                &[Some(2.0), Some(4.0), Some(-1.0)],
            ],
        );
        assert_eq!(shapes[0].top, [Some(1.0), None, Some(3.0)]);
        assert_eq!(shapes[1].base, [1.0, 0.0, 0.0]);
        assert_eq!(shapes[1].top, [Some(3.0), Some(4.0), Some(-1.0)]);
    }

    #[test]
    fn shares_of_a_stack_reach_1_and_a_share_of_nothing_is_a_gap() {
        let shapes = drawn(
            "percent",
            &[&[Some(1.0), Some(0.0)], &[Some(3.0), Some(0.0)]],
        );
        assert_eq!(shapes[0].top, [Some(0.25), None]);
        assert_eq!(shapes[1].top, [Some(1.0), None]);
    }

    #[test]
    fn what_is_no_number_is_a_gap() {
        let shapes = drawn(
            "none",
            &[&[Some(1.0), Some(f64::NAN), Some(f64::INFINITY), Some(2.0)]],
        );
        assert_eq!(shapes[0].top, [Some(1.0), None, None, Some(2.0)]);
    }

    #[test]
    fn gaps_part_the_runs_unless_the_board_bridges_them() {
        let shape = Shape {
            base: vec![0.0; 6],
            top: vec![Some(1.0), Some(2.0), None, Some(3.0), None, None],
        };
        assert_eq!(
            runs(&shape, bridge(&json!(false), 5.0)),
            [vec![0, 1], vec![3]]
        );
        assert_eq!(runs(&shape, bridge(&json!(true), 5.0)), [vec![0, 1, 3]]);
        assert_eq!(runs(&shape, bridge(&json!(10_000), 5.0)), [vec![0, 1, 3]]);
        assert_eq!(runs(&shape, bridge(&json!(5_000), 5.0)).len(), 2);
    }

    #[test]
    fn paths_begin_anew_after_a_gap_and_a_lone_value_is_a_dot() {
        let y = ValueAxis::new(
            Extent {
                values: Some((0.0, 10.0)),
                min: Some(0.0),
                max: Some(10.0),
                logarithmic: false,
                unit: "",
                decimals: None,
            },
            5,
        );
        let pen = Pen {
            x: TimeAxis::new(Range {
                from: 0.0,
                to: 40.0,
                step: 10.0,
            }),
            y: &y,
            interpolation: Interpolation::Straight,
        };
        let shape = Shape {
            base: vec![0.0; 5],
            top: vec![Some(0.0), Some(5.0), None, Some(10.0), None],
        };
        let runs = runs(&shape, 1);
        assert_eq!(pen.line(&shape, &runs), "M0 1000L250 500M750 0h0");
        assert_eq!(pen.area(&shape, &runs), "M0 1000L250 500L250 1000L0 1000Z");
        assert_eq!(pen.dots(&shape), "M0 1000h0M250 500h0M750 0h0");
        assert!(
            pen.bars(&shape)
                .starts_with("M0 1000V1000H75V1000ZM175 1000V500H325V1000Z")
        );
        let steps = Pen {
            interpolation: Interpolation::StepAfter,
            ..pen
        };
        assert_eq!(steps.line(&shape, &runs), "M0 1000H250V500M750 0h0");
        assert_eq!(
            steps.area(&shape, &runs),
            "M0 1000H250V500L250 1000V1000H0Z"
        );
    }
}
