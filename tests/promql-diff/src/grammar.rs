//! Random queries over the whole language: every function, aggregation, operator and modifier, experimental ones included.
//! They are valid but for what only evaluating shows.

use platform_sim::Random;
use promql::parser::ast::ValueType;
use promql::parser::functions::{self, Function, Variadic};

use crate::data::{LABELS, NAMES};
use crate::node::{Node, Type};

/// Draws queries.
#[derive(Debug)]
pub struct Grammar<'a> {
    random: &'a mut Random,
}

impl<'a> Grammar<'a> {
    /// Draws from `random`.
    pub fn new(random: &'a mut Random) -> Self {
        Self { random }
    }

    /// A query; of any type if it is `instant`.
    pub fn query(&mut self, instant: bool) -> Node {
        match self.below(20) {
            0 | 1 => self.scalar(3),
            2 if instant => self.matrix(3, false),
            3 if instant => {
                Node::leaf(Type::Other, self.pick(&["\"text\"", "'it''s'", r#""a\n\u00e4""#, "`raw\\`"]))
            }
            _ => self.vector(4),
        }
    }

    fn vector(&mut self, depth: u32) -> Node {
        if depth == 0 || self.below(8) == 0 {
            return self.selector();
        }
        let depth = depth - 1;
        match self.below(20) {
            0..=3 => self.aggregate(depth),
            4..=6 => self.vector_operation(depth),
            7..=8 => self.mixed_operation(depth),
            9 => Node::of(Type::Vector, self.pick(&["-(%)", "+(%)", "(%)", "-%"]), [self.vector(depth)]),
            10 => self.histogram(depth),
            11 => self.labels(depth),
            _ => self.call(depth),
        }
    }

    fn scalar(&mut self, depth: u32) -> Node {
        if depth == 0 || self.below(2) == 0 {
            return Node::leaf(Type::Scalar, self.number());
        }
        let depth = depth - 1;
        match self.below(8) {
            0 | 1 => Node::leaf(
                Type::Scalar,
                self.pick(&["time()", "pi()", "step()", "range()", "start()", "end()"]),
            ),
            2 => Node::of(Type::Scalar, "scalar(%)", [self.vector(depth)]),
            3 => Node::of(Type::Scalar, self.pick(&["-(%)", "+(%)", "(%)"]), [self.scalar(depth)]),
            4 => {
                let template = self.pick(&["max_of(%, %)", "min_of(%, %)"]);
                Node::of(Type::Scalar, template, [self.scalar(depth), self.scalar(depth)])
            }
            _ => {
                let op = self.pick(&[
                    "+", "-", "*", "/", "/", "+", "^", "atan2", "== bool", "!= bool", "< bool", ">= bool",
                    "> bool", "<= bool", "#",
                ]);
                Node::of(
                    Type::Scalar,
                    &format!("(%) {} (%)", op.replace('#', "mod")),
                    [self.scalar(depth), self.scalar(depth)],
                )
                .modulo()
            }
        }
    }

    fn matrix(&mut self, depth: u32, extended: bool) -> Node {
        if depth == 0 || self.below(4) != 0 {
            let mut text = self.series();
            text.push_str(&format!("[{}]", self.duration()));
            let node = Node::leaf(Type::Matrix, text);
            let node = match self.below(6) {
                0 if extended => node.with_optional(self.pick(&[" anchored", " smoothed"])),
                _ => node,
            };
            return self.placed(node);
        }
        let step = if self.below(3) == 0 { String::new() } else { self.duration() };
        let range = self.duration();
        let node = Node::of(Type::Matrix, &format!("(%)[{range}:{step}]"), [self.vector(depth - 1)]);
        self.placed(node)
    }

    fn selector(&mut self) -> Node {
        let node = Node::leaf(Type::Vector, self.series());
        let node = if self.below(25) == 0 { node.with_optional(" smoothed") } else { node };
        self.placed(node)
    }

    /// Perhaps with `offset` and `@`.
    fn placed(&mut self, mut node: Node) -> Node {
        if self.below(8) == 0 {
            let offset = match self.below(6) {
                0 => format!("-{}", self.simple_duration()),
                1 => self.pick(&["step()", "-step()", "(1m + step())", "max_of(step(), 1m)"]).to_owned(),
                _ => self.simple_duration(),
            };
            node = node.with_optional(format!(" offset {offset}"));
        }
        if self.below(8) == 0 {
            let at = match self.below(4) {
                0 => "start()".to_owned(),
                1 => "end()".to_owned(),
                _ => format!("{}", self.below(2_700)),
            };
            node = node.with_optional(format!(" @ {at}"));
        }
        node
    }

    fn series(&mut self) -> String {
        let name = self.pick(&NAMES).to_owned();
        match self.below(8) {
            0 => {
                let (label, op, value) = self.matcher();
                format!("{name}{{{label}{op}\"{value}\"}}")
            }
            1 => {
                let pattern =
                    self.pick(&["a.*", "b|c_bucket", ".+_total|b", "[a-c].*", ".*_info", "mixed|h|g"]);
                let (label, op, value) = self.matcher();
                format!("{{__name__=~\"{pattern}\",{label}{op}\"{value}\"}}")
            }
            2 => {
                let ((a, b, c), (d, e, f)) = (self.matcher(), self.matcher());
                format!("{name}{{{a}{b}\"{c}\",{d}{e}\"{f}\"}}")
            }
            _ => name,
        }
    }

    fn matcher(&mut self) -> (&'static str, &'static str, &'static str) {
        let label = self.pick(&LABELS);
        match self.below(4) {
            0 => (label, "=", self.pick(&["x", "1", "", "+Inf", "prod"])),
            1 => (label, "!=", self.pick(&["x", "1", "", "2"])),
            2 => (label, "=~", self.pick(&["x|y", "1|2", ".*", ".+", "[^x]", "|1"])),
            _ => (label, "!~", self.pick(&["x|y", "1|2", ".+", "3"])),
        }
    }

    fn aggregate(&mut self, depth: u32) -> Node {
        let grouping = match self.below(4) {
            0 => String::new(),
            1 => format!(" without ({})", self.label_list()),
            _ => format!(" by ({})", self.label_list()),
        };
        let kind = self.below(16);
        // Which of equal samples are taken depends on their order, which is defined for selectors only.
        let inner = if kind < 2 { self.ordered() } else { self.vector(depth) };
        match kind {
            0 | 1 => {
                let op = self.pick(&["topk", "bottomk", "limitk"]);
                let template = format!("{op}{grouping} (%, %)");
                let k = if self.below(4) == 0 {
                    self.scalar(1)
                } else {
                    Node::leaf(Type::Scalar, self.pick(&["1", "2", "3", "0", "10", "2.7"]))
                };
                Node::of(Type::Vector, &template, [k, inner])
            }
            2 => {
                let parameter = self.fraction(depth);
                Node::of(Type::Vector, &format!("quantile{grouping} (%, %)"), [parameter, inner])
            }
            3 => {
                let ratio =
                    Node::leaf(Type::Scalar, self.pick(&["0.5", "-0.5", "0.3", "1", "-1", "0", "2", "0.9"]));
                Node::of(Type::Vector, &format!("limit_ratio{grouping} (%, %)"), [ratio, inner])
            }
            4 => {
                let label = self.pick(&["v", "job", "__name__", "instance"]);
                Node::of(Type::Vector, &format!("count_values{grouping} (\"{label}\", %)"), [inner])
            }
            _ => {
                let op = self.pick(&[
                    "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "sum", "avg", "sum",
                    "count",
                ]);
                Node::of(Type::Vector, &format!("{op}{grouping} (%)"), [inner])
            }
        }
    }

    /// A vector whose order is that of a selector.
    fn ordered(&mut self) -> Node {
        if self.below(2) == 0 {
            return self.selector();
        }
        let function =
            self.pick(&["rate(%)", "last_over_time(%)", "sum_over_time(%)", "max_over_time(%)", "delta(%)"]);
        Node::of(Type::Vector, function, [self.matrix(0, false)])
    }

    fn vector_operation(&mut self, depth: u32) -> Node {
        let set = self.below(4) == 0;
        let op = if set { self.pick(&["and", "or", "unless"]).to_owned() } else { self.operator(true) };
        let mut modifiers = match self.below(4) {
            0 => String::new(),
            1 => format!(" ignoring ({})", self.label_list()),
            _ => format!(" on ({})", self.label_list()),
        };
        if !set && !modifiers.is_empty() && self.below(3) == 0 {
            let side = self.pick(&["group_left", "group_right"]);
            modifiers.push_str(&match self.below(3) {
                0 => format!(" {side}"),
                1 => format!(" {side} ()"),
                _ => format!(" {side} ({})", self.pick(&["extra", "data", "version", "data, extra"])),
            });
            // A label may not be both matched on and taken over.
            if modifiers.contains("on (extra") || modifiers.contains(", extra) group") {
                modifiers = modifiers.replace("extra", "other");
            }
        }
        if !set && self.below(8) == 0 {
            modifiers.push_str(self.pick(&[
                " fill (0)",
                " fill (-1.5)",
                " fill_left (1)",
                " fill_right (NaN)",
                " fill_left (0) fill_right (2)",
            ]));
        }
        let modulo = op == "mod";
        let node = Node::of(
            Type::Vector,
            &format!("(%) {op}{modifiers} (%)"),
            [self.vector(depth), self.vector(depth)],
        );
        if modulo { node.modulo() } else { node }
    }

    fn mixed_operation(&mut self, depth: u32) -> Node {
        let op = self.operator(true);
        let node = if self.below(2) == 0 {
            Node::of(Type::Vector, &format!("(%) {op} (%)"), [self.vector(depth), self.scalar(1)])
        } else {
            Node::of(Type::Vector, &format!("(%) {op} (%)"), [self.scalar(1), self.vector(depth)])
        };
        if op == "mod" { node.modulo() } else { node }
    }

    fn operator(&mut self, trim: bool) -> String {
        let op = self.pick(&[
            "+", "-", "*", "/", "mod", "^", "atan2", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/",
            "</", ">/",
        ]);
        let comparison = matches!(op, "==" | "!=" | "<" | "<=" | ">" | ">=");
        if comparison && self.below(3) == 0 {
            return format!("{op} bool");
        }
        if matches!(op, "</" | ">/") && !(trim && self.below(2) == 0) {
            "+".to_owned()
        } else {
            op.to_owned()
        }
    }

    fn histogram(&mut self, depth: u32) -> Node {
        let vector = match self.below(3) {
            0 => self.vector(depth),
            1 => Node::leaf(
                Type::Vector,
                self.pick(&["c_bucket", "h", "g", "mixed", "rate(c_bucket[5m])", "rate(h[5m])"]),
            ),
            _ => {
                let grouping = self.pick(&["by (le)", "by (le, job)", "without (instance)", "by (job)"]);
                let inner = Node::leaf(
                    Type::Vector,
                    self.pick(&["rate(c_bucket[5m])", "increase(h[4m])", "c_bucket", "g"]),
                );
                Node::of(Type::Vector, &format!("sum {grouping} (%)"), [inner])
            }
        };
        match self.below(6) {
            0 => {
                let (lower, upper) = (self.scalar(1), self.scalar(1));
                Node::of(Type::Vector, "histogram_fraction(%, %, %)", [lower, upper, vector])
            }
            1 => {
                let (a, b) = (self.fraction(0), self.fraction(0));
                Node::of(Type::Vector, "histogram_quantiles(%, \"q\", %, %)", [vector, a, b])
            }
            _ => Node::of(Type::Vector, "histogram_quantile(%, %)", [self.fraction(1), vector]),
        }
    }

    fn labels(&mut self, depth: u32) -> Node {
        let vector = self.vector(depth);
        let template = match self.below(6) {
            0 => self.pick(&[
                r#"label_join(%, "new", "-", "job", "instance")"#,
                r#"label_join(%, "job", "", "extra")"#,
                r#"label_join(%, "instance", ",", "job", "job", "none")"#,
                r#"label_join(%, "job", "")"#,
            ]),
            1 => self.pick(&["sort(%)", "sort_desc(%)"]),
            2 => self.pick(&[
                r#"sort_by_label(%, "instance")"#,
                r#"sort_by_label_desc(%, "job", "instance")"#,
                r#"sort_by_label(%, "le")"#,
            ]),
            3 => self.pick(&[
                "info(%)",
                r#"info(%, {__name__="target_info"})"#,
                r#"info(%, {data=~".+"})"#,
                r#"info(%, {version="2"})"#,
                r#"info(%, {__name__=~".*_info", data!="none"})"#,
            ]),
            _ => self.pick(&[
                r#"label_replace(%, "new", "$1", "instance", "(.*)")"#,
                r#"label_replace(%, "job", "all", "", "")"#,
                r#"label_replace(%, "instance", "", "instance", "1|2")"#,
                r#"label_replace(%, "__name__", "other_$1", "job", "(x|y)")"#,
                r#"label_replace(%, "new", "${1}-$none-$$", "__name__", "(.).*")"#,
                r#"label_replace(%, "job", "$1", "instance", "(\\d)+")"#,
            ]),
        };
        Node::of(Type::Vector, template, [vector])
    }

    /// Any function that gives a vector, with arguments of its types.
    fn call(&mut self, depth: u32) -> Node {
        let function = loop {
            let at = self.below(functions::all().len() as u64) as usize;
            let Some(function) = functions::all().get(at) else { continue };
            let texts = function.arg_types.contains(&ValueType::String);
            if function.return_type == ValueType::Vector && !texts && function.name != "info" {
                break function;
            }
        };
        let count = self.arguments(function);
        let types = function.arg_types.iter().chain(std::iter::repeat(&ValueType::Vector)).take(count);
        let extended = matches!(function.name, "rate" | "increase" | "delta");
        let mut children = Vec::new();
        for (at, ty) in types.enumerate() {
            children.push(match ty {
                ValueType::Matrix => self.matrix(depth, extended),
                ValueType::Scalar if at == 0 || function.name == "double_exponential_smoothing" => {
                    self.fraction(depth)
                }
                ValueType::Scalar => self.scalar(depth.min(2)),
                _ => self.vector(depth),
            });
        }
        let holes = vec!["%"; children.len()].join(", ");
        Node::of(Type::Vector, &format!("{}({holes})", function.name), children)
    }

    fn arguments(&mut self, function: &Function) -> usize {
        match function.variadic {
            Variadic::No => function.arg_types.len(),
            Variadic::UpTo(_) | Variadic::Any => function.arg_types.len() - self.below(2) as usize,
        }
    }

    fn label_list(&mut self) -> String {
        let count = self.below(3);
        let labels: Vec<&str> = (0..count).map(|_| self.pick(&LABELS)).collect();
        labels.join(", ")
    }

    fn fraction(&mut self, depth: u32) -> Node {
        if depth > 0 && self.below(8) == 0 {
            return self.scalar(1);
        }
        Node::leaf(
            Type::Scalar,
            self.pick(&["0.5", "0.9", "0.99", "0.1", "0", "1", "0.25", "NaN", "-1", "2", "0.75"]),
        )
    }

    fn number(&mut self) -> String {
        match self.below(8) {
            0 => self
                .pick(&["0", "-0", "NaN", "Inf", "-Inf", "1e300", "5e-324", "1e-7", "9007199254740993"])
                .to_owned(),
            1 => self.pick(&["5m", "0x1F", "1_000", "017", "1h30m", ".5", "1e3"]).to_owned(),
            2..=4 => format!("{}", self.below(10)),
            _ => format!("{:.2}", self.random.unit() * 200.0 - 100.0),
        }
    }

    fn duration(&mut self) -> String {
        match self.below(12) {
            0 => self
                .pick(&[
                    "step() * 3 + 1m",
                    "(1m + 30s)",
                    "2m * 2",
                    "max_of(step(), 2m)",
                    "-(-4m)",
                    "5m - 90s",
                    "100 / 2",
                ])
                .to_owned(),
            _ => self.simple_duration(),
        }
    }

    fn simple_duration(&mut self) -> String {
        match self.below(6) {
            0 => format!("{}s", self.below(600) + 1),
            1 => format!("{}", self.below(300) + 1),
            2 => self.pick(&["1m30s", "90s", "0.5", "1500ms", "1h", "20m"]).to_owned(),
            _ => self.pick(&["1m", "2m", "3m", "4m", "5m", "10m"]).to_owned(),
        }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random.below(end)
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list.get(self.below(list.len() as u64) as usize).copied().unwrap_or_default()
    }
}

impl Node {
    /// Writes the operator `mod` of a template as PromQL does: the sign stands for holes in templates.
    fn modulo(mut self) -> Self {
        for part in &mut self.parts {
            if let crate::node::Part::Text(text) = part {
                *text = text.replace(") mod", ") %");
            }
        }
        self
    }
}
