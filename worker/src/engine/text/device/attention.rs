//! Attention within each text of a pass.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::ops::softmax_last_dim;
use candle_nn::rotary_emb::rope;
use nightshift_kernels::rotary::{Frequencies, Rotary};

use super::Shared;
use super::norm::Norm;
use super::texts::Texts;

/// Weights of attention at a time, 256 MiB: for long texts some queries come after the others, so
/// that memory does not grow with the square of their length.
pub(super) const WEIGHTS_MAX: usize = 64 << 20;

/// Cosines and sines for heads of `width` numbers at the first `places` places, each of shape
/// (places, width / 2).
pub(super) fn rotation(
    device: &Device,
    frequencies: &Frequencies,
    width: usize,
    places: usize,
) -> Result<(Tensor, Tensor)> {
    let (rotary, half) = (Rotary::new(frequencies, width, places), width / 2);
    let (mut cosines, mut sines) = (Vec::new(), Vec::new());
    for place in 0..places {
        // Turned, a pair of 1 and 0 is its own cosine and sine.
        let mut head = vec![1.0; half];
        head.resize(2 * half, 0.0);
        rotary.turn(place, &mut head);
        let (first, second) = head.split_at(half);
        cosines.extend_from_slice(first);
        sines.extend_from_slice(second);
    }
    let tensor = |numbers: Vec<f32>| Tensor::from_vec(numbers, (places, half), device);
    Ok((tensor(cosines)?, tensor(sines)?))
}

/// How a layer attends.
pub(super) struct Attention {
    /// Norms of each head of queries, and of keys.
    pub(super) head_norms: Option<[Norm; 2]>,
    /// Which rotation queries and keys have.
    pub(super) rotary: Option<usize>,
    /// How far tokens see, where that is not everywhere.
    pub(super) window: Option<usize>,
}

impl Attention {
    /// What each token sees: `qkv` holds queries, keys and values of all heads for each token.
    pub(super) fn of(&self, shared: &Shared, texts: &Texts, qkv: &Tensor) -> Result<Tensor> {
        let (count, length) = (texts.count, texts.length);
        let heads = shared.shape.heads;
        let (width, keys) = (heads.heads.width, heads.keys);
        let all = qkv.reshape((count, length, heads.heads.count + 2 * keys, width))?;
        let all = all.transpose(1, 2)?;
        let part = |first, count| all.narrow(1, first, count)?.contiguous();
        let [query_norm, key_norm] = match &self.head_norms {
            Some([queries, keys]) => [Some(queries), Some(keys)],
            None => [None, None],
        };
        let queries = self.placed(shared, length, query_norm, part(0, heads.heads.count)?)?;
        let key = self.placed(shared, length, key_norm, part(heads.heads.count, keys)?)?.t()?;
        let value = part(heads.heads.count + keys, keys)?;
        let step =
            (shared.weights_max / (count * heads.heads.count * length).max(1)).clamp(1, length);
        let mut seen = Vec::new();
        for first in (0..length).step_by(step) {
            let own = step.min(length - first);
            let queries = queries.narrow(2, first, own)?.contiguous()?;
            let added = shared.near.added(self.window, (first, own), &texts.steps)?;
            seen.push(weighed(shared, texts, &queries, &key, &value, added)?);
        }
        let seen = match &seen[..] {
            [seen] => seen.clone(),
            parts => Tensor::cat(parts, 1)?,
        };
        seen.reshape((count * length, heads.heads.hidden()))
    }

    /// Heads of queries or keys in their places: norms of heads, then rotations, in 32-bit floats.
    fn placed(
        &self,
        shared: &Shared,
        length: usize,
        norm: Option<&Norm>,
        heads: Tensor,
    ) -> Result<Tensor> {
        let rotation = self.rotary.and_then(|at| shared.rotations.get(at));
        if norm.is_none() && rotation.is_none() {
            return Ok(heads);
        }
        let mut heads = heads.to_dtype(DType::F32)?;
        if let Some(norm) = norm {
            heads = norm.apply(&heads)?;
        }
        if let Some((cosines, sines)) = rotation {
            heads = rope(&heads, &cosines.narrow(0, 0, length)?, &sines.narrow(0, 0, length)?)?;
        }
        heads.to_dtype(shared.dtype)
    }
}

/// The values that these queries see, of shape (texts, queries, heads, width).
fn weighed(
    shared: &Shared,
    texts: &Texts,
    queries: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    added: Option<Tensor>,
) -> Result<Tensor> {
    let (count, heads, own, width) = queries.dims4()?;
    let groups = values.dim(1)?;
    let each = heads / groups.max(1) * own;
    // Heads that share keys are rows of one product.
    let weights = queries.reshape((count, groups, each, width))?.matmul(keys)?;
    let weights = weights.reshape((count, heads, own, texts.length))?;
    let scale = 1.0 / f64::from(width as f32).sqrt();
    let mut weights = weights.to_dtype(DType::F32)?.affine(scale, 0.0)?;
    let padding = texts.padding.as_ref();
    let added = match (added, padding) {
        (Some(added), Some(padding)) => Some(padding.broadcast_add(&added.unsqueeze(0)?)?),
        (Some(added), None) => Some(added.unsqueeze(0)?),
        (None, padding) => padding.cloned(),
    };
    if let Some(added) = added {
        weights = weights.broadcast_add(&added)?;
    }
    let weights = softmax_last_dim(&weights)?.to_dtype(shared.dtype)?;
    let seen = weights.reshape((count, groups, each, texts.length))?.matmul(values)?;
    seen.reshape((count, heads, own, width))?.transpose(1, 2)?.contiguous()
}
