//! Rows in the order in which trees read them.

use super::{Number, Trees};

/// Rows that are evaluated together: eight registers of 16 floats.
pub const TILE: usize = 128;
/// A number or word for each row of a tile, where no register crosses a line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct Lanes<T>(pub [T; TILE]);

impl<T: Copy + Default> Default for Lanes<T> {
    fn default() -> Self {
        Self([T::default(); TILE])
    }
}

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
    columns: Vec<Lanes<T>>,
    /// Row by row instead, where there are too many columns.
    rows: Vec<T>,
    width: usize,
    len: usize,
    has_missing: bool,
}

impl<T: Number> Tile<T> {
    /// Tiles of `rows`, each of `width` numbers, for `trees`. A value in a column beyond `width` is
    /// missing.
    pub fn of_rows(trees: &Trees<T>, rows: &[T], width: usize) -> Vec<Self> {
        let width = width.max(1);
        let tile = |rows: &[T]| {
            let len = rows.len() / width;
            Self::filled(trees, len, |column, to| {
                let Some(column) = Some(column as usize).filter(|column| *column < width) else {
                    return to.fill(T::MISSING);
                };
                let numbers = rows.iter().skip(column).step_by(width);
                to.iter_mut().zip(numbers).for_each(|(to, number)| *to = *number);
            })
        };
        rows.chunks(TILE * width).map(tile).collect()
    }

    /// Tiles of `len` rows, of which `numbers` has all numbers of the first column, then those of
    /// the second and so on. A value in a column beyond the last is missing.
    pub fn of_columns(trees: &Trees<T>, numbers: &[T], len: usize) -> Vec<Self> {
        let tile = |first: usize| {
            let own = TILE.min(len - first);
            Self::filled(trees, own, |column, to| {
                let first = column as usize * len + first;
                match numbers.get(first..first + own) {
                    Some(numbers) => to.copy_from_slice(numbers),
                    None => to.fill(T::MISSING),
                }
            })
        };
        (0..len).step_by(TILE).map(tile).collect()
    }

    /// A tile of `len` rows. `fill` writes the numbers of a column.
    fn filled(trees: &Trees<T>, len: usize, fill: impl Fn(u32, &mut [T])) -> Self {
        let width = trees.columns.len();
        let mut tile =
            Self { columns: Vec::new(), rows: Vec::new(), width, len, has_missing: false };
        if is_wide(width) {
            tile.rows = vec![T::MISSING; width * len];
            let mut column = Lanes::default();
            let own = column.0.get_mut(..len).unwrap_or_default();
            for (at, number) in trees.columns.iter().enumerate() {
                fill(*number, own);
                let places = tile.rows.iter_mut().skip(at).step_by(width);
                places.zip(&*own).for_each(|(to, number)| *to = *number);
            }
            return tile;
        }
        tile.columns = vec![Lanes::default(); width];
        for (column, number) in tile.columns.iter_mut().zip(&trees.columns) {
            fill(*number, column.0.get_mut(..len).unwrap_or_default());
            let missing = column.0.iter().fold(false, |missing, x| missing | x.is_missing());
            tile.has_missing |= missing;
        }
        tile
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
    pub(super) fn columns(&self) -> &[Lanes<T>] {
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
