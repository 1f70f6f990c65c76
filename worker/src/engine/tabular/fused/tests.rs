use nightshift_kernels::math::{exp, sigmoid, tanh};
use nightshift_kernels::simd::{Kernel, Simd};

use super::math::activate;
use super::*;

/// Applies a function to the lanes of a block.
struct Apply<'a>(&'a mut Lanes, Function);

#[derive(Debug, Clone, Copy)]
enum Function {
    Exp,
    Sigmoid,
    Activate(Activation),
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for index in 0..BLOCK_ROWS / S::WIDTH {
            let x = simd.load(&self.0.0, index);
            let y = match self.1 {
                Function::Exp => exp(simd, x),
                Function::Sigmoid => sigmoid(simd, x),
                Function::Activate(Activation::Tanh) => tanh(simd, x),
                Function::Activate(activation) => activate(simd, activation, x),
            };
            simd.store(&mut self.0.0, index, y);
        }
    }
}

/// Floats of every magnitude and sign, and those at which functions change their ways.
fn floats() -> Vec<f32> {
    let mut floats = vec![0.0, -0.0, 87.0, -87.0, 88.0, -88.0, 9.1, -9.1, 1e30, -1e30];
    for step in -20_000..20_000 {
        floats.push(step as f32 * 0.005);
        floats.push((step as f32 * 0.002).exp() * if step % 2 == 0 { 1.0 } else { -1.0 });
    }
    floats
}

/// Checks `function` on every instruction set against `exact`, to `tolerance` of the larger of
/// the result and `floor`; and that all sets give the same bits.
fn check(function: Function, exact: impl Fn(f64) -> f64, tolerance: f64, floor: f64) {
    for chunk in floats().chunks(BLOCK_ROWS) {
        let mut input = Lanes::ZERO;
        input.0[..chunk.len()].copy_from_slice(chunk);
        let results: Vec<Lanes> = Isa::available()
            .map(|isa| {
                let mut lanes = input;
                isa.run(Apply(&mut lanes, function));
                lanes
            })
            .collect();
        for (lane, &x) in input.0.iter().enumerate() {
            let y = results[0].0[lane];
            for other in &results {
                assert_eq!(other.0[lane].to_bits(), y.to_bits(), "{function:?} of {x}");
            }
            let wanted = exact(f64::from(x));
            let error = (f64::from(y) - wanted).abs();
            let allowed = tolerance * wanted.abs().max(floor);
            assert!(error <= allowed, "{function:?} of {x} is {y}, not {wanted}");
        }
    }
}

#[test]
fn exponentials_are_accurate_to_single_precision() {
    check(Function::Exp, |x| x.clamp(-87.0, 88.0).exp(), 2e-7, 0.0);
    check(Function::Sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 3e-7, 1e-30);
    check(Function::Activate(Activation::Tanh), f64::tanh, 3e-7, 0.0);
}

#[test]
fn activations_are_what_the_format_says() {
    check(Function::Activate(Activation::Relu), |x| x.max(0.0), 0.0, 0.0);
    check(Function::Activate(Activation::Identity), |x| x, 0.0, 0.0);
    let gelu = |x: f64| {
        let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
        0.5 * x * (1.0 + inner.tanh())
    };
    // Below about -5 the exact value is a difference of nearly equal numbers.
    check(Function::Activate(Activation::Gelu), gelu, 1e-6, 1.0);
}

#[test]
fn not_a_number_passes_through_every_function() {
    let activations = [Activation::Relu, Activation::Gelu, Activation::Tanh, Activation::Identity];
    let functions = activations.into_iter().map(Function::Activate);
    for function in functions.chain([Function::Exp, Function::Sigmoid]) {
        for isa in Isa::available() {
            let mut lanes = Lanes([f32::NAN; BLOCK_ROWS]);
            isa.run(Apply(&mut lanes, function));
            assert!(lanes.0.iter().all(|y| y.is_nan()), "{function:?} on {}", isa.name());
        }
    }
}

#[test]
fn packing_pads_the_last_panel_with_nothing() {
    let weight: Vec<f32> = (1..=12).map(|w| w as f32).collect();
    let bias: Vec<f32> = (1..=6).map(|b| b as f32 / 10.0).collect();
    let packed = PackedLayer::new(2, Activation::Identity, &weight, &bias);
    assert_eq!(
        packed.weights,
        [[1.0, 3.0, 5.0, 7.0], [2.0, 4.0, 6.0, 8.0], [9.0, 11.0, 0.0, 0.0], [10.0, 12.0, 0.0, 0.0]]
    );
    assert_eq!(packed.bias, [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.0, 0.0]]);
}
