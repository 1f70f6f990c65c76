//! Rows in the order in which trees read them.

use super::{Number, Trees};

/// Rows that are evaluated together: eight registers of 16 floats.
pub const TILE: usize = 128;
/// Most columns whose numbers lie beside each other; more of them would take megabytes.
const COLUMNS_MAX: usize = 8192;

/// Whether so many columns are too many for a tile by columns.
pub(super) fn is_wide(columns: usize) -> bool {
    columns > COLUMNS_MAX
}

/// Up to [`TILE`] rows of the columns that trees look at.
#[derive(Debug)]
pub struct Tile<T> {
    /// For each column, the numbers of all rows. Beyond the rows there is something.
    columns: Vec<[T; TILE]>,
    /// Row by row instead, where there are too many columns.
    rows: Vec<T>,
    width: usize,
    len: usize,
    has_missing: bool,
}

impl<T: Number> Tile<T> {
    /// The first rows, at most [`TILE`], of `rows`, each of `width` numbers, for `trees`. A value in
    /// a column beyond `width` is missing.
    pub fn of_rows(trees: &Trees<T>, rows: &[T], width: usize) -> Self {
        let rows = rows.chunks_exact(width.max(1)).take(TILE);
        let len = rows.len();
        let mut tile = Self::empty(trees, len);
        let number = |row: &[T], column: u32| {
            let number = row.get(column as usize).copied();
            number.unwrap_or(T::MISSING)
        };
        if is_wide(tile.width) {
            for row in rows {
                tile.rows.extend(trees.columns.iter().map(|column| number(row, *column)));
            }
            return tile;
        }
        for (lane, row) in rows.enumerate() {
            for (to, column) in tile.columns.iter_mut().zip(&trees.columns) {
                let number = number(row, *column);
                tile.has_missing |= number.is_missing();
                if let Some(to) = to.get_mut(lane) {
                    *to = number;
                }
            }
        }
        tile
    }

    fn empty(trees: &Trees<T>, len: usize) -> Self {
        let width = trees.columns.len();
        let columns = if is_wide(width) { 0 } else { width };
        Self {
            columns: vec![[T::default(); TILE]; columns],
            rows: Vec::new(),
            width,
            len,
            has_missing: false,
        }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Numbers by column; nothing where they lie by row.
    pub(super) fn columns(&self) -> &[[T; TILE]] {
        &self.columns
    }

    /// Numbers by row, and how many a row has; nothing where they lie by column.
    pub(super) fn rows(&self) -> (&[T], usize) {
        (&self.rows, self.width)
    }

    /// Whether a number by column may be missing.
    pub(super) fn has_missing(&self) -> bool {
        self.has_missing
    }
}
