//! One half of a row as the gate of the other (Shazeer, 2020): GeGLU, SwiGLU and the like.

use crate::math::{gelu, gelu_tanh, sigmoid};
use crate::simd::{Isa, Kernel, Simd};

/// Numbers that are computed at a time.
const LANES: usize = 32;

/// What is done to the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// GELU in its exact form.
    Gelu,
    /// GELU with tanh.
    GeluTanh,
    /// The larger of it and 0.
    Relu,
    /// x times the sigmoid of x.
    Silu,
}

/// For each row of `2 × width` numbers of `rows`, `width` numbers in `out`, which is emptied:
/// gate(first half) × second half.
pub fn gated(isa: Isa, gate: Gate, rows: &[f32], width: usize, out: &mut Vec<f32>) {
    out.clear();
    out.resize(rows.len() / 2, 0.0);
    isa.run(Gated { gate, rows, width, out });
}

struct Gated<'a> {
    gate: Gate,
    rows: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Kernel for Gated<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { gate, rows, width, out } = self;
        let width = width.max(1);
        for (row, out) in rows.chunks_exact(2 * width).zip(out.chunks_exact_mut(width)) {
            let (gates, others) = row.split_at(width);
            let chunks = gates.chunks(LANES).zip(others.chunks(LANES));
            for ((gates, others), out) in chunks.zip(out.chunks_mut(LANES)) {
                let (mut lanes, mut factors) = ([0.0; LANES], [0.0; LANES]);
                lanes.iter_mut().zip(gates).for_each(|(to, from)| *to = *from);
                factors.iter_mut().zip(others).for_each(|(to, from)| *to = *from);
                for index in 0..LANES / S::WIDTH {
                    let x = simd.load(&lanes, index);
                    let y = match gate {
                        Gate::Gelu => gelu(simd, x),
                        Gate::GeluTanh => gelu_tanh(simd, x),
                        // In this order NaN stays NaN, and the row is rejected in the end.
                        Gate::Relu => simd.max(simd.splat(0.0), x),
                        Gate::Silu => simd.mul(x, sigmoid(simd, x)),
                    };
                    simd.store(&mut lanes, index, simd.mul(y, simd.load(&factors, index)));
                }
                out.iter_mut().zip(&lanes).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matmul::tests::numbers;

    #[test]
    fn the_first_half_gates_the_second() {
        for width in [1, 31, 32, 48, 100] {
            let rows: Vec<f32> = numbers(8, 6 * width).iter().map(|x| x * 4.0).collect();
            let of = |isa: Isa, gate: Gate| {
                let mut out = vec![f32::NAN; 5];
                gated(isa, gate, &rows, width, &mut out);
                out
            };
            for gate in [Gate::Gelu, Gate::GeluTanh, Gate::Relu, Gate::Silu] {
                let found = of(Isa::detect(), gate);
                for isa in Isa::available() {
                    let other = of(isa, gate);
                    assert!(other.iter().zip(&found).all(|(a, b)| a.to_bits() == b.to_bits()));
                }
            }
            for (row, found) in
                rows.chunks(2 * width).zip(of(Isa::detect(), Gate::Silu).chunks(width))
            {
                for at in 0..width {
                    let (x, factor) = (f64::from(row[at]), f64::from(row[width + at]));
                    let wanted = x / (1.0 + (-x).exp()) * factor;
                    assert!((f64::from(found[at]) - wanted).abs() < 1e-5);
                }
            }
            for (row, found) in
                rows.chunks(2 * width).zip(of(Isa::detect(), Gate::Relu).chunks(width))
            {
                let wanted = (0..width).map(|at| row[at].max(0.0) * row[width + at]);
                assert!(found.iter().zip(wanted).all(|(a, b)| *a == b));
            }
        }
    }
}
