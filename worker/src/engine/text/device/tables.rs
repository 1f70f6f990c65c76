//! What is known of a token before any layer, looked up on the GPU.

use candle_core::{Device, Result, Tensor};

use super::BuildError;
use super::texts::Texts;
use crate::engine::text::shape::{Places, Segments, Shape};
use crate::engine::text::weights::Weights;

/// Tables of a row for each token, place and segment.
pub(super) struct Tables {
    words: Tensor,
    places: Option<Tensor>,
    segments: Option<Tensor>,
}

impl Tables {
    /// The tables of a model of `shape`. As on a processor they are as exact as
    /// the file: what is rounded here goes through all layers.
    pub(super) fn new(
        device: &Device,
        shape: &Shape,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, BuildError> {
        let (hidden, names) = (shape.hidden, &shape.family.names);
        let table = |name: &str, rows: usize| {
            let numbers = weights.take(&format!("{name}.weight"), &[rows, hidden])?;
            let table = Tensor::from_vec(numbers, (rows, hidden), device);
            Ok::<_, BuildError>(table?)
        };
        let places = match shape.places {
            Places::Table { rows, .. } => Some(table(names.places, rows)?),
            Places::Rotary { .. } => None,
        };
        let segments = match shape.segments {
            Segments::None => None,
            Segments::First(rows) | Segments::Told(rows) => Some(table(names.segments, rows)?),
        };
        Ok(Self { words: table(names.words, shape.vocabulary)?, places, segments })
    }

    /// The sum of what is known of each token, as 32-bit floats.
    pub(super) fn look_up(&self, texts: &Texts) -> Result<Tensor> {
        let rows = |table: &Tensor, at: &Tensor| table.index_select(at, 0);
        let mut states = rows(&self.words, &texts.ids)?;
        // In this order a processor adds them too.
        for (table, at) in [(&self.segments, &texts.segments), (&self.places, &texts.places)] {
            if let (Some(table), Some(at)) = (table, at) {
                states = (states + rows(table, at)?)?;
            }
        }
        Ok(states)
    }
}
