//! Which model: the reference that a user writes, and what it was resolved to.
//!
//! [`ModelUri`] is `spec.model.uri` as a type: a folder, a prefix of a bucket, a repository of the Hugging
//! Face Hub, or a model of an MLflow registry. A branch, an alias or a linked folder may point
//! elsewhere tomorrow, so a plan stores a [`PinnedModel`] beside it, which cannot.
//! [`is_model_file`] is the rule which files make a model what it is, and [`refused_host`] names
//! the addresses that no model comes from. [`onnx`] says which columns a graph of ONNX reads, with
//! [`wire`] for the bytes of its file.

mod files;
mod host;
pub mod onnx;
mod pinned;
mod uri;
pub mod wire;

pub use files::{
    CONFIG_FILE, MODEL_EXTENSIONS, ONNX_FILE, has_main_file, is_model_file, is_model_folder,
    is_plain_name,
};
pub use host::refused_host;
pub use pinned::{ObjectVersion, PinnedModel, PinnedObjects};
pub use uri::{HubModel, InvalidModelUri, ModelUri, RegisteredModel, Selector, is_location};

#[cfg(test)]
mod tests;
