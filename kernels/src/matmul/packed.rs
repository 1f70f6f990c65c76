//! The two sides of a product, in the order in which they are read.

use super::{PANEL, TILE};
use crate::dot::{Pair, Word};
use crate::simd::{Isa, Kernel, Simd};

/// The columns of a panel.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct Panel<W>(pub [W; PANEL]);

impl<W: Copy + Default> Default for Panel<W> {
    fn default() -> Self {
        Self([W::default(); PANEL])
    }
}

/// A word that is made of floats as they are.
pub trait Numbers: Word<Sum = f32> {
    /// Replaces `words` by those of `numbers`, each times `scale`; what is missing in the last is 0.
    fn extend(words: &mut Vec<Self>, numbers: &[f32], scale: f32);

    /// The word of the same column of so many steps of the depth; what is missing is 0.
    fn of_steps(steps: &[&[f32]], column: usize) -> Self;
}

impl Numbers for f32 {
    #[inline(always)]
    fn extend(words: &mut Vec<Self>, numbers: &[f32], scale: f32) {
        words.extend(numbers.iter().map(|number| number * scale));
    }

    #[inline]
    fn of_steps(steps: &[&[f32]], column: usize) -> Self {
        number(steps, 0, column)
    }
}

impl Numbers for Pair {
    #[inline(always)]
    fn extend(words: &mut Vec<Self>, numbers: &[f32], scale: f32) {
        let (pairs, rest) = numbers.as_chunks::<2>();
        words.extend(pairs.iter().map(|[first, second]| Self::of(first * scale, second * scale)));
        words.extend(rest.iter().map(|last| Self::of(last * scale, 0.0)));
    }

    #[inline]
    fn of_steps(steps: &[&[f32]], column: usize) -> Self {
        Self::of(number(steps, 0, column), number(steps, 1, column))
    }
}

fn number(steps: &[&[f32]], step: usize, column: usize) -> f32 {
    steps.get(step).and_then(|numbers| numbers.get(column)).copied().unwrap_or_default()
}

/// Rows, in tiles: for each tile, for each step of the depth, a word of each row.
#[derive(Debug)]
pub struct Left<W = f32> {
    pub(super) rows: usize,
    /// In words.
    pub(super) depth: usize,
    pub(super) tiles: Vec<[W; TILE]>,
    line: Vec<W>,
}

impl<W> Default for Left<W> {
    fn default() -> Self {
        Self { rows: 0, depth: 0, tiles: Vec::new(), line: Vec::new() }
    }
}

impl<W: Word> Left<W> {
    /// Takes rows of `depth` numbers: `row` appends the words of one to what it is given. Memory
    /// is kept from call to call. `row` is `#[inline(always)]`, and compiled for `isa`.
    pub(super) fn fill_words(
        &mut self,
        isa: Isa,
        rows: usize,
        depth: usize,
        row: impl FnMut(usize, &mut Vec<W>),
    ) {
        (self.rows, self.depth) = (rows, depth.div_ceil(W::NUMBERS));
        self.tiles.clear();
        self.tiles.resize(rows.div_ceil(TILE) * self.depth, [W::default(); TILE]);
        isa.run(Fill { left: self, row });
    }
}

struct Fill<'a, W, R> {
    left: &'a mut Left<W>,
    row: R,
}

impl<W: Word, R: FnMut(usize, &mut Vec<W>)> Kernel for Fill<'_, W, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { left, mut row } = self;
        let tiles = left.tiles.chunks_exact_mut(left.depth.max(1));
        for (tile, first) in tiles.zip((0..).step_by(TILE)) {
            for lane in 0..TILE.min(left.rows - first) {
                left.line.clear();
                row(first + lane, &mut left.line);
                for (to, from) in tile.iter_mut().zip(&left.line) {
                    to[lane] = *from;
                }
            }
        }
    }
}

impl<W: Numbers> Left<W> {
    /// Takes rows of `depth` numbers, each `scale` times what `row` says for it (0 where that is
    /// too short). Memory is kept from call to call.
    pub fn fill<'a>(
        &mut self,
        isa: Isa,
        rows: usize,
        depth: usize,
        scale: f32,
        row: impl Fn(usize) -> &'a [f32],
    ) {
        self.fill_words(
            isa,
            rows,
            depth,
            #[inline(always)]
            |at, words| {
                let numbers = row(at);
                W::extend(words, numbers.get(..depth).unwrap_or(numbers), scale);
            },
        );
    }
}

/// Columns, in panels: for each panel, for each step of the depth, a word of each column.
#[derive(Debug)]
pub struct Right<W = f32> {
    /// In words.
    pub(super) depth: usize,
    pub(super) columns: usize,
    pub(super) panels: Vec<Panel<W>>,
    pub(super) bias: Vec<Panel<f32>>,
}

impl<W> Default for Right<W> {
    fn default() -> Self {
        Self { depth: 0, columns: 0, panels: Vec::new(), bias: Vec::new() }
    }
}

impl<W: Word> Right<W> {
    /// Makes room for `columns` columns of `depth` numbers, all 0, without a bias.
    pub(crate) fn resize(&mut self, columns: usize, depth: usize) {
        (self.columns, self.depth) = (columns, depth.div_ceil(W::NUMBERS));
        self.bias.clear();
        self.panels.clear();
        self.panels.resize(columns.div_ceil(PANEL) * self.depth, Panel::default());
    }

    /// Sets the bias of each column, 0 where `bias` is too short.
    pub(super) fn set_bias(&mut self, bias: &[f32]) {
        self.bias = spread(self.columns, bias);
    }

    /// Sets one column.
    pub(super) fn set_words(&mut self, column: usize, words: impl Iterator<Item = W>) {
        let panel = self.panels.get_mut(column / PANEL * self.depth..).unwrap_or_default();
        for (to, from) in panel.iter_mut().take(self.depth).zip(words) {
            to.0[column % PANEL] = from;
        }
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.panels) + size_of_val(&*self.bias)
    }
}

impl<W: Numbers> Right<W> {
    /// Packs a weight matrix `[columns, depth]`, row-major, and the bias of each column (0 where
    /// `bias` is too short).
    pub fn of_weights(columns: usize, depth: usize, weights: &[f32], bias: &[f32]) -> Self {
        let mut packed = Self::default();
        packed.resize(columns, depth);
        let mut line = Vec::new();
        for (column, weights) in weights.chunks_exact(depth.max(1)).take(columns).enumerate() {
            packed.set_column(column, weights, &mut line);
        }
        packed.set_bias(bias);
        packed
    }

    /// Sets one column. `line` is memory that is used again.
    pub(crate) fn set_column(&mut self, column: usize, numbers: &[f32], line: &mut Vec<W>) {
        line.clear();
        W::extend(line, numbers, 1.0);
        self.set_words(column, line.iter().copied());
    }

    /// Sets a word of the depth for all columns: `steps` has the numbers of each of its steps.
    pub(crate) fn set_steps(&mut self, word: usize, steps: &[&[f32]]) {
        for first in (0..self.columns).step_by(PANEL) {
            if let Some(to) = self.panels.get_mut(first / PANEL * self.depth + word) {
                for (to, column) in to.0.iter_mut().zip(first..self.columns) {
                    *to = W::of_steps(steps, column);
                }
            }
        }
    }
}

/// A number for each of so many columns, in panels; 0 where `numbers` are too few.
pub(super) fn spread<T: Copy + Default>(columns: usize, numbers: &[T]) -> Vec<Panel<T>> {
    let mut panels = vec![Panel::default(); columns.div_ceil(PANEL)];
    let lanes = panels.iter_mut().flat_map(|panel| &mut panel.0);
    for (to, from) in lanes.zip(numbers.iter().take(columns)) {
        *to = *from;
    }
    panels
}
