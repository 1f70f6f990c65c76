//! Text models: a Hugging Face directory and columns of text to embeddings, labels or scores.
//!
//! In the order in which data flows: `folder` reads the files of a model and `settings` what they
//! and the spec say: `config` makes a `shape` of `config.json`, for one of the families that
//! `family` describes as data. `weights` takes tensors out of `model.safetensors`, `tokens` turns
//! text into tokens, `packing` puts the rows of a batch into passes, `layers` turn the tokens of a
//! pass into a vector each, whatever the family: `transformer` on the processor, `device` on a GPU.
//! `pooling` makes one vector of those of a row, or `head` a score for each label, `output` makes
//! columns of that, `engine` does it all for a batch. `columns` says which columns hold text.
//! `generate` writes text with the same layers.
//!
//! On the processor there is no padding: the tokens of a pass are the rows of one matrix, and
//! attention looks at one sequence at a time. Together with `nightshift_kernels`, whose rows never
//! depend on one another, this gives a row the same bits alone and in any batch. On a GPU it gets
//! the same scores but for their last bits.

mod columns;
mod config;
#[cfg(any(test, feature = "cuda"))]
mod device;
mod engine;
mod error;
mod family;
mod folder;
mod generate;
mod head;
mod layers;
mod output;
mod packing;
mod pooling;
mod settings;
mod shape;
mod tokens;
mod transformer;
mod weights;

pub use engine::TextEngine;
pub use error::{DeviceError, TextError};
pub use generate::{GenerateEngine, GgufError};

#[cfg(test)]
mod tests;
