//! What a template parses to. The printed forms are Go's, for error messages quote them.

use std::fmt;

/// A parsed `{{define}}`, or the whole text.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    pub(super) nodes: Vec<Node>,
}

impl List {
    /// Whether there is nothing but white space.
    pub(super) fn is_blank(&self) -> bool {
        self.nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
    }
}

/// A piece of text or an action.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(Invocation),
    Break,
    Continue,
}

/// `if`, `with` or `range`.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) list: List,
    pub(super) else_list: Option<List>,
}

/// `{{template "name" pipeline}}`.
#[derive(Clone, Debug)]
pub(super) struct Invocation {
    pub(super) at: usize,
    pub(super) name: String,
    pub(super) pipe: Option<Pipe>,
}

/// A pipeline, with the variables that it sets.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe {
    pub(super) at: usize,
    /// The variables are assigned (`=`), not declared (`:=`).
    pub(super) is_assign: bool,
    /// Names with their `$`.
    pub(super) variables: Vec<String>,
    pub(super) commands: Vec<Command>,
}

/// Operands between `|`.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) at: usize,
    pub(super) args: Vec<Operand>,
}

/// A term with its position.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) at: usize,
    pub(super) term: Term,
}

/// One operand.
#[derive(Clone, Debug)]
pub(super) enum Term {
    Bool(bool),
    Dot,
    Nil,
    Number(Number),
    String {
        /// As written, quotes included.
        quoted: String,
        text: String,
    },
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`: the first has its `$`.
    Variable(Vec<String>),
    /// A function.
    Identifier(String),
    Pipe(Pipe),
    /// `(pipeline).a.b`, `function.a`
    Chain(Box<Operand>, Vec<String>),
}

/// A number literal under every type that can hold it.
#[derive(Clone, Debug)]
pub(super) struct Number {
    pub(super) text: String,
    pub(super) int: Option<i64>,
    pub(super) float: Option<f64>,
    /// An integer beyond `i64`.
    pub(super) is_big: bool,
}

/// A node that an error may be at.
#[derive(Clone, Copy, Debug)]
pub(super) enum NodeRef<'t> {
    Pipe(&'t Pipe),
    Command(&'t Command),
    Operand(&'t Operand),
    Template(&'t Invocation),
}

impl NodeRef<'_> {
    /// Byte offset in the text.
    pub(super) fn at(self) -> usize {
        match self {
            Self::Pipe(pipe) => pipe.at,
            Self::Command(command) => command.at,
            Self::Operand(operand) => operand.at,
            Self::Template(invocation) => invocation.at,
        }
    }
}

impl fmt::Display for NodeRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pipe(pipe) => pipe.fmt(f),
            Self::Command(command) => command.fmt(f),
            Self::Operand(operand) => operand.fmt(f),
            Self::Template(invocation) => {
                write!(f, "{{{{template {}", model::labels::quote(&invocation.name))?;
                if let Some(pipe) = &invocation.pipe {
                    write!(f, " {pipe}")?;
                }
                f.write_str("}}")
            }
        }
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            write!(f, "{} {} ", self.variables.join(", "), if self.is_assign { "=" } else { ":=" })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            command.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, arg) in self.args.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            match &arg.term {
                Term::Pipe(pipe) => write!(f, "({pipe})")?,
                _ => arg.fmt(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.term {
            Term::Bool(value) => write!(f, "{value}"),
            Term::Dot => f.write_str("."),
            Term::Nil => f.write_str("nil"),
            Term::Number(number) => f.write_str(&number.text),
            Term::String { quoted, .. } => f.write_str(quoted),
            Term::Field(names) => names.iter().try_for_each(|name| write!(f, ".{name}")),
            Term::Variable(names) => f.write_str(&names.join(".")),
            Term::Identifier(name) => f.write_str(name),
            Term::Pipe(pipe) => pipe.fmt(f),
            Term::Chain(operand, names) => {
                match &operand.term {
                    Term::Pipe(pipe) => write!(f, "({pipe})")?,
                    _ => operand.fmt(f)?,
                }
                names.iter().try_for_each(|name| write!(f, ".{name}"))
            }
        }
    }
}
