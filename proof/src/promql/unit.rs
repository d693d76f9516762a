//! The unit of an expression's result, found by calculating with units as the expression calculates with values.
//!
//! A rate divides by seconds; a quotient of equal units is a ratio; a factor such as 1000 is kept as a scale. Where a part
//! is not known the result is not known: a judgement needs every part.

use promql_parser::parser::{BinaryExpr, Call, Expr};

use super::types::{Base, Types};
use super::{bare, metric, selectors};

/// The unit of a result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// Nothing can be said.
    Unknown,
    /// A number of the expression itself; it takes the unit of what it is added to or compared with.
    Number(f64),
    /// A quantity.
    Quantity(Quantity),
}

/// Powers of seconds and bytes, with a scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantity {
    /// The power of seconds: 1 for a length of time, -1 for something a second.
    pub seconds: i8,
    /// The power of bytes.
    pub bytes: i8,
    /// What a number without seconds and bytes means.
    pub sense: Sense,
    /// By what the value was multiplied: 1000 for milliseconds, 100 for per cent.
    pub scale: f64,
}

/// What a number means that is neither time nor bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sense {
    /// A number of things.
    Count,
    /// A share of a whole.
    Share,
    /// True or false.
    Truth,
    /// A moment in seconds since 1970, not a length of time.
    Moment,
    /// A count or a share.
    Either,
}

impl Quantity {
    fn new(seconds: i8, bytes: i8, sense: Sense) -> Self {
        Self {
            seconds,
            bytes,
            sense,
            scale: 1.0,
        }
    }

    /// Whether it is a number without seconds and bytes.
    pub fn is_plain(&self) -> bool {
        self.seconds == 0 && self.bytes == 0
    }

    fn scaled(self, by: f64) -> Self {
        Self {
            scale: self.scale * by,
            ..self
        }
    }

    /// Per second. Seconds a second are a share: how much of the time.
    fn per_second(self) -> Self {
        let seconds = self.seconds - 1;
        let share = seconds == 0 && self.bytes == 0;
        Self {
            seconds,
            sense: if share { Sense::Either } else { self.sense },
            ..self
        }
    }
}

/// The unit of a series' value.
fn of_base(base: Base) -> Unit {
    Unit::Quantity(match base {
        Base::Seconds => Quantity::new(1, 0, Sense::Count),
        Base::Moment => Quantity::new(1, 0, Sense::Moment),
        Base::Bytes => Quantity::new(0, 1, Sense::Count),
        Base::Ratio => Quantity::new(0, 0, Sense::Share),
        Base::Truth => Quantity::new(0, 0, Sense::Truth),
        Base::Things => Quantity::new(0, 0, Sense::Count),
        Base::Frequency => Quantity::new(-1, 0, Sense::Count),
        Base::Unknown => return Unit::Unknown,
    })
}

/// The unit of an expression's result.
pub fn of(expr: &Expr, types: &Types) -> Unit {
    match expr {
        Expr::NumberLiteral(number) => Unit::Number(number.val),
        Expr::Paren(paren) => of(&paren.expr, types),
        Expr::Unary(unary) => of(&unary.expr, types),
        Expr::Subquery(subquery) => of(&subquery.expr, types),
        Expr::VectorSelector(selector) => of_metric(metric(selector), types),
        Expr::MatrixSelector(matrix) => of_metric(metric(&matrix.vs), types),
        Expr::Aggregate(aggregate) => {
            of_aggregation(&aggregate.op.to_string(), of(&aggregate.expr, types))
        }
        Expr::Call(call) => of_call(call, types),
        Expr::Binary(binary) => of_binary(binary, types),
        Expr::StringLiteral(_) | Expr::Extension(_) => Unit::Unknown,
    }
}

/// The unit along a heatmap's axis: that of one observation.
pub fn of_observations(expr: &Expr, types: &Types) -> Unit {
    of_observation(Some(expr), types)
}

fn of_metric(name: Option<&str>, types: &Types) -> Unit {
    name.map_or(Unit::Unknown, |name| of_base(types.series(name).base))
}

fn of_aggregation(operation: &str, of: Unit) -> Unit {
    let count = Unit::Quantity(Quantity::new(0, 0, Sense::Count));
    match (operation, of) {
        ("count" | "count_values", _) => count,
        ("group" | "stdvar", _) => Unit::Unknown,
        // How many are true; and, of an average, which share.
        ("sum", Unit::Quantity(truth)) if truth.sense == Sense::Truth => count,
        ("avg", Unit::Quantity(plain)) if plain.is_plain() => Unit::Quantity(Quantity {
            sense: Sense::Either,
            ..plain
        }),
        (_, same) => same,
    }
}

fn of_call(call: &Call, types: &Types) -> Unit {
    let args = &call.args.args;
    let arg = |at: usize| args.get(at).map_or(Unit::Unknown, |arg| of(arg, types));
    let plain = |sense| Unit::Quantity(Quantity::new(0, 0, sense));
    match call.func.name {
        "rate" | "irate" | "deriv" => match arg(0) {
            Unit::Quantity(quantity) => Unit::Quantity(quantity.per_second()),
            other => other,
        },
        "histogram_quantile" => of_observation(args.get(1).map(|arg| &**arg), types),
        "histogram_avg" | "histogram_stddev" => {
            of_observation(args.first().map(|arg| &**arg), types)
        }
        "histogram_fraction" => plain(Sense::Share),
        "histogram_count" | "count_over_time" | "changes" | "resets" => plain(Sense::Count),
        "absent" | "absent_over_time" | "present_over_time" => plain(Sense::Truth),
        "time" | "timestamp" => of_base(Base::Moment),
        "vector" | "scalar" | "abs" | "ceil" | "floor" | "round" | "clamp" | "clamp_max"
        | "clamp_min" | "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc"
        | "label_replace" | "label_join" | "increase" | "delta" | "idelta" | "avg_over_time"
        | "min_over_time" | "max_over_time" | "sum_over_time" | "last_over_time"
        | "first_over_time" | "stddev_over_time" | "predict_linear" => arg(0),
        "quantile_over_time" => arg(1),
        _ => Unit::Unknown,
    }
}

/// A quantile has the unit of one observation, however often a second they come.
fn of_observation(buckets: Option<&Expr>, types: &Types) -> Unit {
    let mut found = None;
    for name in buckets.into_iter().flat_map(selectors).filter_map(metric) {
        let base = types.observation(name);
        if found.is_some_and(|before| before != base) {
            return Unit::Unknown;
        }
        found = Some(base);
    }
    found.map_or(Unit::Unknown, of_base)
}

fn of_binary(binary: &BinaryExpr, types: &Types) -> Unit {
    let left = of(bare(&binary.lhs), types);
    let right = of(bare(&binary.rhs), types);
    let operator = binary.op.to_string();
    if binary.op.is_comparison_operator() {
        return if binary.return_bool() {
            Unit::Quantity(Quantity::new(0, 0, Sense::Truth))
        } else {
            left
        };
    }
    match operator.as_str() {
        "*" => multiplied(left, right),
        "/" => divided(left, right),
        "+" => added(left, right),
        "-" => subtracted(left, right),
        "%" | "and" | "unless" => left,
        "or" => match (left, right) {
            (Unit::Unknown | Unit::Number(_), right) => right,
            (left, _) => left,
        },
        _ => Unit::Unknown,
    }
}

fn multiplied(left: Unit, right: Unit) -> Unit {
    match (left, right) {
        (Unit::Number(one), Unit::Number(other)) => Unit::Number(one * other),
        (Unit::Number(by), Unit::Quantity(quantity))
        | (Unit::Quantity(quantity), Unit::Number(by)) => Unit::Quantity(quantity.scaled(by)),
        (Unit::Quantity(one), Unit::Quantity(other)) => {
            // `x * on (...) group_left (...) y_info`: 1 as a factor changes no unit.
            let (kept, factor) = match (one.sense, other.sense) {
                (Sense::Truth, _) => (other, one),
                _ => (one, other),
            };
            let sense = match (kept.sense, factor.sense) {
                (sense, Sense::Truth | Sense::Share) | (Sense::Share, sense) => sense,
                _ => Sense::Either,
            };
            Unit::Quantity(Quantity {
                seconds: one.seconds + other.seconds,
                bytes: one.bytes + other.bytes,
                sense,
                scale: one.scale * other.scale,
            })
        }
        _ => Unit::Unknown,
    }
}

fn divided(left: Unit, right: Unit) -> Unit {
    match (left, right) {
        (Unit::Number(one), Unit::Number(other)) => Unit::Number(one / other),
        (Unit::Quantity(quantity), Unit::Number(by)) => Unit::Quantity(quantity.scaled(1.0 / by)),
        (Unit::Quantity(one), Unit::Quantity(other)) => Unit::Quantity(Quantity {
            seconds: one.seconds - other.seconds,
            bytes: one.bytes - other.bytes,
            sense: Sense::Either,
            scale: one.scale / other.scale,
        }),
        _ => Unit::Unknown,
    }
}

fn added(left: Unit, right: Unit) -> Unit {
    match (left, right) {
        (Unit::Number(one), Unit::Number(other)) => Unit::Number(one + other),
        (Unit::Number(_), Unit::Quantity(quantity))
        | (Unit::Quantity(quantity), Unit::Number(_)) => Unit::Quantity(quantity),
        (Unit::Quantity(one), Unit::Quantity(other)) if like(&one, &other) => {
            let moment = [one.sense, other.sense].contains(&Sense::Moment);
            let sense = if moment { Sense::Moment } else { one.sense };
            Unit::Quantity(Quantity { sense, ..one })
        }
        _ => Unit::Unknown,
    }
}

/// As a sum, but a moment from a moment leaves a length of time.
fn subtracted(left: Unit, right: Unit) -> Unit {
    match (left, right) {
        (Unit::Quantity(one), Unit::Quantity(other))
            if one.sense == Sense::Moment && other.sense == Sense::Moment && like(&one, &other) =>
        {
            Unit::Quantity(Quantity {
                sense: Sense::Count,
                ..one
            })
        }
        (Unit::Number(one), Unit::Number(other)) => Unit::Number(one - other),
        _ => added(left, right),
    }
}

/// Whether two quantities can be added.
fn like(one: &Quantity, other: &Quantity) -> bool {
    one.seconds == other.seconds
        && one.bytes == other.bytes
        && (one.scale / other.scale - 1.0).abs() < 0.01
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn types() -> Types {
        let mut types = Types::default();
        types.declare("lat_seconds", "histogram", "s");
        types.declare("errors_total", "counter", "");
        types.declare("requests_total", "counter", "");
        types.declare("in_use", "gauge", "threads");
        types.declare("limit", "gauge", "threads");
        types
    }

    #[test]
    fn units_are_calculated_as_values_are() {
        let types = types();
        for (text, seconds, bytes, sense, scale) in [
            ("rate(requests_total[5m])", -1, 0, Sense::Count, 1.0),
            ("sum(increase(requests_total[5m]))", 0, 0, Sense::Count, 1.0),
            ("rate(lat_seconds_sum[5m])", 0, 0, Sense::Either, 1.0),
            (
                "rate(lat_seconds_sum[5m]) / rate(lat_seconds_count[5m])",
                1,
                0,
                Sense::Either,
                1.0,
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(lat_seconds_bucket[5m]))) * 1000",
                1,
                0,
                Sense::Count,
                1000.0,
            ),
            (
                "100 * (1 - sum(rate(errors_total[5m])) / sum(rate(requests_total[5m])))",
                0,
                0,
                Sense::Either,
                100.0,
            ),
            (
                "time() - process_start_time_seconds",
                1,
                0,
                Sense::Count,
                1.0,
            ),
            (
                "process_start_time_seconds * 1000",
                1,
                0,
                Sense::Moment,
                1000.0,
            ),
            ("rate(net_bytes_total[5m]) * 8", -1, 1, Sense::Count, 8.0),
            (
                "rate(process_cpu_seconds_total[5m])",
                0,
                0,
                Sense::Either,
                1.0,
            ),
            ("in_use / limit", 0, 0, Sense::Either, 1.0),
            (
                "sum(rate(errors_total[5m])) or vector(0)",
                -1,
                0,
                Sense::Count,
                1.0,
            ),
            ("in_use > bool 5", 0, 0, Sense::Truth, 1.0),
            (
                "errors_total / rate(lat_seconds_sum[5m])",
                0,
                0,
                Sense::Either,
                1.0,
            ),
            (
                "rate(errors_total[5m]) / rate(lat_seconds_sum[5m])",
                -1,
                0,
                Sense::Either,
                1.0,
            ),
        ] {
            let expected = Unit::Quantity(Quantity {
                seconds,
                bytes,
                sense,
                scale,
            });
            assert_eq!(of(&parse(text).unwrap(), &types), expected, "{text}");
        }
    }

    #[test]
    fn what_has_an_unknown_part_is_unknown() {
        for text in [
            "mystery",
            "rate(mystery[5m])",
            "mystery / in_use",
            "sqrt(in_use)",
        ] {
            assert_eq!(of(&parse(text).unwrap(), &types()), Unit::Unknown, "{text}");
        }
    }
}
