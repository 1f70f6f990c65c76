//! Which model: the reference that a user writes, and what it was resolved to.
//!
//! [`ModelUri`] is `spec.model.uri` as a type: a folder, an S3 prefix, a repository of the Hugging
//! Face Hub, or a model of an MLflow registry. A branch, an alias or a linked folder may point
//! elsewhere tomorrow, so a plan stores a [`PinnedModel`] beside it, which cannot.
//! [`is_model_file`] is the rule which files make a model what it is, and [`refused_host`] names
//! the addresses that no model comes from.

mod files;
mod host;
mod pinned;
mod uri;

pub use files::{
    CONFIG_FILE, MODEL_EXTENSIONS, is_described, is_model_file, is_model_folder, is_plain_name,
};
pub use host::refused_host;
pub use pinned::{ObjectVersion, PinnedModel};
pub use uri::{
    HubModel, InvalidModelUri, ModelUri, RegisteredModel, S3Prefix, Selector, is_location,
};

#[cfg(test)]
mod tests;
