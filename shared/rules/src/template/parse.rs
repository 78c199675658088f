//! Tokens to trees: the grammar of Go's `text/template`, with its error messages.

use std::collections::BTreeMap;

use super::ast::{Branch, Command, Invocation, List, Node, Number, Operand, Pipe, Term};
use super::functions;
use super::lex::{Keyword, Kind, Token, lex};
use super::unquote::{unquote, unquote_char};

/// How deep actions and parentheses may nest.
const DEPTH_MAX: usize = 100;

/// The trees of one text: the text's own under its name, and one for each `define` and `block`.
pub(super) type Trees = BTreeMap<String, List>;

/// Parses `text`, which errors call `name`.
///
/// # Errors
/// Go's message: `template: name:line: …`.
pub(super) fn parse(name: &str, text: &str) -> Result<Trees, String> {
    let mut parser = Parser {
        name,
        tokens: lex(text),
        next: 0,
        furthest: 0,
        trees: Trees::new(),
        vars: vec!["$".to_owned()],
        range_depth: 0,
        depth: 0,
        action_line: 0,
    };
    let root = parser.top_level()?;
    parser.add(name.to_owned(), root)?;
    Ok(parser.trees)
}

struct Parser<'a> {
    name: &'a str,
    tokens: Vec<Token>,
    next: usize,
    /// One past the last token that was looked at: errors are on its line.
    furthest: usize,
    trees: Trees,
    vars: Vec<String>,
    range_depth: usize,
    depth: usize,
    action_line: usize,
}

/// What ends a list.
enum End {
    End,
    Else(Keyword),
}

/// A node, or what ends the list that it would be in.
enum Item {
    Node(Node),
    End(End),
}

type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    fn next(&mut self) -> Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn peek(&mut self) -> Token {
        self.furthest = self.furthest.max(self.next + 1);
        let last = self.tokens.len().saturating_sub(1);
        match self.tokens.get(self.next.min(last)) {
            Some(token) if self.next <= last || token.kind == Kind::Eof => token.clone(),
            // After an error the lexer has nothing more to say.
            token => {
                let line = token.map_or(1, |token| token.line);
                Token { kind: Kind::Eof, at: 0, text: "EOF".to_owned(), line }
            }
        }
    }

    fn backup(&mut self) {
        self.next = self.next.saturating_sub(1);
    }

    fn next_non_space(&mut self) -> Token {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> Token {
        let token = self.next_non_space();
        self.backup();
        token
    }

    fn error<T>(&self, message: impl AsRef<str>) -> Parsed<T> {
        let last = self.tokens.get(self.furthest.saturating_sub(1)).or(self.tokens.last());
        let line = last.map_or(1, |token| token.line);
        Err(format!("template: {}:{line}: {}", self.name, message.as_ref()))
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        if token.kind == Kind::Error {
            let mut extra = String::new();
            if self.action_line != 0 && self.action_line != token.line {
                let action = if token.text.ends_with(" action") { "" } else { " in action" };
                extra = format!("{action} started at {}:{}", self.name, self.action_line);
            }
            return self.error(format!("{}{extra}", token.text));
        }
        self.error(format!("unexpected {} in {context}", token.describe()))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Token> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { self.unexpected(&token, context) }
    }

    /// Runs `parse` one level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return self.error("max expression depth exceeded");
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn add(&mut self, name: String, list: List) -> Parsed<()> {
        match self.trees.get(&name) {
            Some(earlier) if !earlier.is_blank() => {
                if list.is_blank() {
                    return Ok(());
                }
                let name = model::labels::quote(&name);
                self.error(format!("template: multiple definition of template {name}"))
            }
            _ => {
                self.trees.insert(name, list);
                Ok(())
            }
        }
    }

    fn top_level(&mut self) -> Parsed<List> {
        let mut list = List::default();
        while self.peek().kind != Kind::Eof {
            if self.peek().kind == Kind::LeftDelim {
                let delim = self.next;
                self.next();
                if self.next_non_space().kind == Kind::Keyword(Keyword::Define) {
                    self.definition()?;
                    continue;
                }
                self.next = delim;
            }
            match self.text_or_action()? {
                Item::Node(node) => list.nodes.push(node),
                Item::End(end) => return self.error(format!("unexpected {}", describe_end(&end))),
            }
        }
        Ok(list)
    }

    /// A tree of its own: no variables but `$`.
    fn own_tree(&mut self, name: String, context: &str) -> Parsed<()> {
        let vars = std::mem::replace(&mut self.vars, vec!["$".to_owned()]);
        let range_depth = std::mem::take(&mut self.range_depth);
        let (list, end) = self.deeper(Self::item_list)?;
        if let End::Else(_) = end {
            return self.error(format!("unexpected {} in {context}", describe_end(&end)));
        }
        self.add(name, list)?;
        self.vars = vars;
        self.range_depth = range_depth;
        Ok(())
    }

    fn definition(&mut self) -> Parsed<()> {
        let context = "define clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, context)?;
        self.expect(Kind::RightDelim, context)?;
        self.own_tree(name, context)
    }

    fn template_name(&self, token: &Token, context: &str) -> Parsed<String> {
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return self.unexpected(token, context);
        }
        unquote(&token.text).or_else(|error| self.error(error))
    }

    fn item_list(&mut self) -> Parsed<(List, End)> {
        let mut list = List::default();
        while self.peek_non_space().kind != Kind::Eof {
            match self.text_or_action()? {
                Item::Node(node) => list.nodes.push(node),
                Item::End(end) => return Ok((list, end)),
            }
        }
        self.error("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.text))),
            Kind::LeftDelim => {
                self.action_line = token.line;
                let item = self.action()?;
                self.action_line = 0;
                Ok(item)
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        let node = match token.kind {
            Kind::Keyword(Keyword::Block) => self.block()?,
            Kind::Keyword(Keyword::Break) => self.loop_control("{{break}}", Node::Break)?,
            Kind::Keyword(Keyword::Continue) => self.loop_control("{{continue}}", Node::Continue)?,
            Kind::Keyword(Keyword::Else) => return self.else_control(),
            Kind::Keyword(Keyword::End) => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Item::End(End::End));
            }
            Kind::Keyword(Keyword::If) => Node::If(self.control("if")?),
            Kind::Keyword(Keyword::Range) => Node::Range(self.control("range")?),
            Kind::Keyword(Keyword::With) => Node::With(self.control("with")?),
            Kind::Keyword(Keyword::Template) => self.template()?,
            _ => {
                self.backup();
                Node::Action(self.pipeline("command", Kind::RightDelim)?)
            }
        };
        Ok(Item::Node(node))
    }

    fn loop_control(&mut self, word: &str, node: Node) -> Parsed<Node> {
        let token = self.next_non_space();
        if token.kind != Kind::RightDelim {
            return self.unexpected(&token, word);
        }
        if self.range_depth == 0 {
            return self.error(format!("{word} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn else_control(&mut self) -> Parsed<Item> {
        // `else if` and `else with` leave their second word to be read by whoever reads the else.
        let peeked = self.peek_non_space();
        if let Kind::Keyword(word @ (Keyword::If | Keyword::With)) = peeked.kind {
            return Ok(Item::End(End::Else(word)));
        }
        self.expect(Kind::RightDelim, "else")?;
        Ok(Item::End(End::Else(Keyword::Else)))
    }

    fn control(&mut self, context: &'static str) -> Parsed<Branch> {
        self.deeper(|parser| parser.control_body(context))
    }

    fn control_body(&mut self, context: &'static str) -> Parsed<Branch> {
        let vars = self.vars.len();
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let is_range = context == "range";
        self.range_depth += usize::from(is_range);
        let (list, end) = self.item_list()?;
        self.range_depth -= usize::from(is_range);
        let else_list = match end {
            End::End => None,
            End::Else(Keyword::If) if context == "if" => {
                self.next_non_space();
                Some(List { nodes: vec![Node::If(self.control("if")?)] })
            }
            End::Else(Keyword::With) if context == "with" => {
                self.next_non_space();
                Some(List { nodes: vec![Node::With(self.control("with")?)] })
            }
            End::Else(_) => {
                let (list, end) = self.item_list()?;
                if let End::Else(_) = end {
                    return self.error(format!("expected end; found {}", describe_end(&end)));
                }
                Some(list)
            }
        };
        self.vars.truncate(vars);
        Ok(Branch { pipe, list, else_list })
    }

    fn block(&mut self) -> Parsed<Node> {
        let context = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, context)?;
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        self.own_tree(name.clone(), context)?;
        Ok(Node::Template(Invocation { at: token.at, name, pipe: Some(pipe) }))
    }

    fn template(&mut self) -> Parsed<Node> {
        let context = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, context)?;
        let mut pipe = None;
        if self.next_non_space().kind != Kind::RightDelim {
            self.backup();
            pipe = Some(self.pipeline(context, Kind::RightDelim)?);
        }
        Ok(Node::Template(Invocation { at: token.at, name, pipe }))
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let mut pipe = Pipe { at: self.peek_non_space().at, ..Pipe::default() };
        while self.declaration(&mut pipe, context)? {}
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => {
                    self.check_pipeline(&pipe, context)?;
                    return Ok(pipe);
                }
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.backup();
                    pipe.commands.push(self.command()?);
                }
                _ => return self.unexpected(&token, context),
            }
        }
    }

    /// Reads `$x :=`, `$x =` or, in a range, `$i,`. Whether another declaration follows.
    fn declaration(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<bool> {
        let variable = self.peek_non_space();
        if variable.kind != Kind::Variable {
            return Ok(false);
        }
        let start = self.next;
        self.next();
        let following = self.peek_non_space();
        match following.kind {
            Kind::Assign | Kind::Declare => {
                pipe.is_assign = following.kind == Kind::Assign;
                self.next_non_space();
                pipe.variables.push(variable.text.clone());
                self.vars.push(variable.text);
                Ok(false)
            }
            Kind::Char if following.text == "," => {
                self.next_non_space();
                pipe.variables.push(variable.text.clone());
                self.vars.push(variable.text);
                if context != "range" || pipe.variables.len() >= 2 {
                    return self.error(format!("too many declarations in {context}"));
                }
                match self.peek_non_space().kind {
                    Kind::Variable | Kind::RightDelim | Kind::RightParen => Ok(true),
                    _ => self.error("range can only initialize variables"),
                }
            }
            _ => {
                self.next = start;
                Ok(false)
            }
        }
    }

    fn check_pipeline(&self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return self.error(format!("missing value for {context}"));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            let term = command.args.first().map(|operand| &operand.term);
            let literal = matches!(
                term,
                Some(Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::String { .. })
            );
            if literal {
                return self.error(format!("non executable command in pipeline stage {}", index + 1));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut command = Command { at: self.peek_non_space().at, args: Vec::new() };
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                command.args.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.backup(),
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if command.args.is_empty() {
            return self.error("empty command");
        }
        Ok(command)
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(operand) = self.term()? else { return Ok(None) };
        if self.peek().kind != Kind::Field {
            return Ok(Some(operand));
        }
        let at = self.peek().at;
        let mut names = Vec::new();
        while self.peek().kind == Kind::Field {
            names.push(self.next().text.trim_start_matches('.').to_owned());
        }
        let term = match operand.term {
            Term::Field(mut fields) => {
                fields.append(&mut names);
                Term::Field(fields)
            }
            Term::Variable(mut fields) => {
                fields.append(&mut names);
                Term::Variable(fields)
            }
            Term::Bool(_) | Term::String { .. } | Term::Number(_) | Term::Nil | Term::Dot => {
                let term = model::labels::quote(&operand.to_string());
                return self.error(format!("unexpected . after term {term}"));
            }
            Term::Identifier(_) | Term::Pipe(_) | Term::Chain(..) => Term::Chain(Box::new(operand), names),
        };
        Ok(Some(Operand { at, term }))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.next_non_space();
        let term = match token.kind {
            Kind::Identifier => {
                if !functions::exists(&token.text) {
                    let name = model::labels::quote(&token.text);
                    return self.error(format!("function {name} not defined"));
                }
                Term::Identifier(token.text)
            }
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Variable => {
                if !self.vars.contains(&token.text) {
                    let name = model::labels::quote(&token.text);
                    return self.error(format!("undefined variable {name}"));
                }
                Term::Variable(vec![token.text])
            }
            Kind::Field => Term::Field(vec![token.text.trim_start_matches('.').to_owned()]),
            Kind::Bool => Term::Bool(token.text == "true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => {
                Term::Number(number(&token).or_else(|error| self.error(error))?)
            }
            Kind::LeftParen => {
                let pipe =
                    self.deeper(|parser| parser.pipeline("parenthesized pipeline", Kind::RightParen))?;
                return Ok(Some(Operand { at: pipe.at, term: Term::Pipe(pipe) }));
            }
            Kind::String | Kind::RawString => {
                let text = unquote(&token.text).or_else(|error| self.error(error))?;
                Term::String { quoted: token.text, text }
            }
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        Ok(Some(Operand { at: token.at, term }))
    }
}

fn describe_end(end: &End) -> &'static str {
    match end {
        End::End => "{{end}}",
        End::Else(_) => "{{else}}",
    }
}

/// A number literal, under every type that can hold it, as Go's ideal constants.
fn number(token: &Token) -> Result<Number, String> {
    let text = token.text.clone();
    let illegal = || format!("illegal number syntax: {}", model::labels::quote(&token.text));
    if token.kind == Kind::CharConstant {
        let c = unquote_char(&text)?;
        let int = i64::from(u32::from(c));
        return Ok(Number { text, int: Some(int), float: Some(int as f64), is_big: false });
    }
    if token.kind == Kind::Complex || text.ends_with('i') {
        return Err(format!("complex numbers are not supported: {}", model::labels::quote(&text)));
    }
    match integer(&text) {
        Some(value) => {
            let int = i64::try_from(value).ok();
            if int.is_none() && u64::try_from(value).is_err() {
                return Err(format!("integer overflow: {}", model::labels::quote(&text)));
            }
            Ok(Number { text, int, float: Some(value as f64), is_big: int.is_none() })
        }
        None => {
            if !text.contains(['.', 'e', 'E', 'p', 'P']) {
                let overflows = text.bytes().all(|b| b.is_ascii_digit() || b == b'+' || b == b'-');
                let what = format!("integer overflow: {}", model::labels::quote(&text));
                return Err(if overflows && text.len() > 1 { what } else { illegal() });
            }
            let float = model::number::parse_float(&text.replace('_', "")).ok_or_else(illegal)?;
            if float.is_infinite() {
                return Err(illegal());
            }
            let whole = float.trunc() == float && float.abs() < 9.2e18;
            Ok(Number { text, int: whole.then_some(float as i64), float: Some(float), is_big: false })
        }
    }
}

/// Go's `strconv.ParseInt(text, 0, 64)`, wide enough to hold a `u64` too.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, lower.get(2..)?),
        Some("0o") => (8, lower.get(2..)?),
        Some("0b") => (2, lower.get(2..)?),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    let value = i128::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    Some(if negative { -value } else { value })
}
