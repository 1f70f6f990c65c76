//! Activations of a layer.

use nightshift_kernels::math::{gelu_tanh, tanh};
use nightshift_kernels::simd::Simd;

use crate::engine::tabular::config::Activation;

/// `activation` of x.
#[inline(always)]
pub(super) fn activate<S: Simd>(simd: S, activation: Activation, x: S::F) -> S::F {
    match activation {
        // In this order NaN stays NaN, and the row is rejected in the end.
        Activation::Relu => simd.max(simd.splat(0.0), x),
        Activation::Gelu => gelu_tanh(simd, x),
        Activation::Tanh => tanh(simd, x),
        Activation::Identity => x,
    }
}
