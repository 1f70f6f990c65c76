//! Exponentials and the error function, of the same bits on every instruction set.

use crate::simd::Simd;

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
pub fn exp<S: Simd>(simd: S, x: S::F) -> S::F {
    let x = simd.min(simd.splat(EXP_MAX), simd.max(simd.splat(EXP_MIN), x));
    let (power, rest) = exp_parts(simd, x);
    simd.fma(power, rest, power)
}

/// 1 / (1 + exp(-x)).
#[inline(always)]
pub fn sigmoid<S: Simd>(simd: S, x: S::F) -> S::F {
    let one = simd.splat(1.0);
    let exp = exp(simd, simd.sub(simd.splat(0.0), x));
    simd.div(one, simd.add(one, exp))
}

/// tanh(x) = (exp(2x) - 1) / (exp(2x) + 1), without cancellation near 0.
#[inline(always)]
pub fn tanh<S: Simd>(simd: S, x: S::F) -> S::F {
    let x = simd.min(simd.splat(TANH_MAX), simd.max(simd.splat(-TANH_MAX), x));
    let (power, rest) = exp_parts(simd, simd.add(x, x));
    let less_one = simd.fma(power, rest, simd.sub(power, simd.splat(1.0)));
    simd.div(less_one, simd.add(less_one, simd.splat(2.0)))
}

/// The error function stays within rounding of ±1 from here on.
const ERF_MAX: f32 = 3.925_724_8;

/// erf(x), to a few units in the last place: a quotient of polynomials on |x| ≤ 3.9257248,
/// beyond which it is ±1 within rounding.
#[inline(always)]
pub fn erf<S: Simd>(simd: S, x: S::F) -> S::F {
    let x = simd.min(simd.splat(ERF_MAX), simd.max(simd.splat(-ERF_MAX), x));
    let square = simd.mul(x, x);
    let over = polynomial(simd, square, &ERF_OVER);
    let under = polynomial(simd, square, &ERF_UNDER);
    simd.div(simd.mul(x, over), under)
}

/// Coefficients of erf(x) × q(x²) / x, highest power first: fitted by `kernels/fit_erf.py`.
const ERF_OVER: [f32; 7] = [
    -1.283_302_2e-8,
    4.615_405_5e-6,
    3.769_923_6e-4,
    3.839_598_5e-3,
    5.425_019e-2,
    0.185_142_93,
    std::f32::consts::FRAC_2_SQRT_PI,
];
/// Coefficients of q.
const ERF_UNDER: [f32; 6] =
    [6.245_715e-5, 1.302_034_6e-3, 1.543_282_8e-2, 0.113_881_51, 0.497_412_06, 1.0];

/// Σ coefficients × xⁿ, highest power first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::F, coefficients: &[f32; N]) -> S::F {
    let mut sum = simd.splat(0.0);
    for coefficient in coefficients {
        sum = simd.fma(sum, x, simd.splat(*coefficient));
    }
    sum
}

/// x Φ(x): GELU in its exact form, x (1 + erf(x / √2)) / 2.
#[inline(always)]
pub fn gelu<S: Simd>(simd: S, x: S::F) -> S::F {
    let erf = erf(simd, simd.mul(x, simd.splat(std::f32::consts::FRAC_1_SQRT_2)));
    let half = simd.mul(x, simd.splat(0.5));
    simd.fma(half, erf, half)
}

/// The form of GELU with tanh.
#[inline(always)]
pub fn gelu_tanh<S: Simd>(simd: S, x: S::F) -> S::F {
    // √(2/π)
    const ROOT: f32 = 0.797_884_6;
    let cubic = simd.fma(simd.mul(x, x), simd.splat(0.044_715 * ROOT), simd.splat(ROOT));
    let half = simd.mul(x, simd.splat(0.5));
    simd.fma(half, tanh(simd, simd.mul(x, cubic)), half)
}

#[cfg(test)]
mod tests;
