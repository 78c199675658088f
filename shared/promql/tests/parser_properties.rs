//! What holds for every text and every tree.
#![allow(clippy::panic, reason = "so tests fail")]

use promql::Features;
use promql::parser::ast::{DurationExpr, DurationExprKind, Expr, ExprKind, Span, UnaryOp, VectorSelector};
use promql::parser::{parse, parse_metric_selector};
use proptest::prelude::*;

const ALL: Features = Features {
    use_start_timestamps: true,
    type_and_unit_labels: false,
    experimental_functions: true,
    extended_range_selectors: true,
    binop_fill_modifiers: true,
    delayed_name_removal: true,
};

/// Pieces of queries, so that random texts get past the first token.
const PIECES: &[&str] = &[
    "foo",
    "up",
    "sum",
    "rate",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "anchored",
    "smoothed",
    "fill",
    "fill_left",
    "step",
    "range",
    "min_of",
    "max_of",
    "start",
    "end",
    "atan2",
    "and",
    "or",
    "unless",
    "inf",
    "NaN",
    "topk",
    "count_values",
    "info",
    "label_replace",
    "(",
    ")",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "@",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "==",
    "!=",
    "<",
    ">=",
    "</",
    ">/",
    "=",
    "=~",
    "!~",
    "1",
    "0x1F",
    "5m",
    "1h30m",
    "0",
    "1e3",
    "1_000",
    "\"a\"",
    "'b'",
    "`c`",
    "\"\\xff\"",
    "\"[\"",
    " ",
    "\n",
    "#",
    "\\",
    "é",
    "\u{0}",
];

fn pieces() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.join(" "))
}

fn glued() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

fn label() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "job", "sum", "on", "\"b c\"", "\"é\""]).prop_map(str::to_owned)
}

fn labels() -> impl Strategy<Value = String> {
    prop::collection::vec(label(), 0..3).prop_map(|labels| format!("({})", labels.join(", ")))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,3}".prop_map(|text| format!("\"{text}\"")),
        Just(r#""\xff\u00e9\n\"""#.to_owned()),
        Just(r"`\d`".to_owned()),
        Just("'it is'".to_owned()),
    ]
}

fn selector() -> impl Strategy<Value = String> {
    let op = prop::sample::select(vec!["=", "!=", "=~", "!~"]);
    let matchers = prop::collection::vec((label(), op, "[a-z.*|]{0,4}"), 0..3).prop_map(|matchers| {
        let regex = |op: &str, value: String| {
            if op.len() == 2 && op != "!=" { value.replace('*', "x") } else { value }
        };
        let matchers =
            matchers.into_iter().map(|(label, op, value)| format!("{label}{op}\"{}\"", regex(op, value)));
        matchers.collect::<Vec<_>>().join(",")
    });
    let name = prop::sample::select(vec!["foo", "a:b", "sum", "by", "step", "offset", "fill"]);
    (name, matchers).prop_map(|(name, matchers)| format!("{name}{{{matchers}}}"))
}

fn duration() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["5m", "1h30m", "90", "0.5", "1w", "step()", "range()", "7d12h"]);
    leaf.prop_map(str::to_owned).prop_recursive(3, 12, 2, |inner| {
        let op = prop::sample::select(vec!["+", "-", "*", "/", "%", "^"]);
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.clone().prop_map(|a| format!("({a})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("max_of({a}, {b})")),
        ]
    })
}

fn modifiers() -> impl Strategy<Value = String> {
    let at = prop::sample::select(vec!["", " @ 10", " @ -1.5", " @ start()", " @ end()"]);
    let offset = prop_oneof![
        Just(String::new()),
        duration().prop_map(|duration| format!(" offset ({duration})")),
        prop::sample::select(vec![
            " offset 5m",
            " offset -1h",
            " offset step()",
            " offset -range()",
            " offset +(5)"
        ])
        .prop_map(str::to_owned),
    ];
    (at, offset).prop_map(|(at, offset)| format!("{at}{offset}"))
}

/// Vectors and scalars, so that most of what is made of them is well-typed.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        2 => (selector(), modifiers()).prop_map(|(selector, modifiers)| selector + &modifiers),
        1 => (selector(), duration(), modifiers()).prop_map(|(s, d, m)| format!("rate({s}[{d}]{m})")),
        1 => (selector(), prop::sample::select(vec!["smoothed", "anchored"])).prop_map(|(s, w)| format!("{s} {w}")),
        1 => prop::sample::select(vec!["1", "-2.5", "0x1F", "Inf", "NaN", "5m", "time()", "1e99", "0.00001"])
            .prop_map(|text| format!("vector({text})")),
        1 => text().prop_map(|text| format!("label_replace(up, {text}, {text}, \"\", \"\")")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let op = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "^", "atan2", "==", "!= bool", ">= bool", "<", "</", ">/",
        ]);
        let matching = prop_oneof![
            Just(String::new()),
            labels().prop_map(|labels| format!("on {labels}")),
            labels().prop_map(|labels| format!("ignoring {labels} group_left (z)")),
            labels().prop_map(|labels| format!("ignoring {labels} fill_left (1) fill_right (-2)")),
        ];
        let set = prop::sample::select(vec!["and", "or", "unless"]);
        let aggregation = prop::sample::select(vec!["sum", "avg", "topk", "count_values", "quantile"]);
        prop_oneof![
            (inner.clone(), op, matching, inner.clone())
                .prop_map(|(a, op, m, b)| format!("{a} {op} {m} {b}")),
            (inner.clone(), set, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (aggregation, prop::option::of((any::<bool>(), labels())), inner.clone()).prop_map(
                |(op, by, a)| {
                    let by = by.map_or_else(String::new, |(without, labels)| {
                        format!("{} {labels}", if without { "without" } else { "by" })
                    });
                    let param = match op {
                        "topk" | "quantile" => "2, ",
                        "count_values" => "\"x\", ",
                        _ => "",
                    };
                    format!("{op} {by} ({param}{a})")
                }
            ),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.clone().prop_map(|a| format!("({a})")),
            (inner, duration(), modifiers()).prop_map(|(a, d, m)| format!("max_over_time(({a})[{d}:1m]{m})")),
        ]
    })
}

/// The tree without positions and without what printing leaves out or adds, neither of which means anything: a plus
/// before a duration, `by ()`, and the plus of `+Inf`, which makes `Inf ^ x` `+(Inf ^ x)`.
fn bare(expr: &Expr) -> Expr {
    let kind = match expr.kind.clone() {
        ExprKind::Paren(inner) => ExprKind::Paren(Box::new(bare(&inner))),
        ExprKind::Unary(UnaryOp::Plus, inner) => return bare(&inner),
        ExprKind::Unary(op, inner) => ExprKind::Unary(op, Box::new(bare(&inner))),
        ExprKind::Binary(mut binary) => {
            binary.lhs = bare(&binary.lhs);
            binary.rhs = bare(&binary.rhs);
            ExprKind::Binary(binary)
        }
        ExprKind::Aggregate(mut aggregate) => {
            aggregate.expr = bare(&aggregate.expr);
            aggregate.param = aggregate.param.as_ref().map(bare);
            aggregate.grouping = aggregate.grouping.filter(|labels| aggregate.without || !labels.is_empty());
            ExprKind::Aggregate(aggregate)
        }
        ExprKind::Call(mut call) => {
            call.args = call.args.iter().map(bare).collect();
            ExprKind::Call(call)
        }
        ExprKind::VectorSelector(selector) => ExprKind::VectorSelector(bare_selector(selector)),
        ExprKind::MatrixSelector(mut matrix) => {
            matrix.selector = bare_selector(matrix.selector);
            matrix.selector_span = Span::default();
            matrix.range_expr = matrix.range_expr.map(bare_duration);
            ExprKind::MatrixSelector(matrix)
        }
        ExprKind::Subquery(mut subquery) => {
            subquery.expr = bare(&subquery.expr);
            subquery.range_expr = subquery.range_expr.map(bare_duration);
            subquery.step_expr = subquery.step_expr.map(bare_duration);
            subquery.offset.expr = subquery.offset.expr.map(bare_duration);
            ExprKind::Subquery(subquery)
        }
        // So that NaN is equal to itself.
        ExprKind::Number { value, duration } if value.is_nan() => ExprKind::String(vec![u8::from(duration)]),
        kind => kind,
    };
    Expr { span: Span::default(), kind }
}

/// Matchers are printed in order of their text.
fn bare_selector(mut selector: VectorSelector) -> VectorSelector {
    selector.matchers.sort_by_key(ToString::to_string);
    selector.offset.expr = selector.offset.expr.map(bare_duration);
    selector
}

#[allow(clippy::boxed_local, reason = "the tree has it in a box")]
fn bare_duration(expr: Box<DurationExpr>) -> Box<DurationExpr> {
    use DurationExprKind as Kind;
    let kind = match expr.kind {
        Kind::Unary(UnaryOp::Plus, inner) => return bare_duration(inner),
        Kind::Unary(op, inner) => Kind::Unary(op, bare_duration(inner)),
        Kind::MinOf(a, b) => Kind::MinOf(bare_duration(a), bare_duration(b)),
        Kind::MaxOf(a, b) => Kind::MaxOf(bare_duration(a), bare_duration(b)),
        Kind::Binary(op, a, b) => Kind::Binary(op, bare_duration(a), bare_duration(b)),
        Kind::Paren(inner) => Kind::Paren(bare_duration(inner)),
        kind => kind,
    };
    Box::new(DurationExpr { span: Span::default(), kind })
}

fn assert_prints_faithfully(text: &str) {
    if let Ok(expr) = parse(text, &ALL) {
        let printed = expr.to_string();
        let again =
            parse(&printed, &ALL).unwrap_or_else(|error| panic!("{text}\nprinted as {printed}\n{error}"));
        assert_eq!(bare(&again), bare(&expr), "{text}\nprinted as {printed}");
        for width in [10, 100] {
            let pretty = expr.prettify_within(width);
            let again = parse(&pretty, &ALL)
                .unwrap_or_else(|error| panic!("{text}\nprettified as {pretty}\n{error}"));
            assert_eq!(bare(&again), bare(&expr), "{text}\nprettified as {pretty}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = parse(&text, &ALL);
        let _ = parse_metric_selector(&text);
    }

    #[test]
    fn no_sequence_of_tokens_makes_the_parser_panic(text in prop_oneof![pieces(), glued()]) {
        let _ = parse(&text, &Features::default());
        let _ = parse_metric_selector(&text);
        assert_prints_faithfully(&text);
    }

    #[test]
    fn an_error_stands_within_the_text(text in pieces()) {
        if let Err(error) = parse(&text, &ALL) {
            prop_assert!(error.span.start <= text.len() && error.span.end <= text.len());
            let before = text.as_bytes().get(..error.span.start).unwrap_or_default();
            let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            prop_assert!(text.is_empty() || error.column == error.span.start - line_start + 1);
        }
    }

    #[test]
    fn what_is_printed_parses_to_an_equal_tree(text in expression()) {
        assert_prints_faithfully(&text);
    }
}

#[test]
fn most_made_up_expressions_are_valid() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let valid = (0..500).filter(|_| {
        let text = expression().new_tree(&mut runner).unwrap().current();
        parse(&text, &ALL).is_ok()
    });
    // Else the property above would test little.
    assert!(valid.count() > 300);
}
