//! Expressions as they are generated: templates with holes, so that any part can be put in place of any other of its type.

use std::fmt;

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A number a step.
    Scalar,
    /// Series with a sample a step.
    Vector,
    /// Series with a range of samples a step.
    Matrix,
    /// Text, durations, modifiers: what is no expression.
    Other,
}

/// A piece of an expression's text.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// Text that may be left out.
    Optional(String),
    /// An expression within.
    Child(Node),
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its type.
    pub ty: Type,
    /// Its text.
    pub parts: Vec<Part>,
}

impl Node {
    /// An expression without a part that is one.
    pub fn leaf(ty: Type, text: impl Into<String>) -> Self {
        Self { ty, parts: vec![Part::Text(text.into())] }
    }

    /// An expression by its template: `%` stands for the next of `children`.
    pub fn of(ty: Type, template: &str, children: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = Vec::new();
        let mut children = children.into_iter();
        for (at, text) in template.split('%').enumerate() {
            if at > 0 {
                parts.extend(children.next().map(Part::Child));
            }
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
        }
        Self { ty, parts }
    }

    /// With text after it that may be left out.
    #[must_use]
    pub fn with_optional(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.parts.push(Part::Optional(text));
        }
        self
    }

    /// All expressions that are a little smaller.
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        self.descendants(self.ty, &mut all);
        for (at, part) in self.parts.iter().enumerate() {
            let mut put = |new: Option<Part>| {
                let mut parts = self.parts.clone();
                parts.splice(at..=at, new);
                all.push(Self { ty: self.ty, parts });
            };
            match part {
                Part::Text(_) => {}
                Part::Optional(_) => put(None),
                Part::Child(child) => {
                    let leaf = match child.ty {
                        Type::Scalar => "1",
                        Type::Vector => "a_total",
                        Type::Matrix => "a_total[5m]",
                        Type::Other => "",
                    };
                    let leaf = Self::leaf(child.ty, leaf);
                    if child.ty != Type::Other && child.to_string().len() > leaf.to_string().len() {
                        put(Some(Part::Child(leaf)));
                    }
                    child.smaller().into_iter().for_each(|child| put(Some(Part::Child(child))));
                }
            }
        }
        all
    }

    fn descendants(&self, ty: Type, all: &mut Vec<Self>) {
        for part in &self.parts {
            if let Part::Child(child) = part {
                if child.ty == ty {
                    all.push(child.clone());
                } else {
                    child.descendants(ty, all);
                }
            }
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) | Part::Optional(text) => f.write_str(text),
            Part::Child(child) => child.fmt(f),
        })
    }
}
