//! The layers of a model on a GPU, through candle: whole tensors of padded texts.
//!
//! It reads what [`transformer`](super::transformer) reads, `Family`, `Shape`, `Weights` and
//! `Sequence`, and gives back what that gives back: a vector for each token, without padding. So
//! all that comes before and after is the same code. In the order in which data flows: `texts` puts
//! the tokens of a pass into tensors, `tables` looks them up, `layer` goes through a layer with
//! `norm`, `product` and `attention`, and `near` says what attention may see.
//!
//! Tables, sums between layers, norms and softmax are of 32 bits whatever the precision, which is
//! that of both sides of a product and, unlike on a processor, of what comes out of it. cuBLAS
//! chooses the order of sums by the shapes of a pass: the last bits of a vector depend on its
//! neighbours.
//!
//! It is compiled for tests, which run it on candle's CPU device, and with the feature `cuda`.

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Result, Tensor};

use super::DeviceError;
use super::shape::Shape;
use super::tokens::Sequence;
use super::weights::Weights;
use crate::engine::tabular::{WeightsError, clip};

mod attention;
mod layer;
mod near;
mod norm;
mod product;
mod tables;
mod texts;

use layer::Layer;
use near::Near;
use norm::Norm;
use tables::Tables;
use texts::Texts;

/// Tokens of a pass, padding among them: some ten times what keeps the cores of a large GPU busy,
/// so that starting its programs, which takes microseconds each, does not count. A pass of a model
/// of 768 numbers a token takes about 2 GiB.
const PASS_TOKENS: usize = 16 << 10;
/// Numbers of the largest tensor between two products: fewer tokens go into a pass of a wide model.
/// 1 GiB as 32-bit floats, and well below the 2³¹ that programs on the GPU can count to.
const PASS_NUMBERS: usize = 1 << 28;

/// A model in the memory of a GPU; read-only.
pub(super) struct Transformer {
    device: Device,
    tables: Tables,
    first_norm: Option<Norm>,
    layers: Vec<Layer>,
    last_norm: Option<Norm>,
    shared: Shared,
    /// Held during a pass: all threads share one GPU, on which a pass is large enough to keep it
    /// busy. Passes side by side would take as much longer each, and the memory of all of them.
    pass: Mutex<()>,
}

/// Why a model does not come into the memory of a GPU.
#[derive(Debug)]
pub(super) enum BuildError {
    /// The file is not that model.
    Weights(WeightsError),
    /// The GPU does not take it.
    Device(DeviceError),
}

impl From<WeightsError> for BuildError {
    fn from(error: WeightsError) -> Self {
        Self::Weights(error)
    }
}

impl From<candle_core::Error> for BuildError {
    fn from(error: candle_core::Error) -> Self {
        Self::Device(error.into())
    }
}

impl From<candle_core::Error> for DeviceError {
    /// By the names that the driver and cuBLAS give to a lack of memory: their types are there in a
    /// build for CUDA alone.
    fn from(error: candle_core::Error) -> Self {
        let text = error.to_string();
        let problem = clip(text.lines().next().unwrap_or_default());
        match ["OUT_OF_MEMORY", "ALLOC_FAILED"].iter().any(|name| text.contains(name)) {
            true => Self::OutOfMemory { problem },
            false => Self::Failed { problem },
        }
    }
}

/// Tokens of a pass at most where the widest row has so many numbers.
pub(super) fn pass_tokens_of(widest: usize) -> usize {
    PASS_TOKENS.min(PASS_NUMBERS / widest.max(1))
}

/// What layers have in common.
struct Shared {
    dtype: DType,
    shape: Shape,
    /// For each base of rotations, cosines and sines of all places, half a head wide.
    rotations: Vec<(Tensor, Tensor)>,
    near: Near,
    /// Weights of attention at a time.
    weights_max: usize,
}

impl Transformer {
    /// The model of `shape` with these weights on `device`, for texts of at most `max_tokens`
    /// tokens, with products of `dtype`.
    pub(super) fn new(
        device: &Device,
        shape: Shape,
        max_tokens: usize,
        weights: &Weights<'_>,
        dtype: DType,
    ) -> std::result::Result<Self, BuildError> {
        let (hidden, names) = (shape.hidden, &shape.family.names);
        let norm = |name: Option<&str>| {
            name.map(|name| Norm::new(device, &shape, hidden, name, weights)).transpose()
        };
        let layers = 0..shape.attention.len();
        let layers = layers.map(|at| Layer::new(device, &shape, weights, dtype, at));
        let layers = layers.collect::<std::result::Result<_, _>>()?;
        let (first_norm, last_norm) = (norm(names.first_norm)?, norm(names.last_norm)?);
        let tables = Tables::new(device, &shape, weights)?;
        let near = Near::new(device, &shape, weights)?;
        let rotations = shape.rotations.iter();
        let rotations = rotations
            .map(|own| attention::rotation(device, own, shape.heads.heads.width, max_tokens));
        let rotations = rotations.collect::<Result<_>>()?;
        let weights_max = attention::WEIGHTS_MAX;
        let shared = Shared { dtype, shape, rotations, near, weights_max };
        let (device, pass) = (device.clone(), Mutex::default());
        Ok(Self { device, tables, first_norm, layers, last_norm, shared, pass })
    }

    /// Numbers of a vector.
    pub(super) fn hidden(&self) -> usize {
        self.shared.shape.hidden
    }

    /// Bytes of this machine's memory for weights that are on their way to the GPU.
    pub(super) fn loading_bytes(&self) -> usize {
        self.shared.shape.unpacked_bytes().max(self.shared.shape.words_bytes())
    }

    /// Tokens of a pass at most, with padding.
    pub(super) fn pass_tokens(&self) -> usize {
        let ups = if self.shared.shape.family.is_gated { 2 } else { 1 };
        pass_tokens_of(self.shared.shape.heads.stride().max(ups * self.shared.shape.intermediate))
    }

    /// Room for so many weights of attention at a time.
    #[cfg(test)]
    pub(super) fn limit_weights(&mut self, most: usize) {
        self.shared.weights_max = most;
    }

    /// A vector for each token of each sequence, one after the other.
    ///
    /// # Errors
    /// What the GPU says; [`DeviceError::OutOfMemory`] where fewer sequences may fit.
    pub(super) fn run(
        &self,
        sequences: &[&Sequence],
    ) -> std::result::Result<Vec<f32>, DeviceError> {
        // It guards no data, so that a panic of another thread does no harm.
        let _alone = self.pass.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.states(sequences)?)
    }

    fn states(&self, sequences: &[&Sequence]) -> Result<Vec<f32>> {
        let Some(texts) = Texts::new(&self.device, &self.shared.shape, sequences)? else {
            return Ok(Vec::new());
        };
        let mut states = self.tables.look_up(&texts)?;
        if let Some(norm) = &self.first_norm {
            states = norm.apply(&states)?;
        }
        for layer in &self.layers {
            states = layer.run(&self.shared, &texts, states)?;
        }
        if let Some(norm) = &self.last_norm {
            states = norm.apply(&states)?;
        }
        texts.without_padding(&states)?.flatten_all()?.to_vec1()
    }
}
