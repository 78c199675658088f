//! Evaluates pipelines, commands and their operands. The second half of Go's `text/template/exec.go`.

use super::ast::{Command, NodeRef, Number, Operand, Pipe, Term};
use super::exec::{ExecError, Executed, State};
use super::functions::{self, CallError, Signature, Type};
use super::value::Value;
use super::{STRING_BYTES_MAX, methods};

/// What is called.
enum Callee<'v> {
    Function,
    Method(&'v Value),
}

impl<'t> State<'t> {
    pub(super) fn eval_pipeline(&mut self, dot: &Value, pipe: &'t Pipe) -> Executed<Value> {
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
