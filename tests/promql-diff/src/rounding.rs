//! Functions whose last digit is nobody's to define: Go computes `sin` and its kin by other formulas than the C library.
//! What floors, compares or prints their results can then differ by more than that digit.

/// Such functions; exact ones of the same type take their place.
const FUNCTIONS: [&str; 16] = [
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "exp", "ln", "log10", "log2", "sin",
    "sinh", "tan", "tanh",
];

/// The query with exact functions in place of those that round.
#[must_use]
pub fn exact(query: &str) -> String {
    let mut text = query.replace(" atan2", " +").replace(" ^", " +");
    for function in FUNCTIONS {
        text = replace_call(&text, function, "abs");
    }
    text
}

fn replace_call(text: &str, function: &str, with: &str) -> String {
    let call = format!("{function}(");
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(&call) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let inside = out.chars().last().is_some_and(|last| last.is_alphanumeric() || last == '_');
        out.push_str(if inside { function } else { with });
        rest = after.get(function.len()..).unwrap_or_default();
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_replaced() {
        assert_eq!(exact("tan(atan(x)) ^ sin(y) atan2 asin_total"), "abs(abs(x)) + abs(y) + asin_total");
        assert_eq!(exact("min(x)"), "min(x)");
    }
}
