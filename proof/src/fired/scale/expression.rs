//! One PromQL expression with time scaled: in its tree, never in its text.

use std::time::Duration;

use promql_parser::label::Matcher;
use promql_parser::parser::{Expr, Offset, VectorSelector};

use super::length::{Scale, text};
use crate::promql;

/// An expression in scaled time.
#[derive(Debug)]
pub(crate) struct Scaled {
    /// As PromQL writes it.
    pub(crate) text: String,
    /// Numbers of `literals` that the expression does not hold.
    pub(crate) unused: Vec<f64>,
}

/// Scales ranges, subqueries with their steps, offsets, and the numbers that `literals` lists. The result, parsed back, is
/// compared with the original: everything but lengths and listed numbers is equal. The error is a sentence.
pub(crate) fn scaled(original: &Expr, scale: Scale, literals: &[f64]) -> Result<Scaled, String> {
    let mut changed = original.clone();
    let mut unused = literals.to_vec();
    visit(&mut changed, &mut |part| {
        match part {
            Part::Length(length) => *length = scale.length(*length),
            Part::Number(number) => {
                unused.retain(|listed| listed.total_cmp(number).is_ne());
                if literals.contains(number) {
                    *number /= scale.by();
                }
            }
            Part::Matchers(_) => {}
            Part::Moment => {
                return Err(
                    "`@` names a moment, which can't be scaled; write the expression without it"
                        .to_owned(),
                );
            }
        }
        Ok(())
    })?;
    let text = changed.to_string();
    let back = promql::parse(&text)
        .map_err(|error| format!("the scaled expression `{text}` can't be parsed: {error}"))?;
    compare(original, &back, scale, literals).map_err(|difference| {
        format!(
            "the scaled expression `{text}` is not the original with other lengths: {difference}"
        )
    })?;
    Ok(Scaled { text, unused })
}

/// What scaling looks at in an expression.
enum Part<'e> {
    /// A range, a step, an offset without its sign.
    Length(&'e mut Duration),
    /// A number.
    Number(&'e mut f64),
    /// What a selector selects by.
    Matchers(&'e mut [Matcher]),
    /// `@` and what follows.
    Moment,
}

type Visit<'v> = &'v mut dyn FnMut(Part<'_>) -> Result<(), String>;

/// Visits every length and number, in the order of the tree.
fn visit(expr: &mut Expr, with: Visit<'_>) -> Result<(), String> {
    match expr {
        Expr::NumberLiteral(number) => with(Part::Number(&mut number.val)),
        Expr::VectorSelector(selector) => of_selector(selector, with),
        Expr::MatrixSelector(matrix) => {
            with(Part::Length(&mut matrix.range))?;
            of_selector(&mut matrix.vs, with)
        }
        Expr::Subquery(subquery) => {
            with(Part::Length(&mut subquery.range))?;
            if let Some(step) = &mut subquery.step {
                with(Part::Length(step))?;
            }
            of_offset(&mut subquery.offset, with)?;
            if subquery.at.is_some() {
                with(Part::Moment)?;
            }
            visit(&mut subquery.expr, with)
        }
        Expr::Aggregate(aggregate) => {
            if let Some(parameter) = &mut aggregate.param {
                visit(parameter, with)?;
            }
            visit(&mut aggregate.expr, with)
        }
        Expr::Unary(unary) => visit(&mut unary.expr, with),
        Expr::Paren(paren) => visit(&mut paren.expr, with),
        Expr::Binary(binary) => {
            visit(&mut binary.lhs, with)?;
            visit(&mut binary.rhs, with)
        }
        Expr::Call(call) => {
            for argument in &mut call.args.args {
                visit(argument, with)?;
            }
            Ok(())
        }
        Expr::StringLiteral(_) | Expr::Extension(_) => Ok(()),
    }
}

fn of_selector(selector: &mut VectorSelector, with: Visit<'_>) -> Result<(), String> {
    of_offset(&mut selector.offset, with)?;
    with(Part::Matchers(&mut selector.matchers.matchers))?;
    match selector.at {
        Some(_) => with(Part::Moment),
        None => Ok(()),
    }
}

fn of_offset(offset: &mut Option<Offset>, with: Visit<'_>) -> Result<(), String> {
    match offset {
        Some(Offset::Pos(length) | Offset::Neg(length)) => with(Part::Length(length)),
        None => Ok(()),
    }
}

/// Compares everything but lengths and numbers as trees, and those one by one.
fn compare(original: &Expr, back: &Expr, scale: Scale, literals: &[f64]) -> Result<(), String> {
    let (before, after) = (Blank::of(original)?, Blank::of(back)?);
    if before.rest != after.rest {
        return Err("another tree".to_owned());
    }
    if before.lengths.len() != after.lengths.len() || before.numbers.len() != after.numbers.len() {
        return Err("another number of lengths or literals".to_owned());
    }
    for (before, after) in before.lengths.iter().zip(&after.lengths) {
        if scale.length(*before) != *after {
            return Err(format!("{} became {}", text(*before), text(*after)));
        }
    }
    for (before, after) in before.numbers.iter().zip(&after.numbers) {
        let expected = if literals.contains(before) {
            before / scale.by()
        } else {
            *before
        };
        if expected.total_cmp(after).is_ne() {
            return Err(format!("{before} became {after}"));
        }
    }
    Ok(())
}

/// An expression taken apart: its lengths, its numbers, and the tree without them.
struct Blank {
    lengths: Vec<Duration>,
    numbers: Vec<f64>,
    rest: Expr,
}

impl Blank {
    fn of(expr: &Expr) -> Result<Self, String> {
        let (mut lengths, mut numbers) = (Vec::new(), Vec::new());
        let mut rest = expr.clone();
        visit(&mut rest, &mut |part| {
            match part {
                Part::Length(length) => {
                    lengths.push(std::mem::replace(length, Duration::from_secs(1)));
                }
                Part::Number(number) => numbers.push(std::mem::replace(number, 0.0)),
                // They are written in the order of their names, which means the same.
                Part::Matchers(matchers) => matchers.sort_by_cached_key(ToString::to_string),
                Part::Moment => {}
            }
            Ok(())
        })?;
        Ok(Self {
            lengths,
            numbers,
            rest,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_60(text: &str, literals: &[f64]) -> Result<Scaled, String> {
        scaled(
            &promql::parse(text).unwrap(),
            Scale::parse("60").unwrap(),
            literals,
        )
    }

    #[test]
    fn every_kind_of_length_is_scaled_and_nothing_else() {
        for (before, after) in [
            ("rate(x[5m])", "rate(x[5s])"),
            ("x offset 1h", "x offset 1m"),
            ("x offset -1h", "x offset -1m"),
            (
                "max_over_time(rate(x[5m])[1h:1m] offset 1d)",
                "max_over_time(rate(x[5s])[1m:1s] offset 24m)",
            ),
            ("avg_over_time(x[1h:])", "avg_over_time(x[1m:])"),
            (
                r#"rate(x_bucket{le="30",path="/a[5m]"}[30m])"#,
                r#"rate(x_bucket{le="30",path="/a[5m]"}[30s])"#,
            ),
            (
                "slo:error_ratio:rate5m > 14.4 * 0.001",
                "slo:error_ratio:rate5m > 14.4 * 0.001",
            ),
            (r#"rate(x{b="2",a="1"}[5m])"#, r#"rate(x{a="1",b="2"}[5s])"#),
            (
                r#"label_replace(x, "a", "5m", "b", "(.*)\\.x")"#,
                r#"label_replace(x, "a", "5m", "b", "(.*)\\.x")"#,
            ),
            (
                "topk by (job) (3, sum without (a) (x)) unless on () y",
                "topk by (job) (3, sum without (a) (x)) unless on () y",
            ),
        ] {
            assert_eq!(by_60(before, &[]).unwrap().text, after);
        }
    }

    #[test]
    fn only_listed_numbers_are_scaled_and_one_that_is_not_there_is_told() {
        let result = by_60("age > 300 and count > 5", &[300.0, 1800.0]).unwrap();
        assert_eq!(result.text, "age > 5 and count > 5");
        assert_eq!(result.unused, [1800.0]);
    }

    #[test]
    fn a_moment_can_not_be_scaled() {
        let error = by_60("x @ 1700000000", &[]).unwrap_err();
        assert!(error.contains("can't be scaled"), "{error}");
        assert!(by_60("max_over_time(x[5m:1m] @ end())", &[]).is_err());
    }

    /// Expressions of every form that has a length, and some that have none.
    fn expressions() -> impl Strategy<Value = String> {
        let length = (
            1u32..5000,
            prop::sample::select(vec!["ms", "s", "m", "h", "d"]),
        )
            .prop_map(|(count, unit)| format!("{count}{unit}"));
        let selector = prop::sample::select(vec![
            "x",
            r#"x{le="30"}"#,
            r#"{__name__=~"x.*",a!="5m"}"#,
            r#"x{b="1",a=~"2|3"}"#,
            "job:x:rate5m",
        ]);
        let instant =
            (selector.clone(), prop::option::of(length.clone())).prop_map(|(x, offset)| {
                offset.map_or(x.to_owned(), |offset| format!("{x} offset {offset}"))
            });
        let range = (selector, length.clone(), prop::option::of(length.clone())).prop_map(
            |(x, range, offset)| match offset {
                Some(offset) => format!("rate({x}[{range}] offset -{offset})"),
                None => format!("rate({x}[{range}])"),
            },
        );
        prop_oneof![instant, range].prop_recursive(4, 24, 3, move |inner| {
            prop_oneof![
                (
                    inner.clone(),
                    inner.clone(),
                    prop::sample::select(vec!["+", "/ on (a)", "> bool", "or", "unless on ()"])
                )
                    .prop_map(|(one, other, op)| format!("({one} {op} {other})")),
                (inner.clone(), 0u32..1000).prop_map(|(one, bound)| format!("({one} > {bound})")),
                (inner.clone(), length.clone(), length.clone()).prop_map(
                    |(one, range, step)| format!("max_over_time(({one})[{range}:{step}])")
                ),
                inner.clone().prop_map(|one| format!("sum by (le) ({one})")),
                inner.prop_map(|one| format!("-({one})")),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_scaled_expression_parsed_back_is_the_original_but_for_its_lengths(
            text in expressions(),
            by in 1u32..1000,
            literal in 0u32..1000,
        ) {
            let scale = Scale::parse(&by.to_string()).unwrap();
            let expr = promql::parse(&text).unwrap();
            // The comparison is part of scaling; it must also see a difference when there is one.
            let result = scaled(&expr, scale, &[f64::from(literal)]);
            prop_assert!(result.is_ok(), "{text}: {result:?}");
        }

        #[test]
        fn a_scale_of_one_changes_nothing(text in expressions()) {
            let expr = promql::parse(&text).unwrap();
            let result = scaled(&expr, Scale::parse("1").unwrap(), &[]).unwrap();
            let back = promql::parse(&result.text).unwrap();
            prop_assert_eq!(compare(&expr, &back, Scale::parse("1").unwrap(), &[]), Ok(()));
        }

        #[test]
        fn a_length_that_was_left_or_changed_too_much_is_seen(range in 1u32..5000) {
            let scale = Scale::parse("60").unwrap();
            let expr = promql::parse(&format!("rate(x[{range}m])")).unwrap();
            let wrong = promql::parse(&format!("rate(x[{}s])", range + 1)).unwrap();
            prop_assert!(compare(&expr, &wrong, scale, &[]).is_err());
            prop_assert!(compare(&expr, &expr, scale, &[]).is_err());
        }
    }
}
