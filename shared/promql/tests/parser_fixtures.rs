//! The parser against what Prometheus 3.14's own parser makes of the same texts: trees with the position of every
//! node, error texts, and printed expressions.
#![allow(clippy::disallowed_methods, reason = "tests find the fixtures by an environment variable")]
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "so tests fail, and say why they are skipped"
)]

use std::path::PathBuf;

use promql::Features;
use promql::parser::ast::{
    Aggregate, At, Binary, Cardinality, DurationExpr, DurationExprKind, Expr, ExprKind, MatrixSelector,
    Offset, Span, Subquery, VectorMatching, VectorSelector,
};
use promql::parser::parse;
use serde_json::{Value, json};

const ALL: Features = Features {
    use_start_timestamps: true,
    type_and_unit_labels: false,
    experimental_functions: true,
    extended_range_selectors: true,
    binop_fill_modifiers: true,
    delayed_name_removal: true,
};

/// Without what `parse_test.go` has off.
const NO_FILL: Features = Features { binop_fill_modifiers: false, ..ALL };

/// The folder of the fixtures; `None` where there is none and none need be.
fn fixtures() -> Option<PathBuf> {
    Some(::fixtures::folder()?.join("promql/json"))
}

/// A fixture's text. Two have bytes that are not UTF-8, which a `&str` cannot; the replacement characters that stand
/// for them are refused just so.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| String::from_utf8_lossy(&bytes(value)).into_owned(), str::to_owned)
}

fn bytes(value: &Value) -> Vec<u8> {
    let hex = value["bytes_hex"].as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// How many cases agree, and what is said of those that do not.
#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    differences: Vec<String>,
}

impl Tally {
    fn assert(&self, accepted: usize, refused: usize) {
        let shown = self.differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(self.differences.is_empty(), "{} differ:\n{shown}", self.differences.len());
        assert_eq!((self.accepted, self.refused), (accepted, refused));
    }

    fn accepted(&mut self, input: &str, features: &Features, ast: &Value, printed: Option<&Value>) {
        self.accepted += 1;
        let expr = match parse(input, features) {
            Ok(expr) => expr,
            Err(error) => return self.differences.push(format!("{input}\n  refused: {error}")),
        };
        let (found, wanted) = (tree(&expr), normal(ast.clone()));
        if found != wanted {
            self.differences.push(format!("{input}\n  found  {found}\n  wanted {wanted}"));
        }
        if let Some(printed) = printed
            && text(printed) != expr.to_string()
        {
            self.differences.push(format!("{input}\n  printed {expr}\n  wanted  {printed}"));
        }
    }

    fn refused(&mut self, input: &str, features: &Features, message: &Value) {
        self.refused += 1;
        let found = match parse(input, features) {
            Ok(expr) => format!("accepted as {expr}"),
            Err(error) => error.to_string(),
        };
        if Some(found.as_str()) != message.as_str() {
            let shown: String = input.chars().take(200).collect();
            self.differences.push(format!("{shown}\n  found  {found}\n  wanted {}", text(message)));
        }
    }
}

#[test]
fn prometheus_own_parser_cases_agree() {
    let Some(folder) = fixtures() else { return };
    let mut tally = Tally::default();
    for case in ::fixtures::json_in(&folder, "parser/parse_test.json")["cases"].as_array().unwrap() {
        let input = text(&case["input"]);
        if case["fail"].as_bool().unwrap() {
            tally.refused(&input, &NO_FILL, &case["errMsg"]);
            let error = parse(&input, &NO_FILL).unwrap_err();
            let first = &case["errors"][0];
            let wanted = (first["start"].as_u64().unwrap(), first["end"].as_u64().unwrap());
            // The replacement character is longer than the byte that it stands for.
            if case["input"].is_string() && wanted != (error.span.start as u64, error.span.end as u64) {
                tally.differences.push(format!("{input}\n  at {:?}, wanted {wanted:?}", error.span));
            }
        } else {
            tally.accepted(&input, &NO_FILL, &case["ast"], Some(&case["string"]));
            let pretty = parse(&input, &NO_FILL).map(|expr| expr.prettify());
            assert_eq!(pretty, Ok(text(&case["pretty"])), "{input}");
            let found = parse(&input, &NO_FILL).map(|expr| expr.value_type().as_str());
            let wanted = match case["valueType"].as_str().unwrap() {
                "vector" => "instant vector",
                "matrix" => "range vector",
                other => other,
            };
            assert_eq!(found, Ok(wanted), "{input}");
        }
    }
    tally.assert(208, 148);
}

#[test]
fn what_prometheus_has_off_by_default_is_refused_alike() {
    let Some(folder) = fixtures() else { return };
    let mut tally = Tally::default();
    for case in ::fixtures::json_in(&folder, "parser/parse_test.json")["cases"].as_array().unwrap() {
        let Some(message) = case.get("with_default_options_errMsg") else { continue };
        // Duration expressions are always on since 3.14.
        if !message.as_str().unwrap().ends_with("experimental duration expression is not enabled") {
            tally.refused(&text(&case["input"]), &Features::default(), message);
        }
    }
    tally.assert(0, 4);
}

#[test]
fn mutated_expressions_agree() {
    let Some(folder) = fixtures() else { return };
    let mut tally = Tally::default();
    for case in ::fixtures::json_in(&folder, "parser/parse_fuzz_golden.json")["cases"].as_array().unwrap() {
        let input = text(&case["input"]);
        if case["fail"].as_bool().unwrap() {
            tally.refused(&input, &ALL, &case["errMsg"]);
        } else {
            tally.accepted(&input, &ALL, &case["ast"], Some(&case["string"]));
        }
    }
    tally.assert(1200, 1200);
}

#[test]
fn every_expression_of_the_conformance_suite_agrees() {
    let Some(folder) = fixtures() else { return };
    let mut tally = Tally::default();
    let mut files: Vec<_> = std::fs::read_dir(folder.join("promqltest"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".test.json"))
        .collect();
    files.sort_unstable();
    assert_eq!(files.len(), 21);
    for file in files {
        for command in ::fixtures::json_in(&folder, &format!("promqltest/{file}")).as_array().unwrap() {
            if let Some(ast) = command.get("ast") {
                tally.accepted(&text(&command["expr"]), &ALL, ast, None);
            }
        }
    }
    tally.assert(2214, 0);
}

#[test]
fn expressions_print_as_prometheus_prints_them() {
    let Some(folder) = fixtures() else { return };
    let cases = ::fixtures::json_in(&folder, "parser/printer_test.json");
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 86);
    for case in cases {
        let input = text(&case["in"]);
        let printed = parse(&input, &ALL).map(|expr| expr.to_string());
        assert_eq!(printed, Ok(text(&case["out"])), "{input}");
    }
}

#[test]
fn expressions_are_split_into_lines_as_prometheus_splits_them() {
    let Some(folder) = fixtures() else { return };
    let groups = ::fixtures::json_in(&folder, "parser/prettier_test.json");
    let cases: Vec<_> =
        groups.as_object().unwrap().values().flat_map(|cases| cases.as_array().unwrap()).collect();
    assert_eq!(cases.len(), 62);
    for case in cases {
        let input = text(&case["in"]);
        // Upstream's tests split lines of more than ten bytes.
        let pretty = parse(&input, &ALL).map(|expr| expr.prettify_within(10));
        assert_eq!(pretty, Ok(text(&case["out"])), "{input}");
    }
}

#[test]
fn durations_are_read_and_written_as_prometheus_does() {
    let Some(folder) = fixtures() else { return };
    let cases = ::fixtures::json_in(&folder, "../../misc/json/duration_golden.json");
    let (mut read, mut refused) = (0, 0);
    for case in cases.as_array().unwrap() {
        let input = case["in"].as_str().unwrap();
        match model::duration::parse(input) {
            Ok(duration) => {
                read += 1;
                assert_eq!(u128::from(case["ns"].as_u64().unwrap()), duration.as_nanos(), "{input}");
                assert_eq!(case["string"], model::duration::format(duration), "{input}");
            }
            Err(error) => {
                refused += 1;
                assert_eq!(case["error"], error.to_string(), "{input}");
            }
        }
    }
    assert_eq!((read, refused), (32, 27));
}

/// A fixture's tree without what the syntax tree does not tell apart: no labels and none written, and that an info
/// selector may be empty.
fn normal(mut tree: Value) -> Value {
    match &mut tree {
        Value::Object(fields) => {
            fields.remove("bypass_empty_matcher_check");
            if let Some(matching) = fields.get_mut("matching") {
                for list in ["labels", "include"] {
                    if matching[list].is_null() {
                        matching[list] = json!([]);
                    }
                }
            }
            for value in fields.values_mut() {
                *value = normal(value.take());
            }
        }
        Value::Array(values) => {
            for value in values {
                *value = normal(value.take());
            }
        }
        // Whole numbers are written without a point.
        Value::Number(number) if number.is_f64() => {}
        Value::Number(number) => tree = json!(number.as_f64()),
        _ => {}
    }
    tree
}

fn tree(expr: &Expr) -> Value {
    normal(match &expr.kind {
        ExprKind::Number { value, duration } => number(expr.span, *value, *duration),
        ExprKind::String(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => node(expr.span, json!({"type": "string", "val": text})),
            Err(_) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                node(expr.span, json!({"type": "string", "val": {"bytes_hex": hex}}))
            }
        },
        ExprKind::Paren(inner) => node(expr.span, json!({"type": "paren", "expr": tree(inner)})),
        ExprKind::Unary(op, inner) => {
            node(expr.span, json!({"type": "unary", "op": op.as_str(), "expr": tree(inner)}))
        }
        ExprKind::Binary(inner) => binary(expr.span, inner),
        ExprKind::Aggregate(inner) => aggregate(expr.span, inner),
        ExprKind::Call(call) => {
            let args: Vec<_> = call.args.iter().map(tree).collect();
            node(expr.span, json!({"type": "call", "func": call.function, "args": args}))
        }
        ExprKind::VectorSelector(inner) => vector_selector(expr.span, inner),
        ExprKind::MatrixSelector(inner) => matrix_selector(expr.span, inner),
        ExprKind::Subquery(inner) => subquery(expr.span, inner),
    })
}

fn node(span: Span, mut fields: Value) -> Value {
    fields["pos"] = json!([span.start, span.end]);
    fields
}

fn number(span: Span, value: f64, duration: bool) -> Value {
    let value = if value.is_nan() {
        json!("NaN")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if value == 0.0 && value.is_sign_negative() {
        json!("-0")
    } else {
        json!(value)
    };
    let mut fields = json!({"type": "number", "val": value});
    if duration {
        fields["duration"] = json!(true);
    }
    node(span, fields)
}

fn binary(span: Span, binary: &Binary) -> Value {
    let mut fields = json!({
        "type": "binary", "op": binary.op.as_str(), "lhs": tree(&binary.lhs), "rhs": tree(&binary.rhs),
    });
    if binary.return_bool {
        fields["bool"] = json!(true);
    }
    if let Some(inner) = &binary.matching {
        fields["matching"] = matching(inner);
    }
    node(span, fields)
}

fn matching(matching: &VectorMatching) -> Value {
    let card = match matching.cardinality {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    let mut fields =
        json!({"card": card, "on": matching.on, "labels": matching.labels, "include": matching.include});
    for (name, value) in [("fill_left", matching.fill_left), ("fill_right", matching.fill_right)] {
        if let Some(value) = value {
            fields[name] = number(Span::default(), value, false)["val"].take();
        }
    }
    fields
}

fn aggregate(span: Span, aggregate: &Aggregate) -> Value {
    let mut fields = json!({
        "type": "aggregate",
        "op": aggregate.op.as_str(),
        "grouping": aggregate.grouping,
        "expr": tree(&aggregate.expr),
    });
    if aggregate.without {
        fields["without"] = json!(true);
    }
    if let Some(param) = &aggregate.param {
        fields["param"] = tree(param);
    }
    node(span, fields)
}

fn vector_selector(span: Span, selector: &VectorSelector) -> Value {
    let matchers: Vec<_> = selector
        .matchers
        .iter()
        .map(|matcher| json!({"name": matcher.name(), "op": matcher.op().as_str(), "value": matcher.value()}))
        .collect();
    let mut fields = json!({"type": "vector_selector", "matchers": matchers});
    if let Some(name) = &selector.name {
        fields["name"] = json!(name);
    }
    for (name, is_set) in [("anchored", selector.anchored), ("smoothed", selector.smoothed)] {
        if is_set {
            fields[name] = json!(true);
        }
    }
    modifiers(&mut fields, &selector.offset, selector.at);
    node(span, fields)
}

fn matrix_selector(span: Span, matrix: &MatrixSelector) -> Value {
    let mut fields = json!({
        "type": "matrix_selector",
        "range_ms": matrix.range_ms,
        "selector": vector_selector(matrix.selector_span, &matrix.selector),
    });
    if let Some(expr) = &matrix.range_expr {
        fields["range_expr"] = duration(expr);
    }
    node(span, fields)
}

fn subquery(span: Span, subquery: &Subquery) -> Value {
    let mut fields = json!({
        "type": "subquery",
        "expr": tree(&subquery.expr),
        "range_ms": subquery.range_ms,
        "step_ms": subquery.step_ms,
    });
    for (name, expr) in [("range_expr", &subquery.range_expr), ("step_expr", &subquery.step_expr)] {
        if let Some(expr) = expr {
            fields[name] = duration(expr);
        }
    }
    modifiers(&mut fields, &subquery.offset, subquery.at);
    node(span, fields)
}

fn modifiers(fields: &mut Value, offset: &Offset, at: Option<At>) {
    if offset.ms != 0 {
        fields["offset_ms"] = json!(offset.ms);
    }
    if let Some(expr) = &offset.expr {
        fields["offset_expr"] = duration(expr);
    }
    match at {
        Some(At::Timestamp(ms)) => fields["at_ms"] = json!(ms),
        Some(At::Start) => fields["at"] = json!("start"),
        Some(At::End) => fields["at"] = json!("end"),
        None => {}
    }
}

fn duration(expr: &DurationExpr) -> Value {
    let operation = |op: &str, operands: &[(&str, &DurationExpr)]| {
        let mut fields = json!({"type": "duration_expr", "op": op});
        for (side, operand) in operands {
            fields[*side] = duration(operand);
        }
        node(expr.span, fields)
    };
    match &expr.kind {
        DurationExprKind::Number { value, duration } => number(expr.span, *value, *duration),
        DurationExprKind::Step => operation("step", &[]),
        DurationExprKind::Range => operation("range", &[]),
        DurationExprKind::MinOf(a, b) => operation("min_of", &[("lhs", a), ("rhs", b)]),
        DurationExprKind::MaxOf(a, b) => operation("max_of", &[("lhs", a), ("rhs", b)]),
        DurationExprKind::Unary(op, inner) => operation(op.as_str(), &[("rhs", inner)]),
        DurationExprKind::Binary(op, a, b) => operation(op.as_str(), &[("lhs", a), ("rhs", b)]),
        DurationExprKind::Paren(inner) => {
            // Upstream has a flag instead of a node, and a plus where a literal has no flag.
            let mut fields = match inner.kind {
                DurationExprKind::Number { .. } => operation("+", &[("rhs", inner)]),
                _ => duration(inner),
            };
            fields["wrapped"] = json!(true);
            fields
        }
    }
}
