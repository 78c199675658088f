//! The same query with its time fixed by `@`, which must give the same result whenever it is evaluated.

use promql::parser::ast::{At, Expr, ExprKind};

use crate::runner::options;

/// Functions whose result depends on when they are evaluated, whatever `@` says. Source:
/// `promql.AtModifierUnsafeFunctions`.
const UNSAFE: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
];

/// `query` with `@ at` at every selector and subquery that has no time of its own, and the instants to evaluate that at, ms;
/// `None` where that says nothing.
pub(crate) fn fixed_at(query: &str, at: i64) -> Option<(String, Vec<i64>)> {
    let mut expr = promql::parser::parse(query, &options().features).ok()?;
    let mut safe = true;
    fix(&mut expr, at, &mut safe);
    let times = if at == 0 {
        vec![-1_000, 0, 1_000]
    } else {
        vec![at.saturating_mul(-10), 0, at / 5, at, at.saturating_mul(10)]
    };
    safe.then(|| (expr.to_string(), times))
}

fn fix(expr: &mut Expr, at: i64, safe: &mut bool) {
    let timed = |known: Option<At>| matches!(known, Some(At::Timestamp(_)));
    match &mut expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => {}
        ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => fix(inner, at, safe),
        ExprKind::Binary(binary) => {
            // Chains lean to the left and may be long.
            let mut binary = binary;
            loop {
                fix(&mut binary.rhs, at, safe);
                if !matches!(binary.lhs.kind, ExprKind::Binary(_)) {
                    fix(&mut binary.lhs, at, safe);
                    break;
                }
                let ExprKind::Binary(inner) = &mut binary.lhs.kind else { break };
                binary = inner;
            }
        }
        ExprKind::Aggregate(aggregate) => {
            if let Some(param) = &mut aggregate.param {
                fix(param, at, safe);
            }
            fix(&mut aggregate.expr, at, safe);
        }
        ExprKind::Call(call) => {
            *safe &= !UNSAFE.contains(&call.function);
            call.args.iter_mut().for_each(|arg| fix(arg, at, safe));
        }
        ExprKind::VectorSelector(selector) if !timed(selector.at) => selector.at = Some(At::Timestamp(at)),
        ExprKind::MatrixSelector(matrix) if !timed(matrix.selector.at) => {
            matrix.selector.at = Some(At::Timestamp(at));
        }
        ExprKind::VectorSelector(_) | ExprKind::MatrixSelector(_) => {}
        // What is inside a subquery of a fixed time is evaluated at fixed times.
        ExprKind::Subquery(subquery) => {
            if !timed(subquery.at) {
                subquery.at = Some(At::Timestamp(at));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_without_a_time_get_one() {
        let fixed = |query: &str| fixed_at(query, 50_000).map(|(query, _)| query);
        assert_eq!(
            fixed("a + b @ 1 + rate(c[5m])").as_deref(),
            Some("a @ 50.000 + b @ 1.000 + rate(c[5m] @ 50.000)")
        );
        assert_eq!(fixed("sum(a[5m:1m])").as_deref(), None);
        assert_eq!(fixed("timestamp(a)"), None);
    }
}
