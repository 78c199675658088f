//! Tables as Go's `tabwriter` aligns them for promtool: columns at least 13 wide, two blanks apart.

/// The least width of a column.
const WIDTH_MIN: usize = 13;
/// Blanks after the widest cell.
const PADDING: usize = 2;

/// The rows as lines. The last column is not padded.
pub(super) fn lines(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let widest = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        (widest.unwrap_or(0) + PADDING).max(WIDTH_MIN)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            line.push_str(cell);
            if at + 1 < row.len() {
                line.extend(std::iter::repeat_n(' ', width - cell.chars().count().min(*width)));
            }
        }
        line
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_as_promtool_does() {
        let rows = [["a", "b", "c"], ["a long cell here", "1", "2"]];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        assert_eq!(lines(&rows), ["a                 b            c", "a long cell here  1            2"]);
    }
}
