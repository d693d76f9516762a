//! Axes: from values and times to places in a plot, and where the labels stand.
//!
//! A plot is a square of 1000 by 1000 that the style sheet stretches to the panel's size, so that one drawing serves every
//! width; labels are text outside of it, placed by percentages, so that they keep their size.

use report::scale::Scale;

use super::{line::steps, line::time_of, unit};
use crate::prometheus::Range;

/// Width and height of every plot in its own units.
pub(super) const SIDE: f64 = 1_000.0;
/// Values beyond this are not drawn: their differences are no numbers any more.
const LARGEST: f64 = 1e200;

/// A place along an axis with its text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// From the plot's top or left edge, in per cent.
    pub(super) percent: f64,
    /// What stands there.
    pub(super) text: String,
}

/// The axis of values.
#[derive(Clone, Debug)]
pub(super) struct ValueAxis {
    scale: Scale,
    /// From the lowest on.
    pub(super) ticks: Vec<Tick>,
}

/// What an axis of values has to show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent<'a> {
    /// The lowest and the highest value, if there is any.
    pub(super) values: Option<(f64, f64)>,
    /// Ends that the board sets.
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    /// Decades instead of equal steps.
    pub(super) logarithmic: bool,
    /// Grafana's identifier of the unit.
    pub(super) unit: &'a str,
    /// Decimal places that the board sets.
    pub(super) decimals: Option<usize>,
}

impl ValueAxis {
    /// An axis with about `most` labels. Values that are never below 0 begin at 0, so that heights can be compared.
    pub(super) fn new(extent: Extent, most: usize) -> Self {
        let (low, high) = extent.values.unwrap_or((0.0, 1.0));
        if extent.logarithmic && low > 0.0 {
            let scale = Scale::logarithmic(
                extent.min.filter(|min| *min > 0.0).unwrap_or(low),
                extent.max.unwrap_or(high),
                SIDE,
                0.0,
            );
            return Self::with(scale, scale.ticks(most), extent);
        }
        let natural = if low >= 0.0 && !unit::is_date(extent.unit) {
            0.0
        } else {
            low
        };
        let bottom = extent.min.unwrap_or(natural);
        let high = if high > bottom { high } else { bottom + 1.0 };
        let size = unit::tick_size(high.abs().max(bottom.abs()), extent.unit);
        let ticks: Vec<f64> =
            Scale::linear(bottom / size, extent.max.unwrap_or(high) / size, 0.0, 1.0)
                .ticks(most)
                .into_iter()
                .map(|tick| tick * size)
                .collect();
        // Up to the next tick, so that the highest value does not touch the edge.
        let next = match ticks.as_slice() {
            [.., before, last] if *last < high => last + (last - before),
            [.., last] => last.max(high),
            [] => high,
        };
        let top = extent.max.unwrap_or(next);
        let mut ticks = ticks;
        if extent.max.is_none() && ticks.last().is_some_and(|last| *last < top) {
            ticks.push(top);
        }
        Self::with(Scale::linear(bottom, top, SIDE, 0.0), ticks, extent)
    }

    fn with(scale: Scale, ticks: Vec<f64>, extent: Extent) -> Self {
        let ticks = ticks
            .into_iter()
            .map(|value| Tick {
                percent: scale.px(value) / SIDE * 100.0,
                text: unit::text(value, extent.unit, extent.decimals),
            })
            .collect();
        Self { scale, ticks }
    }

    /// Where a value lies, from the top.
    pub(super) fn y(&self, value: f64) -> f64 {
        self.scale.px(value)
    }
}

/// Whether a value has a place in a plot.
pub(super) fn is_drawable(value: f64) -> bool {
    value.abs() < LARGEST
}

/// The axis of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeAxis {
    range: Range,
}

impl TimeAxis {
    /// The axis of a range.
    pub(super) fn new(range: Range) -> Self {
        Self { range }
    }

    /// Where a moment (Unix seconds) lies, from the left; within the plot.
    pub(super) fn at(&self, seconds: f64) -> f64 {
        let length = (self.range.to - self.range.from).max(1e-3);
        ((seconds - self.range.from) / length * SIDE).clamp(0.0, SIDE)
    }

    /// Where a step lies.
    pub(super) fn x(&self, step: usize) -> f64 {
        self.at(time_of(self.range, step))
    }

    /// The left and right edge of what belongs to the steps from `first` to `last`, if a step is `width` of the distance
    /// between two of them; within the plot.
    pub(super) fn edges(&self, first: usize, last: usize, width: f64) -> (f64, f64) {
        let half = SIDE / (steps(self.range).max(2) - 1) as f64 / 2.0 * width;
        let within = |x: f64| x.clamp(0.0, SIDE);
        (within(self.x(first) - half), within(self.x(last) + half))
    }

    /// Round times of day (UTC), at most `most`.
    pub(super) fn ticks(&self, most: usize) -> Vec<Tick> {
        const LENGTHS: [f64; 22] = [
            1.0,
            2.0,
            5.0,
            10.0,
            15.0,
            30.0,
            60.0,
            120.0,
            300.0,
            600.0,
            900.0,
            1_800.0,
            3_600.0,
            7_200.0,
            10_800.0,
            21_600.0,
            43_200.0,
            86_400.0,
            172_800.0,
            604_800.0,
            1_209_600.0,
            2_592_000.0,
        ];
        let length = self.range.to - self.range.from;
        let Some(step) = LENGTHS
            .into_iter()
            .find(|step| length / step <= most as f64)
        else {
            return Vec::new();
        };
        let format = match (step, length) {
            (step, _) if step < 60.0 => "%H:%M:%S",
            (step, _) if step >= 86_400.0 => "%m-%d",
            (_, length) if length > 86_400.0 => "%m-%d %H:%M",
            _ => "%H:%M",
        };
        let first = (self.range.from / step).ceil() as i64;
        let last = (self.range.to / step).floor() as i64;
        (first..=last)
            .map(|n| n as f64 * step)
            .map(|seconds| Tick {
                percent: self.at(seconds) / SIDE * 100.0,
                text: unit::date(seconds, format),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.text.as_str()).collect()
    }

    fn extent(values: (f64, f64), unit: &str) -> Extent<'_> {
        Extent {
            values: Some(values),
            min: None,
            max: None,
            logarithmic: false,
            unit,
            decimals: None,
        }
    }

    #[test]
    fn labels_are_round_in_the_unit_that_people_read() {
        let cases: [(_, &str, &[&str]); 4] = [
            (
                (0.02, 0.31),
                "s",
                &["0 s", "100 ms", "200 ms", "300 ms", "400 ms"],
            ),
            (
                (10.0, 250.0),
                "s",
                &["0 s", "1 min", "2 min", "3 min", "4 min", "5 min"],
            ),
            (
                (0.0, 3.0e8),
                "bytes",
                &["0 B", "100 MiB", "200 MiB", "300 MiB"],
            ),
            (
                (0.0, 0.9),
                "percentunit",
                &["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"],
            ),
        ];
        for (values, unit, expected) in cases {
            let axis = ValueAxis::new(extent(values, unit), 5);
            assert_eq!(texts(&axis.ticks), expected, "{values:?} {unit}");
        }
    }

    #[test]
    fn the_ends_that_the_board_sets_are_kept() {
        let axis = ValueAxis::new(
            Extent {
                min: Some(0.9),
                max: Some(1.0),
                ..extent((0.95, 0.99), "percentunit")
            },
            5,
        );
        let near = |value: f64, y: f64| (axis.y(value) - y).abs() < 1e-6;
        assert!(near(0.9, SIDE) && near(1.0, 0.0) && near(0.95, SIDE / 2.0) && near(0.1, SIDE));
    }

    #[test]
    fn values_below_zero_and_no_values_at_all_have_an_axis() {
        let axis = ValueAxis::new(extent((-5.0, 5.0), ""), 5);
        assert!(axis.y(-5.0) > axis.y(0.0) && axis.y(0.0) > axis.y(5.0));
        let empty = ValueAxis::new(
            Extent {
                values: None,
                ..extent((0.0, 0.0), "s")
            },
            5,
        );
        assert!(empty.y(0.0).is_finite() && !empty.ticks.is_empty());
    }

    #[test]
    fn times_are_round_and_few() {
        let range = |from: f64, length: f64| Range {
            from,
            to: from + length,
            step: 5.0,
        };
        let axis = TimeAxis::new(range(1_796_000_410.0, 900.0));
        assert_eq!(texts(&axis.ticks(6)), ["01:05", "01:10", "01:15"]);
        assert_eq!(
            TimeAxis::new(range(1_796_000_400.0, 40.0)).ticks(6)[1].text,
            "01:00:10"
        );
        assert!(TimeAxis::new(range(0.0, 1e12)).ticks(6).is_empty());
    }
}
