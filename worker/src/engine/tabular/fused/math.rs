//! Exponentials for activations and probabilities, of the same bits on every instruction set.

use crate::engine::tabular::config::Activation;
use crate::engine::tabular::simd::Simd;

/// Adding this to a float below 2²² rounds it to an integer, which the low bits then hold.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts; the first has so few bits that its product with an exponent is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// exp stays within normal floats between these.
const EXP_MIN: f32 = -87.0;
const EXP_MAX: f32 = 88.0;
/// tanh rounds to 1 from here on.
const TANH_MAX: f32 = 9.1;

/// Parts of exp(x), for x in the range above: (2ⁿ, exp(r) - 1) where x = n ln 2 + r and
/// |r| ≤ ln 2 / 2. NaN stays NaN.
#[inline(always)]
fn exp_parts<S: Simd>(simd: S, x: S::F) -> (S::F, S::F) {
    let shifted = simd.fma(x, simd.splat(std::f32::consts::LOG2_E), simd.splat(ROUND));
    let n = simd.sub(shifted, simd.splat(ROUND));
    let r = simd.fma(n, simd.splat(-LN2_HIGH), x);
    let r = simd.fma(n, simd.splat(-LN2_LOW), r);
    // The Taylor series: the first term left out is below 2⁻²⁷ of r.
    let mut sum = simd.splat(1.0 / 5040.0);
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        sum = simd.fma(sum, r, simd.splat(coefficient));
    }
    (simd.power_of_two(shifted), simd.fma(simd.mul(sum, r), r, r))
}

/// exp(x), held at exp(±87…88) outside of that range.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::F) -> S::F {
    let x = simd.min(simd.splat(EXP_MAX), simd.max(simd.splat(EXP_MIN), x));
    let (power, rest) = exp_parts(simd, x);
    simd.fma(power, rest, power)
}

/// 1 / (1 + exp(-x)).
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(simd: S, x: S::F) -> S::F {
    let one = simd.splat(1.0);
    let exp = exp(simd, simd.sub(simd.splat(0.0), x));
    simd.div(one, simd.add(one, exp))
}

/// tanh(x) = (exp(2x) - 1) / (exp(2x) + 1), without cancellation near 0.
#[inline(always)]
pub(super) fn tanh<S: Simd>(simd: S, x: S::F) -> S::F {
    let x = simd.min(simd.splat(TANH_MAX), simd.max(simd.splat(-TANH_MAX), x));
    let (power, rest) = exp_parts(simd, simd.add(x, x));
    let less_one = simd.fma(power, rest, simd.sub(power, simd.splat(1.0)));
    simd.div(less_one, simd.add(less_one, simd.splat(2.0)))
}

/// The tanh form of GELU.
#[inline(always)]
fn gelu<S: Simd>(simd: S, x: S::F) -> S::F {
    // √(2/π)
    const ROOT: f32 = 0.797_884_6;
    let cubic = simd.fma(simd.mul(x, x), simd.splat(0.044_715 * ROOT), simd.splat(ROOT));
    let half = simd.mul(x, simd.splat(0.5));
    simd.fma(half, tanh(simd, simd.mul(x, cubic)), half)
}

/// `activation` of x.
#[inline(always)]
pub(super) fn activate<S: Simd>(simd: S, activation: Activation, x: S::F) -> S::F {
    match activation {
        // In this order NaN stays NaN, and the row is rejected in the end.
        Activation::Relu => simd.max(simd.splat(0.0), x),
        Activation::Gelu => gelu(simd, x),
        Activation::Tanh => tanh(simd, x),
        Activation::Identity => x,
    }
}
