//! How numbers are distributed, as bars: promtool's `displayHistogram`.

use crate::say;

/// Widest step between two bars.
const STEP_MAX: u64 = 10_000;

/// Prints least, mean and greatest of `numbers`, and a bar for each range of them.
pub(super) fn print(what: &str, numbers: &mut [u64]) {
    for line in lines(what, numbers) {
        say(line);
    }
}

fn lines(what: &str, numbers: &mut [u64]) -> Vec<String> {
    numbers.sort_unstable();
    let (Some(least), Some(greatest)) = (numbers.first().copied(), numbers.last().copied()) else {
        return vec![format!("{what}: N/A\n")];
    };
    let total = numbers.len() as u64;
    let wanted = (greatest - least) / 10;
    let mut step = 10;
    while step < wanted && step <= STEP_MAX {
        step *= 10;
    }
    let start = least - least % step;
    let end = greatest - greatest % step + step;
    let sum: u64 = numbers.iter().sum();
    let mut lines = vec![format!("{what} (min/avg/max): {least}/{}/{greatest}", sum / total)];
    let digits = |number: u64| number.to_string().len();
    let mut bars: Vec<(u64, u64)> = Vec::new();
    let mut rest = &*numbers;
    while let Some(first) = rest.first() {
        let bar = (first - start) / step;
        let count = rest.partition_point(|number| (number - start) / step <= bar);
        bars.push((bar, count as u64));
        rest = rest.get(count..).unwrap_or_default();
    }
    let widest = bars.iter().map(|(_, count)| digits(*count)).max().unwrap_or(1);
    for (bar, count) in bars {
        let (from, to) = (start + bar * step + 1, start + (bar + 1) * step);
        let bar = "#".repeat(usize::try_from(100 * count / total).unwrap_or(0));
        lines.push(format!(
            "[{from:left$}, {to:right$}]: {count:widest$} {bar}",
            left = digits(end),
            right = digits(end + step)
        ));
    }
    lines.push(String::new());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_bars() {
        assert_eq!(
            lines("samples", &mut [3, 120, 4, 5]),
            [
                "samples (min/avg/max): 3/33/120",
                "[  1, 100]: 3 ###########################################################################",
                "[101, 200]: 1 #########################",
                ""
            ]
        );
        assert_eq!(lines("samples", &mut []), ["samples: N/A\n"]);
    }
}
