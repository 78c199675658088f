//! Tables in Markdown.

use std::fmt;

/// A table under a heading.
#[derive(Clone, Debug, Default)]
pub struct Table {
    title: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    /// An empty table with these columns.
    #[must_use]
    pub fn new(title: impl Into<String>, header: &[&str]) -> Self {
        let header = header.iter().map(|&text| text.to_owned()).collect();
        Self { title: title.into(), header, ..Self::default() }
    }

    /// Adds a row; missing cells are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Adds a line below the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n", self.title)?;
        if !self.rows.is_empty() {
            writeln!(f, "| {} |", self.header.join(" | "))?;
            writeln!(f, "|{}", "---|".repeat(self.header.len()))?;
            for row in &self.rows {
                let cell = |at: usize| row.get(at).map_or("", String::as_str);
                let cells: Vec<&str> = (0..self.header.len().max(row.len())).map(cell).collect();
                writeln!(f, "| {} |", cells.join(" | "))?;
            }
            writeln!(f)?;
        }
        for note in &self.notes {
            writeln!(f, "{note}\n")?;
        }
        Ok(())
    }
}

/// A count with commas between thousands.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A part of a whole in percent, with one decimal.
#[must_use]
pub fn percent(part: f64, whole: f64) -> String {
    if whole == 0.0 { "-".to_owned() } else { format!("{:.1} %", part / whole * 100.0) }
}

/// `met` or `MISSED`, whether `figure` is at most `gate`.
#[must_use]
pub fn at_most(figure: f64, gate: f64) -> &'static str {
    if figure <= gate { "met" } else { "**MISSED**" }
}

/// `met` or `MISSED`, whether `figure` is at least `gate`.
#[must_use]
pub fn at_least(figure: f64, gate: f64) -> &'static str {
    if figure >= gate { "met" } else { "**MISSED**" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_markdown() {
        let mut table = Table::new("Sizes", &["what", "bytes"]);
        table.row(["a", "1"]);
        table.row([count(1_234_567)]);
        table.note("Seen once.");
        assert_eq!(
            table.to_string(),
            "### Sizes\n\n| what | bytes |\n|---|---|\n| a | 1 |\n| 1,234,567 |  |\n\nSeen once.\n\n"
        );
    }

    #[test]
    fn gates_are_inclusive() {
        assert_eq!((at_most(1.0, 1.0), at_least(1.0, 1.0)), ("met", "met"));
        assert_eq!((at_most(1.1, 1.0), at_least(0.9, 1.0)), ("**MISSED**", "**MISSED**"));
        assert_eq!((percent(1.0, 4.0), percent(1.0, 0.0)), ("25.0 %".to_owned(), "-".to_owned()));
    }
}
