//! The engine `onnx`: graphs that sklearn, XGBoost, LightGBM and others export.
//!
//! In the order in which data flows: `proto` reads the file, `constant` its tensors, `compile`
//! makes steps of its nodes with `ops`, one function for each operator; `inputs` turns columns
//! into values, `outputs` turns values into columns, `engine` does it all for a batch.
//!
//! The first axis of every value that depends on the input is the rows. An operator that would mix
//! rows is refused when the model is loaded, so a row has the same bits alone and in any batch.
//! What depends on no input is computed once, when the model is loaded.
//!
//! A file may hold any bytes: counts, sizes and shapes are checked against the limits below, and
//! against what the file has, before anything is allocated for them. There are no loops, no
//! subgraphs and no files beside the graph.

mod compile;
mod constant;
mod engine;
mod error;
mod inputs;
mod ops;
mod outputs;
mod proto;
mod value;

pub use engine::OnnxEngine;
pub use error::OnnxError;

/// Largest file.
pub const FILE_BYTES_MAX: u64 = 512 << 20;
/// Most nodes of a graph.
pub const NODES_MAX: usize = 10_000;
/// Most inputs of a node, and most outputs.
pub const OPERANDS_MAX: usize = 4096;
/// Most tensors of a file.
pub const TENSORS_MAX: usize = 100_000;
/// Most elements of all lists of attributes together.
pub const LIST_ELEMENTS_MAX: usize = 1 << 26;
/// Most axes of a value.
pub const AXES_MAX: usize = 8;
/// Most elements that a row has in one value.
pub const WIDTH_MAX: usize = 1 << 18;
/// Most elements that a row has in all values together.
pub const WIDTHS_MAX: usize = 1 << 22;
/// Most elements of a value that depends on no input.
pub const CONSTANT_ELEMENTS_MAX: usize = 1 << 26;
/// Most operations that a row takes, about: a second's worth.
pub const WORK_MAX: usize = 1 << 30;
/// Most steps from the root of a tree to a leaf.
pub const TREE_DEPTH_MAX: usize = 4096;
/// Most classes or targets of a model.
pub const CLASSES_MAX: usize = 4096;
/// Newest operator set of `ai.onnx` whose operators are known.
pub const OPSET_MAX: u64 = 24;
/// Oldest operator set of `ai.onnx` whose operators are known.
pub const OPSET_MIN: u64 = 7;
/// Newest operator set of `ai.onnx.ml` whose operators are known.
pub const ML_OPSET_MAX: u64 = 5;

#[cfg(test)]
mod tests;
