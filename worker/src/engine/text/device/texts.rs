//! The tokens of a pass as tensors, each text as long as the longest.

use candle_core::{DType, Device, Result, Tensor};

use crate::engine::text::shape::{Places, Segments, Shape};
use crate::engine::text::tokens::Sequence;

use super::near::HIDDEN;

/// Texts side by side, padded at their ends with the token 0.
pub(super) struct Texts {
    /// How many.
    pub(super) count: usize,
    /// Tokens of each.
    pub(super) length: usize,
    /// 0, 1, 2 and so on, as many as tokens of each, as 32-bit floats.
    pub(super) steps: Tensor,
    /// The number of each token.
    pub(super) ids: Tensor,
    /// The row of its place, where places are rows of a table.
    pub(super) places: Option<Tensor>,
    /// Its segment, where there are segments.
    pub(super) segments: Option<Tensor>,
    /// What is added to weights of attention so that no token sees padding, of shape (count, 1, 1,
    /// length); nothing where there is none.
    pub(super) padding: Option<Tensor>,
    /// The rows of tokens that are no padding; nothing where all are.
    own: Option<Tensor>,
}

impl Texts {
    /// The tensors of these sequences on `device`, if there is a token at all.
    pub(super) fn new(
        device: &Device,
        shape: &Shape,
        sequences: &[&Sequence],
    ) -> Result<Option<Self>> {
        let lengths = || sequences.iter().map(|sequence| sequence.ids.len());
        let (count, length) = (sequences.len(), lengths().max().unwrap_or(0));
        if length == 0 {
            return Ok(None);
        }
        let tensor = |numbers: Vec<u32>| Tensor::from_vec(numbers, count * length, device);
        let ids = padded(length, sequences, |own| own.ids.clone());
        let places = match shape.places {
            Places::Table { padding, .. } => {
                let rows = |own: &Sequence| Places::rows(padding, &own.ids).collect();
                Some(tensor(padded(length, sequences, rows))?)
            }
            Places::Rotary { .. } => None,
        };
        let segments = match shape.segments {
            Segments::None => None,
            Segments::First(_) => Some(tensor(vec![0; count * length])?),
            Segments::Told(_) => {
                // Of a text that a template repeats the end was cut off, but not its segments.
                let told =
                    |own: &Sequence| own.segments.iter().copied().take(own.ids.len()).collect();
                Some(tensor(padded(length, sequences, told))?)
            }
        };
        let steps = Tensor::arange(0, length as u32, device)?.to_dtype(DType::F32)?;
        let is_padded = lengths().any(|own| own < length);
        let (mut hidden, mut own) = (vec![0.0_f32; 0], vec![0_u32; 0]);
        if is_padded {
            for (row, tokens) in lengths().enumerate() {
                hidden.extend((0..length).map(|at| if at < tokens { 0.0 } else { HIDDEN }));
                own.extend((0..tokens).map(|at| (row * length + at) as u32));
            }
        }
        let padding = is_padded
            .then(|| Tensor::from_vec(hidden, (count, 1, 1, length), device))
            .transpose()?;
        let own = is_padded.then(|| Tensor::new(own, device)).transpose()?;
        Ok(Some(Self { count, length, steps, ids: tensor(ids)?, places, segments, padding, own }))
    }

    /// The rows of `states` that are no padding.
    pub(super) fn without_padding(&self, states: &Tensor) -> Result<Tensor> {
        match &self.own {
            Some(own) => states.index_select(own, 0),
            None => Ok(states.clone()),
        }
    }
}

/// What `of` says of the tokens of each sequence, with zeros up to `length`.
fn padded(length: usize, sequences: &[&Sequence], of: impl Fn(&Sequence) -> Vec<u32>) -> Vec<u32> {
    let mut numbers = Vec::with_capacity(sequences.len() * length);
    for (row, sequence) in sequences.iter().enumerate() {
        numbers.extend(of(sequence).into_iter().take(length));
        numbers.resize((row + 1) * length, 0);
    }
    numbers
}
