//! Executes parsed templates. The order in which nodes are visited is that of Go's `text/template`, for an error names
//! the node that was visited last.

use super::ast::{Branch, Command, Invocation, List, Node, NodeRef, Number, Operand, Pipe, Term};
use super::functions::{self, CallError, Env, Signature, Type};
use super::parse::Trees;
use super::value::Value;
use super::{STRING_BYTES_MAX, gofmt, methods};

/// How deep execution may nest: template calls, control structures and parentheses together.
const DEPTH_MAX: usize = 200;
/// How much one execution may do: a node costs 1, a string its bytes, a regular expression 10,000.
const FUEL: usize = 1 << 24;

/// Why there is no output.
#[derive(Debug)]
pub(super) enum ExecError {
    /// `template: …`
    Failed(String),
    /// The result of this query is needed.
    Query(String),
}

type Executed<T> = Result<T, ExecError>;

/// Executes the template `name` of `trees`, which were parsed from `text`.
pub(super) fn execute<'t>(
    trees: &'t Trees,
    name: &'t str,
    text: &'t str,
    data: &Value,
    env: &'t Env<'t>,
) -> Executed<String> {
    let mut state = State {
        trees,
        parse_name: name,
        text,
        env,
        name,
        node: None,
        vars: vec![("$".to_owned(), data.clone())],
        depth: 0,
        fuel: FUEL,
        out: String::new(),
    };
    if let Some(list) = trees.get(name) {
        state.walk_list(data, list)?;
    }
    Ok(state.out)
}

struct State<'t> {
    trees: &'t Trees,
    parse_name: &'t str,
    text: &'t str,
    env: &'t Env<'t>,
    /// The template that is being executed.
    name: &'t str,
    /// The node visited last.
    node: Option<NodeRef<'t>>,
    vars: Vec<(String, Value)>,
    depth: usize,
    fuel: usize,
    out: String,
}

/// What a loop does after a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// What is called.
enum Callee<'v> {
    Function,
    Method(&'v Value),
}

impl<'t> State<'t> {
    fn error<T>(&self, message: impl AsRef<str>) -> Executed<T> {
        let message = message.as_ref();
        let Some(node) = self.node else {
            return Err(ExecError::Failed(format!("template: {}: {message}", self.name)));
        };
        let before = self.text.get(..node.at()).unwrap_or("");
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
        Err(ExecError::Failed(format!(
            "template: {}:{line}:{column}: executing {} at <{node}>: {message}",
            self.parse_name,
            model::labels::quote(self.name),
        )))
    }

    fn burn(&mut self, fuel: usize) -> Executed<()> {
        match self.fuel.checked_sub(fuel) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => self.error("template takes too long"),
        }
    }

    fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Executed<T>) -> Executed<T> {
        if self.depth >= DEPTH_MAX {
            return self.error(format!("exceeded maximum template depth ({DEPTH_MAX})"));
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    fn print(&mut self, text: &str) -> Executed<()> {
        self.burn(text.len())?;
        if self.out.len() + text.len() > STRING_BYTES_MAX {
            return self.error("output is too long");
        }
        self.out.push_str(text);
        Ok(())
    }

    fn walk_list(&mut self, dot: &Value, list: &'t List) -> Executed<Flow> {
        self.deeper(|state| {
            for node in &list.nodes {
                let flow = state.walk(dot, node)?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
            }
            Ok(Flow::Next)
        })
    }

    fn walk(&mut self, dot: &Value, node: &'t Node) -> Executed<Flow> {
        self.burn(1)?;
        match node {
            Node::Text(text) => self.print(text)?,
            Node::Action(pipe) => {
                let value = self.eval_pipeline(dot, pipe)?;
                if pipe.variables.is_empty() {
                    if value.weight() > STRING_BYTES_MAX {
                        return self.error("output is too long");
                    }
                    self.print(&gofmt::printed(&value))?;
                }
            }
            Node::If(branch) => return self.walk_if_or_with(dot, branch, false),
            Node::With(branch) => return self.walk_if_or_with(dot, branch, true),
            Node::Range(branch) => self.walk_range(dot, branch)?,
            Node::Template(invocation) => self.walk_template(dot, invocation)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn walk_if_or_with(&mut self, dot: &Value, branch: &'t Branch, is_with: bool) -> Executed<Flow> {
        let mark = self.vars.len();
        let value = self.eval_pipeline(dot, &branch.pipe)?;
        let flow = if value.is_true() {
            self.walk_list(if is_with { &value } else { dot }, &branch.list)?
        } else if let Some(list) = &branch.else_list {
            self.walk_list(dot, list)?
        } else {
            Flow::Next
        };
        self.vars.truncate(mark);
        Ok(flow)
    }

    fn walk_range(&mut self, dot: &Value, branch: &'t Branch) -> Executed<()> {
        let mark = self.vars.len();
        let value = self.eval_pipeline(dot, &branch.pipe)?.concrete();
        let ran = self.iterate(&value, branch)?;
        if !ran && let Some(list) = &branch.else_list {
            self.walk_list(dot, list)?;
        }
        self.vars.truncate(mark);
        Ok(())
    }

    /// Runs the body for each element; whether there was one.
    fn iterate(&mut self, value: &Value, branch: &'t Branch) -> Executed<bool> {
        match value {
            Value::List(list) => {
                let items = list.iter().enumerate().map(|(at, item)| (Value::length(at), item.clone()));
                self.iterate_items(items, branch)
            }
            Value::QueryResult(samples) => {
                let item = |(at, sample): (usize, &std::sync::Arc<super::Sample>)| {
                    (Value::length(at), Value::Sample(std::sync::Arc::clone(sample)))
                };
                self.iterate_items(samples.iter().enumerate().map(item), branch)
            }
            Value::StringMap(map) => {
                let items = map
                    .iter()
                    .map(|(name, value)| (Value::string(name.as_str()), Value::string(value.as_str())));
                self.iterate_items(items, branch)
            }
            Value::Map(map) => {
                let item = |(name, value): (&String, &Value)| {
                    (Value::string(name.as_str()), Value::Interface(Box::new(value.clone())))
                };
                self.iterate_items(map.entries().iter().map(item), branch)
            }
            Value::Int(count, kind) => {
                if branch.pipe.variables.len() > 1 {
                    let shown = gofmt::printed(value);
                    return self.error(format!("can't use {shown} to iterate over more than one variable"));
                }
                let kind = *kind;
                self.iterate_items((0..*count).map(|at| (Value::Invalid, Value::Int(at, kind))), branch)
            }
            Value::Invalid => Ok(false),
            value => self.error(format!("range can't iterate over {}", gofmt::printed(value))),
        }
    }

    fn iterate_items(
        &mut self,
        items: impl Iterator<Item = (Value, Value)>,
        branch: &'t Branch,
    ) -> Executed<bool> {
        let mark = self.vars.len();
        let names = &branch.pipe.variables;
        let mut ran = false;
        for (index, item) in items {
            ran = true;
            self.burn(1)?;
            match names.as_slice() {
                [one] => self.set_range_var(one, 1, item.clone(), branch.pipe.is_assign)?,
                [first, second] => {
                    self.set_range_var(first, 2, index, branch.pipe.is_assign)?;
                    self.set_range_var(second, 1, item.clone(), branch.pipe.is_assign)?;
                }
                _ => {}
            }
            let flow = self.walk_list(&item, &branch.list)?;
            self.vars.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(ran)
    }

    /// Sets a loop variable: by name where it is assigned, else the `from_top`-th of the stack.
    fn set_range_var(&mut self, name: &str, from_top: usize, value: Value, is_assign: bool) -> Executed<()> {
        if is_assign {
            return self.set_var(name, value);
        }
        let at = self.vars.len().saturating_sub(from_top);
        if let Some(var) = self.vars.get_mut(at) {
            var.1 = value;
        }
        Ok(())
    }

    fn set_var(&mut self, name: &str, value: Value) -> Executed<()> {
        match self.vars.iter_mut().rev().find(|(candidate, _)| candidate == name) {
            Some(var) => {
                var.1 = value;
                Ok(())
            }
            None => self.error(format!("undefined variable: {name}")),
        }
    }

    fn walk_template(&mut self, dot: &Value, invocation: &'t Invocation) -> Executed<()> {
        self.node = Some(NodeRef::Template(invocation));
        let Some((name, list)) = self.trees.get_key_value(&invocation.name) else {
            return self.error(format!("template {} not defined", model::labels::quote(&invocation.name)));
        };
        let dot = match &invocation.pipe {
            Some(pipe) => self.eval_pipeline(dot, pipe)?,
            None => Value::Invalid,
        };
        let (outer_name, outer_node) = (self.name, self.node);
        let outer_vars = std::mem::replace(&mut self.vars, vec![("$".to_owned(), dot.clone())]);
        self.name = name;
        self.walk_list(&dot, list)?;
        self.name = outer_name;
        self.node = outer_node;
        self.vars = outer_vars;
        Ok(())
    }

    fn eval_pipeline(&mut self, dot: &Value, pipe: &'t Pipe) -> Executed<Value> {
        self.node = Some(NodeRef::Pipe(pipe));
        let value = self.deeper(|state| {
            let mut value = None;
            for command in &pipe.commands {
                state.burn(1)?;
                value = Some(state.eval_command(dot, command, value)?.concrete());
            }
            Ok(value.unwrap_or(Value::Invalid))
        })?;
        for name in &pipe.variables {
            if pipe.is_assign {
                self.set_var(name, value.clone())?;
            } else {
                self.vars.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn eval_command(&mut self, dot: &Value, command: &'t Command, last: Option<Value>) -> Executed<Value> {
        let args = command.args.as_slice();
        let Some(first) = args.first() else { return Ok(Value::Invalid) };
        match &first.term {
            Term::Field(names) => {
                self.node = Some(NodeRef::Operand(first));
                return self.eval_fields(dot, dot.clone(), first, names, args, last);
            }
            Term::Chain(..) => return self.eval_chain(dot, first, args, last),
            Term::Identifier(name) => {
                return self.eval_function(dot, first, NodeRef::Command(command), name, args, last);
            }
            Term::Pipe(pipe) => {
                self.not_a_function(args, last.as_ref())?;
                return self.eval_pipeline(dot, pipe);
            }
            Term::Variable(_) => return self.eval_variable(dot, first, args, last),
            _ => {}
        }
        self.node = Some(NodeRef::Operand(first));
        self.not_a_function(args, last.as_ref())?;
        match &first.term {
            Term::Dot => Ok(dot.clone()),
            Term::Nil => self.error("nil is not a command"),
            _ => self.literal(first),
        }
    }

    fn not_a_function(&self, args: &[Operand], last: Option<&Value>) -> Executed<()> {
        match args.first() {
            Some(first) if args.len() > 1 || last.is_some() => {
                self.error(format!("can't give argument to non-function {first}"))
            }
            _ => Ok(()),
        }
    }

    /// A literal where any type will do.
    fn literal(&mut self, operand: &'t Operand) -> Executed<Value> {
        self.node = Some(NodeRef::Operand(operand));
        match &operand.term {
            Term::Bool(value) => Ok(Value::Bool(*value)),
            Term::String { text, .. } => Ok(Value::string(text.as_str())),
            Term::Number(number) => self.ideal_constant(number),
            _ => self.error(format!("can't handle assignment of {operand} to empty interface argument")),
        }
    }

    fn ideal_constant(&self, number: &Number) -> Executed<Value> {
        let lower = number.text.to_ascii_lowercase();
        let is_hex = lower.starts_with("0x") && !lower.contains('p');
        let is_float = !is_hex && !lower.starts_with('\'') && lower.contains(['.', 'e', 'p']);
        match (number.float, number.int) {
            (Some(float), _) if is_float => Ok(Value::Float(float)),
            (_, Some(int)) => Ok(Value::int(int)),
            _ if number.is_big => self.error(format!("{} overflows int", number.text)),
            _ => Ok(Value::Invalid),
        }
    }

    fn eval_variable(
        &mut self,
        dot: &Value,
        operand: &'t Operand,
        args: &'t [Operand],
        last: Option<Value>,
    ) -> Executed<Value> {
        self.node = Some(NodeRef::Operand(operand));
        let Term::Variable(names) = &operand.term else { return Ok(Value::Invalid) };
        let (name, fields) = names.split_first().map_or(("", [].as_slice()), |(n, f)| (n.as_str(), f));
        let Some((_, value)) = self.vars.iter().rev().find(|(candidate, _)| candidate == name) else {
            return self.error(format!("undefined variable: {name}"));
        };
        let value = value.clone();
        if fields.is_empty() {
            self.not_a_function(args, last.as_ref())?;
            return Ok(value);
        }
        self.eval_fields(dot, value, operand, fields, args, last)
    }

    fn eval_chain(
        &mut self,
        dot: &Value,
        operand: &'t Operand,
        args: &'t [Operand],
        last: Option<Value>,
    ) -> Executed<Value> {
        self.node = Some(NodeRef::Operand(operand));
        let Term::Chain(inner, fields) = &operand.term else { return Ok(Value::Invalid) };
        let value = self.eval_arg(dot, Type::Any, inner)?;
        self.eval_fields(dot, value, operand, fields, args, last)
    }

    /// Evaluates `.X.Y.Z` from `receiver`; the last may be a method with arguments.
    fn eval_fields(
        &mut self,
        dot: &Value,
        receiver: Value,
        operand: &'t Operand,
        names: &'t [String],
        args: &'t [Operand],
        last: Option<Value>,
    ) -> Executed<Value> {
        let Some((name, before)) = names.split_last() else { return Ok(receiver) };
        let mut receiver = receiver;
        for name in before {
            receiver = self.eval_field(dot, &receiver, name, operand, &[], None)?;
        }
        self.eval_field(dot, &receiver, name, operand, args, last)
    }

    fn eval_field(
        &mut self,
        dot: &Value,
        receiver: &Value,
        name: &str,
        operand: &'t Operand,
        args: &'t [Operand],
        last: Option<Value>,
    ) -> Executed<Value> {
        let type_name = receiver.type_name();
        match receiver {
            Value::Invalid => return Ok(Value::Invalid),
            Value::NilInterface => {
                return self.error(format!("nil pointer evaluating {type_name}.{name}"));
            }
            _ => {}
        }
        if let Some(signature) = methods::signature(receiver, name) {
            let node = NodeRef::Operand(operand);
            return self.eval_call(dot, &Callee::Method(receiver), signature, node, name, args, last);
        }
        let Some(value) = receiver.field(name) else {
            return self.error(format!("can't evaluate field {name} in type {type_name}"));
        };
        if args.len() > 1 || last.is_some() {
            return self.error(match receiver.as_concrete() {
                Value::StringMap(_) | Value::Map(_) => format!("{name} is not a method but has arguments"),
                _ => format!("{name} has arguments but cannot be invoked as function"),
            });
        }
        Ok(value)
    }

    fn eval_function(
        &mut self,
        dot: &Value,
        operand: &'t Operand,
        node: NodeRef<'t>,
        name: &'t str,
        args: &'t [Operand],
        last: Option<Value>,
    ) -> Executed<Value> {
        self.node = Some(NodeRef::Operand(operand));
        let Some(signature) = functions::signature(name) else {
            return self.error(format!("{} is not a defined function", model::labels::quote(name)));
        };
        self.eval_call(dot, &Callee::Function, signature, node, name, args, last)
    }

    /// Evaluates the arguments and calls. The first of `args` is the function itself.
    #[expect(clippy::too_many_arguments, reason = "what a call is made of")]
    fn eval_call(
        &mut self,
        dot: &Value,
        callee: &Callee<'_>,
        signature: Signature,
        node: NodeRef<'t>,
        name: &str,
        args: &'t [Operand],
        last: Option<Value>,
    ) -> Executed<Value> {
        let args = args.get(1..).unwrap_or(&[]);
        let given = args.len() + usize::from(last.is_some());
        let fixed = signature.fixed.len();
        if signature.variadic.is_some() {
            if given < fixed {
                let got = args.len();
                return self
                    .error(format!("wrong number of args for {name}: want at least {fixed} got {got}"));
            }
        } else if given != fixed {
            return self.error(format!("wrong number of args for {name}: want {fixed} got {given}"));
        }
        if matches!(callee, Callee::Function) && matches!(name, "and" | "or") {
            return self.short_circuit(dot, name == "or", args, last);
        }
        let type_of =
            |at: usize| signature.fixed.get(at).copied().or(signature.variadic).unwrap_or(Type::Any);
        let mut values = Vec::with_capacity(given);
        for (at, arg) in args.iter().enumerate() {
            values.push(self.eval_arg(dot, type_of(at), arg)?);
        }
        if let Some(last) = last {
            values.push(self.validate(last, type_of(args.len()))?);
        }
        if matches!(name, "match" | "reReplaceAll") {
            self.burn(10_000)?;
        }
        let result = match callee {
            // There are no function values that it could call.
            Callee::Function if name == "call" => Err(CallError::Failed(not_callable(args, &values))),
            Callee::Function => functions::call(name, &values, self.env),
            Callee::Method(receiver) => Ok(methods::call(receiver, name, &values)),
        };
        let failed = match result {
            Ok(value) => {
                self.burn(value.weight())?;
                match &value {
                    Value::String(text) | Value::Html(text) if text.len() > STRING_BYTES_MAX => {
                        "result is too long".to_owned()
                    }
                    _ => return Ok(value),
                }
            }
            Err(CallError::Query(expr)) => return Err(ExecError::Query(expr)),
            Err(CallError::Failed(message)) => message,
        };
        self.node = Some(node);
        self.error(format!("error calling {name}: {failed}"))
    }

    /// `and` and `or`: the first argument that decides, else the last.
    fn short_circuit(
        &mut self,
        dot: &Value,
        decides: bool,
        args: &'t [Operand],
        last: Option<Value>,
    ) -> Executed<Value> {
        let mut value = Value::Invalid;
        for arg in args {
            value = self.eval_arg(dot, Type::Any, arg)?.concrete();
            if value.is_true() == decides {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn eval_arg(&mut self, dot: &Value, wanted: Type, operand: &'t Operand) -> Executed<Value> {
        self.node = Some(NodeRef::Operand(operand));
        let value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Nil => {
                return match wanted {
                    Type::Any | Type::QueryResult | Type::Sample => Ok(Value::Invalid),
                    _ => self.error(format!("cannot assign nil to {}", wanted.name())),
                };
            }
            Term::Field(names) => self.eval_fields(dot, dot.clone(), operand, names, &[], None)?,
            Term::Variable(_) => self.eval_variable(dot, operand, &[], None)?,
            Term::Pipe(pipe) => self.eval_pipeline(dot, pipe)?,
            Term::Identifier(name) => {
                self.eval_function(dot, operand, NodeRef::Operand(operand), name, &[], None)?
            }
            Term::Chain(..) => self.eval_chain(dot, operand, &[], None)?,
            Term::Bool(_) | Term::Number(_) | Term::String { .. } => {
                return self.literal_arg(wanted, operand);
            }
        };
        self.validate(value, wanted)
    }

    /// A literal where a type is wanted.
    fn literal_arg(&mut self, wanted: Type, operand: &'t Operand) -> Executed<Value> {
        let int = match &operand.term {
            Term::Number(number) => number.int,
            _ => None,
        };
        match (wanted, &operand.term) {
            (Type::Any, _) => self.literal(operand),
            (Type::Text, Term::String { text, .. }) => Ok(Value::string(text.as_str())),
            (Type::Text, _) => self.error(format!("expected string; found {operand}")),
            (Type::Int | Type::Duration, _) => match int {
                Some(int) if wanted == Type::Int => Ok(Value::int(int)),
                Some(ns) => Ok(Value::Duration { ns, pointer: false }),
                None => self.error(format!("expected integer; found {operand}")),
            },
            (Type::QueryResult | Type::Sample | Type::Time, _) => {
                self.error(format!("can't handle {operand} for arg of type {}", wanted.name()))
            }
        }
    }

    /// The value as the type wanted.
    fn validate(&self, value: Value, wanted: Type) -> Executed<Value> {
        if let Value::NilInterface = value
            && wanted != Type::Any
        {
            let wanted = wanted.name();
            return self.error(format!("wrong type for value; expected {wanted}; got interface {{}}"));
        }
        if wanted == Type::Any {
            return Ok(value);
        }
        let value = value.concrete();
        match (wanted, &value) {
            (Type::Text, Value::String(_))
            | (Type::QueryResult, Value::QueryResult(_) | Value::Invalid)
            | (Type::Sample, Value::Sample(_) | Value::Invalid)
            | (Type::Int, Value::Int(..))
            | (Type::Duration, Value::Duration { .. })
            | (Type::Time, Value::Time { .. }) => Ok(value),
            (_, Value::Invalid) => self.error(format!("invalid value; expected {}", wanted.name())),
            _ => {
                let got = value.type_name();
                self.error(format!("wrong type for value; expected {}; got {got}", wanted.name()))
            }
        }
    }
}

/// Why `call` cannot call its first argument.
fn not_callable(args: &[Operand], values: &[Value]) -> String {
    match values.first().map_or(&Value::Invalid, Value::as_concrete) {
        Value::Invalid => "call of nil".to_owned(),
        value => {
            let type_name = value.type_name();
            let name = args.first().map_or_else(|| format!("<{type_name} Value>"), Operand::to_string);
            format!("non-function {name} of type {type_name}")
        }
    }
}
