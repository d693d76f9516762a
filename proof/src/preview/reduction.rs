//! One figure of a series, by the names that Grafana has for reductions.

/// How a series becomes one figure. What is no number is left out, unless the reduction takes one certain value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reduction {
    /// The value at the last step, if there is one.
    Last,
    /// The newest value.
    LastNotNull,
    /// The value at the first step, if there is one.
    First,
    /// The oldest value.
    FirstNotNull,
    Min,
    Max,
    Mean,
    Sum,
    /// Number of steps.
    Count,
    /// From the oldest to the newest value.
    Diff,
    /// From the least to the largest value.
    Range,
}

impl Reduction {
    /// By Grafana's name; `None` for one that is unknown here.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "last" => Self::Last,
            "lastNotNull" => Self::LastNotNull,
            "first" => Self::First,
            "firstNotNull" => Self::FirstNotNull,
            "min" => Self::Min,
            "max" => Self::Max,
            "mean" => Self::Mean,
            "sum" => Self::Sum,
            "count" => Self::Count,
            "diff" => Self::Diff,
            "range" => Self::Range,
            _ => return None,
        })
    }

    /// As Grafana heads a column of it.
    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::Last => "Last",
            Self::LastNotNull => "Last *",
            Self::First => "First",
            Self::FirstNotNull => "First *",
            Self::Min => "Min",
            Self::Max => "Max",
            Self::Mean => "Mean",
            Self::Sum => "Total",
            Self::Count => "Count",
            Self::Diff => "Difference",
            Self::Range => "Range",
        }
    }

    /// The figure; `None` for a series that has nothing to make it of.
    pub(super) fn of(self, values: &[Option<f64>]) -> Option<f64> {
        let numbers = || {
            values
                .iter()
                .copied()
                .flatten()
                .filter(|value| !value.is_nan())
        };
        let least = || numbers().reduce(f64::min);
        let largest = || numbers().reduce(f64::max);
        let sum = || numbers().reduce(|one, other| one + other);
        match self {
            Self::Last => values.last().copied().flatten(),
            Self::LastNotNull => values.iter().rev().copied().flatten().next(),
            Self::First => values.first().copied().flatten(),
            Self::FirstNotNull => numbers().next(),
            Self::Min => least(),
            Self::Max => largest(),
            Self::Mean => sum().map(|sum| sum / numbers().count() as f64),
            Self::Sum => sum(),
            Self::Count => Some(values.len() as f64),
            Self::Diff => Some(numbers().next_back()? - numbers().next()?),
            Self::Range => Some(largest()? - least()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_no_number_is_left_out() {
        let values = [Some(1.0), None, Some(f64::NAN), Some(3.0), None];
        let cases = [
            ("last", None),
            ("lastNotNull", Some(3.0)),
            ("first", Some(1.0)),
            ("mean", Some(2.0)),
            ("sum", Some(4.0)),
            ("max", Some(3.0)),
            ("diff", Some(2.0)),
            ("count", Some(5.0)),
        ];
        for (name, expected) in cases {
            let reduction = Reduction::named(name).expect(name);
            assert_eq!(reduction.of(&values), expected, "{name}");
            assert_eq!(Reduction::Mean.of(&[None, Some(f64::NAN)]), None);
        }
        assert_eq!(Reduction::named("variance"), None);
    }
}
