//! What is known of a token before any layer: its word, its segment, its place.

use nightshift_kernels::matrix::{Matrix, Precision};

use crate::engine::tabular::WeightsError;
use crate::engine::text::shape::{Places, Segments, Shape};
use crate::engine::text::tokens::Sequence;
use crate::engine::text::weights::Weights;

/// Tables of a row for each token, place and segment.
pub(super) struct Tables {
    hidden: usize,
    /// Row-major.
    words: Vec<f32>,
    /// Empty where places are rotations.
    places: Vec<f32>,
    padding: Option<u32>,
    segments: Vec<f32>,
    /// Whether the tokenizer says which segment a token is of.
    is_told: bool,
}

impl Tables {
    /// The tables of a model of `shape`.
    pub(super) fn new(shape: &Shape, weights: &Weights<'_>) -> Result<Self, WeightsError> {
        let (hidden, names) = (shape.hidden, &shape.family.names);
        let table = |name: &str, rows| weights.take(&format!("{name}.weight"), &[rows, hidden]);
        let (places, padding) = match shape.places {
            Places::Table { rows, padding } => (table(names.places, rows)?, padding),
            Places::Rotary { .. } => (Vec::new(), None),
        };
        let (segments, is_told) = match shape.segments {
            Segments::None => (vec![0.0; hidden], false),
            Segments::First(rows) => (table(names.segments, rows)?, false),
            Segments::Told(rows) => (table(names.segments, rows)?, true),
        };
        let words = table(names.words, shape.vocabulary)?;
        Ok(Self { hidden, words, places, padding, segments, is_told })
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        let tables = [&self.words, &self.places, &self.segments];
        tables.iter().map(|table| size_of_val(table.as_slice())).sum()
    }

    /// Puts the sum of what is known of each token into `states`, which are emptied.
    pub(super) fn look_up(&self, states: &mut Vec<f32>, sequences: &[&Sequence]) {
        states.clear();
        for sequence in sequences {
            let places = Places::rows(self.padding, &sequence.ids);
            for ((&id, &segment), place) in sequence.ids.iter().zip(&sequence.segments).zip(places)
            {
                let word = self.row(&self.words, id);
                let segment = self.row(&self.segments, if self.is_told { segment } else { 0 });
                if self.places.is_empty() {
                    states.extend_from_slice(word);
                    continue;
                }
                let numbers = word.iter().zip(segment).zip(self.row(&self.places, place));
                states.extend(numbers.map(|((word, segment), place)| word + segment + place));
            }
        }
    }

    /// Puts the words of these tokens into `states`, which are emptied: all that is known of a
    /// token where places are rotations.
    pub(super) fn words_of(&self, states: &mut Vec<f32>, ids: &[u32]) {
        states.clear();
        for id in ids {
            states.extend(self.row(&self.words, *id));
        }
    }

    /// The table of words as a matrix that turns vectors into a score for each word.
    pub(super) fn words_as_matrix(&self, precision: Precision) -> Matrix {
        let count = self.words.len() / self.hidden.max(1);
        Matrix::pack(precision, count, self.hidden, &self.words, &[])
    }

    /// A row of a table; its numbers were checked when the tokenizer was loaded.
    fn row<'a>(&self, table: &'a [f32], at: u32) -> &'a [f32] {
        let start = at as usize * self.hidden;
        table.get(start..start + self.hidden).unwrap_or_default()
    }
}
