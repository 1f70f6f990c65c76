//! Tables of at most 80 columns.

/// Rows of cells under a header, columns two spaces apart; the first column stands left, the
/// others right.
pub(crate) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let all = || std::iter::once(&header).chain(rows);
    let width = |column: usize| {
        all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for row in all() {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A whole number with a comma between thousands.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Two numbers of milliseconds.
pub(crate) fn pair_of_ms(first: f64, second: f64) -> String {
    let short = |ms: f64| if ms < 10.0 { format!("{ms:.2}") } else { format!("{ms:.1}") };
    format!("{} / {}", short(first), short(second))
}

/// Bytes as millions of them.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["memory".into(), thousands(12_345.4)], vec!["a".into(), thousands(7.0)]];
        assert_eq!(
            render(&["ledger", "pairs/s"], &rows),
            "ledger  pairs/s\nmemory   12,345\na             7\n"
        );
        assert_eq!(pair_of_ms(1.234, 12.34), "1.23 / 12.3");
        assert_eq!(thousands(1_000_000.0), "1,000,000");
        assert_eq!(megabytes(12_345_678), "12.3 MB");
    }
}
