//! Executes parsed templates. The order in which nodes are visited is that of Go's `text/template`, for an error names
//! the node that was visited last.

use super::ast::{Branch, Invocation, List, Node, NodeRef};
use super::functions::Env;
use super::parse::Trees;
use super::value::Value;
use super::{STRING_BYTES_MAX, gofmt};

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

/// What execution gives.
pub(super) type Executed<T> = Result<T, ExecError>;

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

/// An execution under way.
pub(super) struct State<'t> {
    trees: &'t Trees,
    parse_name: &'t str,
    text: &'t str,
    pub(super) env: &'t Env<'t>,
    /// The template that is being executed.
    name: &'t str,
    /// The node visited last.
    pub(super) node: Option<NodeRef<'t>>,
    pub(super) vars: Vec<(String, Value)>,
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

impl<'t> State<'t> {
    pub(super) fn error<T>(&self, message: impl AsRef<str>) -> Executed<T> {
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

    pub(super) fn burn(&mut self, fuel: usize) -> Executed<()> {
        match self.fuel.checked_sub(fuel) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => self.error("template takes too long"),
        }
    }

    pub(super) fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Executed<T>) -> Executed<T> {
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

    pub(super) fn set_var(&mut self, name: &str, value: Value) -> Executed<()> {
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
}
