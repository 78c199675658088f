use super::*;

fn kinds(text: &str) -> Result<Vec<Kind>, LexError> {
    let mut lexer = Lexer::new(text);
    let mut kinds = Vec::new();
    loop {
        match lexer.next_token()?.kind {
            Kind::EndOfInput => return Ok(kinds),
            kind => kinds.push(kind),
        }
    }
}

#[test]
fn words_between_braces_are_names() {
    let expected =
        [Kind::Aggregator(crate::parser::ast::AggregateOp::Sum), Kind::LeftBrace, Kind::Identifier];
    assert_eq!(kinds("SUM{sum}").unwrap()[..3], expected);
}

#[test]
fn fill_is_a_keyword_only_before_a_parenthesis() {
    assert_eq!(kinds("fill").unwrap(), [Kind::Identifier]);
    assert_eq!(kinds("fill \n(").unwrap_err().message, "unclosed left parenthesis");
    assert_eq!(kinds("fill ()").unwrap()[0], Kind::Keyword(Keyword::Fill));
}

#[test]
fn comments_end_with_the_line() {
    assert_eq!(kinds("a # b \n c # d").unwrap(), [Kind::Identifier, Kind::Identifier]);
}
