//! Arithmetic of models on one core, of the same bits on every instruction set.
//!
//! - [`simd`]: registers of floats behind one trait, and most of the `unsafe` of the engines
//! - [`math`]: exponentials and the error function on them
//! - [`dot`]: words of one, two or four numbers and their products
//! - [`tiles`]: registers that are tiles of words, and their products
//! - [`matmul`]: products of matrices, in which a row never depends on the rows beside it
//! - [`matrix`]: weights in the precision that was asked for
//! - [`rows`]: what a transformer does to the rows of a matrix: layer norm, softmax
//! - [`attention`]: attention within one sequence, of all tokens or of near ones
//! - [`rotary`]: places of tokens as rotations of queries and keys
//! - [`gated`]: one half of a row as the gate of the other
//! - [`trees`]: decision trees, whose comparisons are made for many rows at once
//!
//! Every sum is taken in an order that depends on the shape of its own row alone, with
//! multiply-adds that round once. So a row has the same bits alone, beside any rows, and on any
//! processor. This is a crate of its own so that tests, which are built without optimisation, run
//! it optimised.

pub mod attention;
pub mod dot;
pub mod gated;
pub mod math;
pub mod matmul;
pub mod matrix;
pub mod rotary;
pub mod rows;
pub mod simd;
pub mod tiles;
pub mod trees;

pub use simd::Isa;
