//! All selectors have series, and the result has none: which operation lost them.

use promql_parser::parser::token::{T_LAND, T_LUNLESS};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{BinaryExpr, Call, Expr};

use super::super::server::{Server, or_wrong};
use super::super::variables::Times;
use crate::exit::Refusal;
use crate::prometheus::Series;
use crate::promql;

/// Parts of an expression that are asked for at most.
const MAX_QUESTIONS: usize = 32;

/// Why an expression has no result although each selector in it has series: the innermost operation that makes nothing of
/// something.
pub async fn of_result(
    expr: &Expr,
    times: &Times,
    instant: bool,
    server: &Server,
) -> Result<String, Refusal> {
    let mut at = expr;
    let mut asked = 0;
    'down: loop {
        let mut results = Vec::new();
        for child in promql::children(at) {
            if child.value_type() != ValueType::Vector || asked == MAX_QUESTIONS {
                continue;
            }
            asked += 1;
            let result = server.ask(&child.to_string(), times, instant).await;
            match or_wrong(result)? {
                Ok(series) if series.is_empty() => {
                    at = child;
                    continue 'down;
                }
                Ok(series) => results.push(series),
                Err(sentence) => return Ok(format!("Prometheus: {sentence}")),
            }
        }
        return Ok(sentence(at, &results));
    }
}

fn sentence(at: &Expr, results: &[Vec<Series>]) -> String {
    match at {
        Expr::Binary(binary) => of_binary(binary, results),
        Expr::Call(call) => of_call(call),
        Expr::VectorSelector(selector) => format!(
            "{} has series in the range, and none at the moments that are asked for",
            promql::text_of_selector(selector)
        ),
        other => format!("`{other}` is empty"),
    }
}

fn of_binary(binary: &BinaryExpr, results: &[Vec<Series>]) -> String {
    let BinaryExpr { lhs, op, rhs, .. } = binary;
    if op.is_comparison_operator() {
        return format!("no value of `{lhs}` is {op} {rhs}");
    }
    if op.id() == T_LUNLESS {
        return format!("`unless` removes every series: each has one of its labels in `{rhs}`");
    }
    let sides: Vec<_> = results.iter().map(|side| labels(side)).collect();
    let what = if op.id() == T_LAND {
        "stays"
    } else {
        "is calculated"
    };
    match sides.as_slice() {
        [left, right] => format!(
            "nothing {what}: no series on the left of `{op}` ({left}) has the labels of one on the right ({right})"
        ),
        _ => format!("`{lhs} {op} {rhs}` is empty"),
    }
}

/// The label names of the first series, which tell why it has no partner.
fn labels(side: &[Series]) -> String {
    let names: Vec<_> = side
        .first()
        .into_iter()
        .flat_map(|series| series.labels.keys())
        .filter(|name| *name != "__name__")
        .map(String::as_str)
        .collect();
    if names.is_empty() {
        "without labels".to_owned()
    } else {
        format!("by {}", names.join(", "))
    }
}

fn of_call(call: &Call) -> String {
    let over = call.args.args.iter().find_map(|arg| match &**arg {
        Expr::MatrixSelector(matrix) => Some(matrix),
        _ => None,
    });
    match over {
        Some(matrix) => format!(
            "no window of {} s holds enough samples of {} for {}: two are needed",
            matrix.range.as_secs(),
            promql::text_of_selector(&matrix.vs),
            call.func.name
        ),
        None => format!("{} makes nothing of its arguments", call.func.name),
    }
}
