use super::ast::{BinaryOp, DurationExprKind, ValueType};
use super::*;

fn parsed(text: &str) -> Expr {
    parse(text, &Features::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> String {
    parse(text, &Features::default()).unwrap_err().to_string()
}

#[test]
fn operators_bind_as_in_prometheus() {
    let shape = |text: &str| match parsed(text).kind {
        ExprKind::Binary(binary) => (binary.op, binary.lhs.to_string(), binary.rhs.to_string()),
        kind => panic!("{kind:?}"),
    };
    let is = |op, left: &str, right: &str| (op, left.to_owned(), right.to_owned());
    assert_eq!(shape("a or b and c"), is(BinaryOp::Or, "a", "b and c"));
    assert_eq!(shape("a - b - c"), is(BinaryOp::Sub, "a - b", "c"));
    assert_eq!(shape("a ^ b ^ c"), is(BinaryOp::Pow, "a", "b ^ c"));
    assert_eq!(shape("-a * b"), is(BinaryOp::Mul, "-a", "b"));
    assert!(matches!(parsed("-a ^ b").kind, ExprKind::Unary(..)));
}

#[test]
fn an_offset_in_parentheses_swallows_what_follows_and_others_do_not() {
    assert!(matches!(parsed("foo offset 5m + 3").kind, ExprKind::Binary(_)));
    assert!(matches!(parsed("foo offset -(5m) + 3").kind, ExprKind::Binary(_)));
    let ExprKind::VectorSelector(selector) = parsed("foo offset (5m) + 3").kind else { panic!() };
    assert!(matches!(selector.offset.expr.unwrap().kind, DurationExprKind::Binary(..)));
}

#[test]
fn what_is_off_by_default_says_so() {
    assert_eq!(error("info(up)"), "1:1: parse error: function \"info\" is not enabled");
    assert_eq!(
        error("limitk(1, up)"),
        "1:1: parse error: limitk() is experimental and must be enabled with \
         --enable-feature=promql-experimental-functions"
    );
    assert_eq!(error("up anchored"), "1:1: parse error: anchored modifier is experimental and not enabled");
    assert_eq!(
        error("a + fill(0) b"),
        "1:1: parse error: binop fill modifiers are experimental and not enabled"
    );
}

#[test]
fn errors_have_line_and_column() {
    assert_eq!(error("sum(\n  foo bar)"), "2:7: parse error: unexpected identifier \"bar\" in aggregation");
    assert_eq!(error(""), "unknown position: parse error: no expression found in input");
}

#[test]
fn a_metric_selector_must_select_something() {
    let matchers = parse_metric_selector("up{job=~\"a.*\"}").unwrap();
    assert_eq!(
        matchers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["job=~\"a.*\"", "__name__=\"up\""]
    );
    for text in ["{}", "{job=~\".*\"}"] {
        let error = parse_metric_selector(text).unwrap_err().to_string();
        assert_eq!(error, "match[] must contain at least one non-empty matcher");
    }
    assert_eq!(
        parse_metric_selector("up[5m]").unwrap_err().to_string(),
        "1:3: parse error: unexpected \"[\""
    );
}

#[test]
fn what_nests_too_deep_is_refused() {
    let levels = 100_000;
    for (open, inner, close) in [
        ("(", "1", ")"),
        ("-", "a", ""),
        ("sum(", "a", ")"),
        ("1^", "1", ""),
        ("1+(", "1", ")"),
        ("a or b and c == d + e * f ^ (", "a", ")"),
        ("abs(", "a", ")"),
        ("", "a", "[1m:]"),
        ("a[", "1", ""),
        ("a[1+(", "1", ""),
        ("a[-", "1", ""),
        ("a offset -(", "1", ""),
    ] {
        let text = format!("{}{inner}{}", open.repeat(levels), close.repeat(levels));
        assert!(parse(&text, &Features::default()).is_err(), "{open}");
    }
    for operand in ["(", "+(", "-", "1^", "1-", "step()*(", "min_of(1,"] {
        let text = format!("a[{}1", operand.repeat(levels));
        assert!(parse(&text, &Features::default()).is_err(), "{operand}");
    }
}

#[test]
fn chains_of_operators_may_have_any_length() {
    for (term, value_type) in [("1", ValueType::Scalar), ("a{b=\"c\"}", ValueType::Vector)] {
        let text = vec![term; 50_000].join(" + ");
        let expr = parsed(&text);
        assert_eq!(expr.value_type(), value_type);
        assert_eq!(expr.to_string(), text);
        assert!(expr.prettify().len() > text.len());
        let copy = expr.clone();
        assert_eq!(copy, expr);
        assert!(format!("{copy:?}").len() > text.len());
        drop(expr);
        assert!(parse(&format!("{text} + \"\""), &Features::default()).is_err());
    }
}

#[test]
fn legitimate_depth_is_accepted() {
    let text = format!("{}1{}", "1+(".repeat(50), ")".repeat(50));
    assert_eq!(parsed(&text).value_type(), ValueType::Scalar);
}
