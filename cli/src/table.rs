//! Tables for people: plain text, columns aligned, no wider than they need to be.

pub(crate) use nightshift_core::figures::thousands;

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table that is printed once all its rows are known.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The text, one line a row, the header first, two spaces between columns.
    pub(crate) fn render(&self) -> String {
        let header: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let all = || std::iter::once(&header).chain(&self.rows);
        let width = |column: usize| {
            all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..self.columns.len()).filter_map(width).collect();
        let mut text = String::new();
        for row in all() {
            let cells = row.iter().zip(&widths).zip(&self.columns);
            let line: Vec<String> = cells
                .map(|((cell, &width), (_, align))| match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                })
                .collect();
            text.push_str(line.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// Seconds with as many digits as are worth reading.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.2}") } else { format!("{seconds:.1}") }
}

/// Rows a second, or a dash where nothing was done.
pub(crate) fn rate(rows: u64, seconds: f64) -> String {
    if rows == 0 || seconds <= 0.0 {
        "-".to_owned()
    } else {
        thousands((rows as f64 / seconds) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&[("date", Align::Left), ("rows", Align::Right)]);
        table.row(["2013-01-01".to_owned(), thousands(1_234_567)]);
        table.row(["all".to_owned(), thousands(7)]);
        assert_eq!(
            table.render(),
            "date             rows\n2013-01-01  1,234,567\nall                 7\n"
        );
    }
}
