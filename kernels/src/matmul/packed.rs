//! The two sides of a product, in the order in which they are read.

use std::{array, iter};

use super::{GROUP, PANEL, TILE};
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

    /// Sets each word to the numbers of its column in one step of the depth and the next; where
    /// there is none, words stay as they are, and what is missing in one is 0.
    fn set_steps(words: &mut [Self], steps: [&[f32]; 2]);

    /// As [`set_steps`](Self::set_steps), of whole panels.
    fn join(words: &mut [Self; PANEL], first: Option<&[f32; PANEL]>, second: Option<&[f32; PANEL]>);

    /// Whether products of floats are faster on `isa` than products of these words.
    fn is_faster_apart(isa: Isa) -> bool;

    /// The floats of some words, in the order in which sums take them.
    fn apart<const N: usize>(words: &[Self; N]) -> impl Iterator<Item = [f32; N]>;
}

impl Numbers for f32 {
    #[inline(always)]
    fn extend(words: &mut Vec<Self>, numbers: &[f32], scale: f32) {
        words.extend(numbers.iter().map(|number| number * scale));
    }

    #[inline(always)]
    fn set_steps(words: &mut [Self], [first, _]: [&[f32]; 2]) {
        for (to, from) in words.iter_mut().zip(first) {
            *to = *from;
        }
    }

    #[inline(always)]
    fn join(words: &mut [Self; PANEL], first: Option<&[f32; PANEL]>, _: Option<&[f32; PANEL]>) {
        *words = first.copied().unwrap_or([0.0; PANEL]);
    }

    #[inline(always)]
    fn is_faster_apart(_: Isa) -> bool {
        false
    }

    #[inline(always)]
    fn apart<const N: usize>(words: &[Self; N]) -> impl Iterator<Item = [f32; N]> {
        iter::once(*words)
    }
}

impl Numbers for Pair {
    #[inline(always)]
    fn extend(words: &mut Vec<Self>, numbers: &[f32], scale: f32) {
        let (pairs, rest) = numbers.as_chunks::<2>();
        words.extend(pairs.iter().map(|[first, second]| Self::of(first * scale, second * scale)));
        words.extend(rest.iter().map(|last| Self::of(last * scale, 0.0)));
    }

    #[inline(always)]
    fn set_steps(words: &mut [Self], [first, second]: [&[f32]; 2]) {
        match second.is_empty() {
            true => {
                for (to, first) in words.iter_mut().zip(first) {
                    *to = Self::of(*first, 0.0);
                }
            }
            false => {
                for (to, (first, second)) in words.iter_mut().zip(first.iter().zip(second)) {
                    *to = Self::of(*first, *second);
                }
            }
        }
    }

    #[inline(always)]
    fn join(
        words: &mut [Self; PANEL],
        first: Option<&[f32; PANEL]>,
        second: Option<&[f32; PANEL]>,
    ) {
        let zero = [0.0; PANEL];
        let (first, second) = (first.unwrap_or(&zero), second.unwrap_or(&zero));
        for at in 0..PANEL {
            words[at] = Self::of(first[at], second[at]);
        }
    }

    #[inline(always)]
    fn is_faster_apart(isa: Isa) -> bool {
        !isa.has_fast_pairs()
    }

    #[inline(always)]
    fn apart<const N: usize>(words: &[Self; N]) -> impl Iterator<Item = [f32; N]> {
        let second = words.map(|Self(bits)| f32::from_bits(bits & 0xFFFF_0000));
        let first = words.map(|Self(bits)| f32::from_bits(bits << 16));
        [second, first].into_iter()
    }
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
    /// As many tiles at a time as stay in the second cache, and the first row of each.
    #[inline(always)]
    pub(super) fn groups(&self) -> impl Iterator<Item = (&[[W; TILE]], usize)> {
        let depth = self.depth.max(1);
        let tiles = (GROUP / (depth * size_of::<[W; TILE]>())).max(1);
        self.tiles.chunks(tiles * depth).zip((0..).step_by(tiles * TILE))
    }

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
        let Left { rows, depth, tiles, line } = left;
        let (rows, depth) = (*rows, *depth);
        for (tile, first) in tiles.chunks_exact_mut(depth.max(1)).zip((0..).step_by(TILE)) {
            // Rows one after the other, then turned: a long tile is written once and in order.
            line.clear();
            for lane in 0..TILE {
                if first + lane < rows {
                    row(first + lane, line);
                }
                line.resize((lane + 1) * depth, W::default());
            }
            let lanes: [&[W]; TILE] = array::from_fn(
                #[inline(always)]
                |lane| {
                    line.get(lane * depth..)
                        .and_then(|own| own.get(..tile.len()))
                        .unwrap_or_default()
                },
            );
            if lanes.iter().all(|lane| lane.len() == tile.len()) {
                for (step, to) in tile.iter_mut().enumerate() {
                    for lane in 0..TILE {
                        to[lane] = lanes[lane][step];
                    }
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

impl<W: Numbers> Left<W> {
    /// Takes rows the other way round: `step` has the numbers of all `rows` rows for a step of the
    /// depth. Memory is kept from call to call.
    pub(crate) fn fill_steps<'a>(
        &mut self,
        isa: Isa,
        rows: usize,
        depth: usize,
        step: impl Fn(usize) -> &'a [f32],
    ) {
        (self.rows, self.depth) = (rows, depth.div_ceil(W::NUMBERS));
        self.tiles.clear();
        self.tiles.resize(rows.div_ceil(TILE) * self.depth, [W::default(); TILE]);
        isa.run(FillSteps { left: self, depth, step });
    }
}

struct FillSteps<'a, W, F> {
    left: &'a mut Left<W>,
    depth: usize,
    step: F,
}

impl<'f, W: Numbers, F: Fn(usize) -> &'f [f32]> Kernel for FillSteps<'_, W, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { left, depth, step } = self;
        for (word, first) in (0..depth).step_by(W::NUMBERS).enumerate() {
            let second = if W::NUMBERS > 1 && first + 1 < depth { step(first + 1) } else { &[] };
            let both = [step(first), second];
            let tiles = left.tiles.get_mut(word..).unwrap_or_default();
            let tiles = tiles.iter_mut().step_by(left.depth.max(1));
            for (tile, row) in tiles.zip((0..).step_by(TILE)) {
                let both = both.map(|numbers| numbers.get(row..).unwrap_or_default());
                W::set_steps(tile, both);
            }
        }
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
    /// The panels, and the first column of each.
    #[inline(always)]
    pub(super) fn panels_from(&self) -> impl Iterator<Item = (&[Panel<W>], usize)> {
        self.panels.chunks_exact(self.depth.max(1)).zip((0..).step_by(PANEL))
    }

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

    /// Sets a word of the depth for all columns: `steps` has the numbers of each of its steps, of
    /// which the second may be empty.
    pub(crate) fn set_steps(&mut self, word: usize, steps: &[&[f32]; 2]) {
        for first in (0..self.columns).step_by(PANEL) {
            if let Some(to) = self.panels.get_mut(first / PANEL * self.depth + word) {
                let columns = first..self.columns.min(first + PANEL);
                let both = steps.map(|numbers| {
                    numbers.get(columns.start..columns.end.min(numbers.len())).unwrap_or_default()
                });
                W::set_steps(&mut to.0, both);
            }
        }
    }

    /// The words of the first panel, one for each step of the depth.
    pub(crate) fn first_panel(&mut self) -> &mut [Panel<W>] {
        self.panels.get_mut(..self.depth).unwrap_or_default()
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
