//! What attention may see, and what distances are worth.

use candle_core::{DType, Device, Result, Tensor};

use super::BuildError;
use crate::engine::text::shape::Shape;
use crate::engine::text::transformer::distances;
use crate::engine::text::weights::Weights;

/// What is added to a weight that does not count. No infinity: tokens of padding may see nothing
/// at all, and of nothing but infinities would come numbers that are none.
pub(super) const HIDDEN: f32 = -1e30;

/// What all layers of a model see.
pub(super) struct Near {
    is_causal: bool,
    /// For each distance from the farthest back to the farthest ahead, a number for each head.
    bias: Option<Tensor>,
}

impl Near {
    /// Of a model of `shape`.
    pub(super) fn new(
        device: &Device,
        shape: &Shape,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, BuildError> {
        let bias = match distances::numbers(shape, weights)? {
            Some(numbers) => {
                let heads = shape.heads.heads.count;
                let table =
                    Tensor::from_vec(numbers, (heads, 2 * distances::FARTHEST + 1), device)?;
                Some(table.t()?.contiguous()?)
            }
            None => None,
        };
        Ok(Self { is_causal: shape.family.is_causal, bias })
    }

    /// What is added to weights for `queries` tokens from number `first` on and all keys, of shape
    /// (1 or heads, queries, keys), where tokens see as far as `window`; nothing where all see all.
    /// `keys` are the numbers of the keys, 0 to the last.
    pub(super) fn added(
        &self,
        window: Option<usize>,
        (first, queries): (usize, usize),
        keys: &Tensor,
    ) -> Result<Option<Tensor>> {
        let (ahead, back) = match (window, self.is_causal) {
            (Some(window), _) => (Some(window), Some(window)),
            (None, true) => (Some(0), None),
            (None, false) => (None, None),
        };
        if ahead.is_none() && back.is_none() && self.bias.is_none() {
            return Ok(None);
        }
        let own = keys.narrow(0, first, queries)?.reshape((queries, 1))?;
        // Key less query.
        let distance = keys.unsqueeze(0)?.broadcast_sub(&own)?;
        let keys = keys.dim(0)?;
        let mut added = None;
        // At most one of the two is true, so that their sum is one of them.
        if let Some(ahead) = ahead {
            added = Some(distance.gt(ahead as f32)?);
        }
        if let Some(back) = back {
            let hidden = distance.lt(-(back as f32))?;
            added = Some(match added {
                Some(added) => (added + hidden)?,
                None => hidden,
            });
        }
        let hidden = match added {
            Some(added) => {
                let added = added.to_dtype(DType::F32)?.affine(f64::from(HIDDEN), 0.0)?;
                Some(added.reshape((1, queries, keys))?)
            }
            None => None,
        };
        let Some(table) = &self.bias else { return Ok(hidden) };
        let farthest = distances::FARTHEST as f64;
        let at = distance.clamp(-farthest, farthest)?.affine(1.0, farthest)?;
        let at = at.to_dtype(DType::U32)?.flatten_all()?;
        let bias = table.index_select(&at, 0)?.reshape((queries, keys, table.dim(1)?))?;
        let bias = bias.permute((2, 0, 1))?.contiguous()?;
        match hidden {
            Some(hidden) => bias.broadcast_add(&hidden).map(Some),
            None => Ok(Some(bias)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is added for `keys` tokens, as what may not be seen and what distances are worth.
    fn rows(near: &Near, window: Option<usize>, own: (usize, usize), keys: usize) -> Vec<Vec<f32>> {
        let keys = Tensor::arange(0, keys as u32, &Device::Cpu).unwrap();
        let keys = keys.to_dtype(DType::F32).unwrap();
        let added = near.added(window, own, &keys).unwrap().unwrap();
        added.get(0).unwrap().to_vec2().unwrap()
    }

    #[test]
    fn a_token_sees_those_before_it_or_near_it() {
        let bidirectional = Near { is_causal: false, bias: None };
        let keys = Tensor::new(&[0.0_f32, 1.0], &Device::Cpu).unwrap();
        assert!(bidirectional.added(None, (0, 2), &keys).unwrap().is_none());
        let causal = Near { is_causal: true, bias: None };
        for (near, window) in [(&causal, None), (&bidirectional, Some(1))] {
            for first in 0..3 {
                for (at, row) in rows(near, window, (first, 2), 5).iter().enumerate() {
                    let query = first + at;
                    for (key, &added) in row.iter().enumerate() {
                        let seen = match window {
                            Some(window) => key.abs_diff(query) <= window,
                            None => key <= query,
                        };
                        assert_eq!(added, if seen { 0.0 } else { HIDDEN }, "{query} {key}");
                    }
                }
            }
        }
    }

    #[test]
    fn distances_beyond_the_farthest_are_worth_as_much_as_it() {
        let farthest = distances::FARTHEST;
        let table: Vec<f32> = (0..=2 * farthest).map(|at| at as f32).collect();
        let table = Tensor::new(table, &Device::Cpu).unwrap().reshape(((), 1)).unwrap();
        let near = Near { is_causal: false, bias: Some(table) };
        for (query, row) in rows(&near, None, (0, 300), 300).iter().enumerate() {
            for (key, &added) in row.iter().enumerate() {
                let distance = (key as i64 - query as i64).clamp(-128, 128);
                assert_eq!(added, (distance + farthest as i64) as f32, "{query} {key}");
            }
        }
    }
}
