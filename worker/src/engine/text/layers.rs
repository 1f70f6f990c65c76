//! The layers of a model, on the processor or on a GPU.

use nightshift_core::plan::{Device, Dtype};
use nightshift_kernels::Isa;

use super::DeviceError;
use super::engine::precision;
use super::packing::{PASS_TOKENS, Packing};
use super::shape::Shape;
use super::tokens::Sequence;
use super::transformer::{Scratch, Transformer};
use super::weights::Weights;
use crate::engine::LoadError;

#[cfg(any(test, feature = "cuda"))]
use super::device::{self, BuildError};

/// Rows that are tokenized at a time: enough to fill passes with rows of about one length.
const GROUP_ROWS: usize = 128;
/// Bytes of a token of a text that waits: its number and its segment.
const TOKEN_BYTES: usize = 2 * size_of::<u32>();
/// Multiplications of a batch whose texts are all as long as they may be. More of them would keep
/// a worker for seconds that is told to go.
const BATCH_PRODUCTS: u64 = 75_000_000_000;
/// Fewest rows of a batch: fewer would read the weights from memory for too little work.
const BATCH_ROWS_MIN: u64 = 8;

/// Rows of a batch at most on a GPU, which are tokenized at once.
#[cfg(any(test, feature = "cuda"))]
const GPU_BATCH_ROWS: usize = 4_096;
/// Multiplications of a batch there: a second or two of a GPU that does not slow down 32-bit floats.
#[cfg(any(test, feature = "cuda"))]
const GPU_BATCH_PRODUCTS: u64 = 100 * BATCH_PRODUCTS;
/// Memory that CUDA and its libraries take of a process. An estimate: none was measured.
#[cfg(any(test, feature = "cuda"))]
const GPU_PROCESS_BYTES: u64 = 512 << 20;

/// What computes a model.
pub(super) enum Processor {
    /// The cores of this machine, with these instructions.
    Cpu(Isa),
    /// A GPU.
    #[cfg(any(test, feature = "cuda"))]
    Gpu(candle_core::Device),
}

impl Processor {
    /// The one that the spec names; of several GPUs the first that the process sees.
    ///
    /// # Errors
    /// If there is none, or the program was built without it.
    pub(super) fn of(device: Device, isa: Isa) -> Result<Self, DeviceError> {
        match device {
            Device::Cpu => Ok(Self::Cpu(isa)),
            Device::Cuda => gpu(),
        }
    }
}

#[cfg(feature = "cuda")]
fn gpu() -> Result<Processor, DeviceError> {
    let device = candle_core::Device::new_cuda(0);
    let device = device.map_err(|error| match DeviceError::from(error) {
        DeviceError::Failed { problem } => DeviceError::Absent { problem },
        error => error,
    });
    device.map(Processor::Gpu)
}

#[cfg(not(feature = "cuda"))]
fn gpu() -> Result<Processor, DeviceError> {
    Err(DeviceError::NotBuilt)
}

/// A model in memory; read-only.
pub(super) enum Layers {
    /// In that of this machine.
    Cpu(Transformer),
    /// In that of a GPU.
    #[cfg(any(test, feature = "cuda"))]
    Gpu { layers: device::Transformer, max_tokens: usize },
}

impl Layers {
    /// The layers of `shape` on `processor`, for texts of at most `max_tokens` tokens, with these
    /// weights.
    pub(super) fn new(
        processor: &Processor,
        shape: Shape,
        max_tokens: usize,
        weights: &Weights<'_>,
        dtype: Dtype,
    ) -> Result<Self, LoadError> {
        match processor {
            Processor::Cpu(isa) => {
                Transformer::new(shape, max_tokens, weights, precision(dtype), *isa)
                    .map(Self::Cpu)
                    .map_err(|source| weights.refused(source))
            }
            #[cfg(any(test, feature = "cuda"))]
            Processor::Gpu(gpu) => {
                let dtype = match dtype {
                    Dtype::Bf16 => candle_core::DType::BF16,
                    // A spec does not ask for integers here.
                    Dtype::F32 | Dtype::Int8 => candle_core::DType::F32,
                };
                let layers = device::Transformer::new(gpu, shape, max_tokens, weights, dtype);
                let layers = layers.map_err(|error| match error {
                    BuildError::Weights(error) => weights.refused(error),
                    BuildError::Device(error) => error.into(),
                })?;
                Ok(Self::Gpu { layers, max_tokens })
            }
        }
    }

    /// Numbers of a vector.
    pub(super) fn hidden(&self) -> usize {
        match self {
            Self::Cpu(layers) => layers.hidden(),
            #[cfg(any(test, feature = "cuda"))]
            Self::Gpu { layers, .. } => layers.hidden(),
        }
    }

    /// Bytes of the memory of this machine that all threads share.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Cpu(layers) => layers.bytes() as u64,
            #[cfg(any(test, feature = "cuda"))]
            Self::Gpu { .. } => GPU_PROCESS_BYTES,
        }
    }

    /// Bytes beside those that are taken while the model is loaded.
    pub(super) fn loading_bytes(&self) -> u64 {
        match self {
            Self::Cpu(layers) => layers.loading_bytes() as u64,
            #[cfg(any(test, feature = "cuda"))]
            Self::Gpu { layers, .. } => layers.loading_bytes() as u64,
        }
    }

    /// Bytes that each thread keeps, where they are many beside a batch.
    pub(super) fn thread_bytes(&self) -> u64 {
        match self {
            Self::Cpu(layers) => {
                let tokens = PASS_TOKENS.max(layers.max_tokens());
                let texts = GROUP_ROWS * layers.max_tokens() * TOKEN_BYTES;
                (layers.scratch_bytes(tokens) + texts) as u64
            }
            // The vectors of a pass, as they come from the GPU and as they are kept.
            #[cfg(any(test, feature = "cuda"))]
            Self::Gpu { layers, max_tokens, .. } => {
                let tokens = layers.pass_tokens().max(*max_tokens);
                2 * (tokens * layers.hidden() * size_of::<f32>()) as u64
            }
        }
    }

    /// Memory of a thread, used for pass after pass.
    pub(super) fn scratch(&self) -> Scratch {
        match self {
            Self::Cpu(layers) => Scratch::new(layers.precision()),
            #[cfg(any(test, feature = "cuda"))]
            Self::Gpu { .. } => Scratch::new(precision(Dtype::F32)),
        }
    }

    /// Which rows go together.
    pub(super) fn packing(&self) -> Packing {
        match self {
            Self::Cpu(_) => Packing::Tight,
            #[cfg(any(test, feature = "cuda"))]
            Self::Gpu { layers, .. } => Packing::Padded { tokens: layers.pass_tokens() },
        }
    }

    /// Rows that are tokenized at a time.
    pub(super) fn group_rows(&self) -> usize {
        match self {
            Self::Cpu(_) => GROUP_ROWS,
            #[cfg(any(test, feature = "cuda"))]
            Self::Gpu { .. } => GPU_BATCH_ROWS,
        }
    }

    /// Rows of a batch at most, where a row takes so many multiplications.
    pub(super) fn batch_rows(&self, row: u64) -> usize {
        let products = match self {
            Self::Cpu(_) => BATCH_PRODUCTS,
            #[cfg(any(test, feature = "cuda"))]
            Self::Gpu { .. } => GPU_BATCH_PRODUCTS,
        };
        (products / row.max(1)).clamp(BATCH_ROWS_MIN, self.group_rows() as u64) as usize
    }

    /// A vector for each token of each sequence, one after the other.
    ///
    /// # Errors
    /// What a GPU says; the processor has no errors.
    pub(super) fn run<'a>(
        &self,
        scratch: &'a mut Scratch,
        sequences: &[&Sequence],
    ) -> Result<&'a [f32], DeviceError> {
        match self {
            Self::Cpu(layers) => Ok(layers.run(scratch, sequences)),
            #[cfg(any(test, feature = "cuda"))]
            Self::Gpu { layers, .. } => Ok(scratch.holding(layers.run(sequences)?)),
        }
    }
}
