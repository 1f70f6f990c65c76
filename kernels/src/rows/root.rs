//! The norm that takes no mean: root mean square.

use super::{LANES, each, fold, padded, squares};
use crate::simd::{Isa, Kernel, Simd};

/// Weights of a root mean square norm (Zhang and Sennrich, 2019).
#[derive(Debug)]
pub struct RootNorm {
    weight: Vec<[f32; LANES]>,
    width: usize,
    epsilon: f32,
}

impl RootNorm {
    /// A norm of rows as wide as `weight`.
    pub fn new(weight: &[f32], epsilon: f32) -> Self {
        let packed = weight.chunks(LANES).map(padded).collect();
        Self { weight: packed, width: weight.len(), epsilon }
    }

    /// Normalises each row of `rows`: x / √(mean of squares + ε) × weight.
    pub fn apply(&self, isa: Isa, rows: &mut [f32]) {
        isa.run(Norm { norm: self, rows });
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.weight)
    }
}

struct Norm<'a> {
    norm: &'a RootNorm,
    rows: &'a mut [f32],
}

impl Kernel for Norm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let width = self.norm.width.max(1);
        for row in self.rows.chunks_exact_mut(width) {
            let mean = fold(squares(simd, row), |a, b| a + b) / width as f32;
            let scale = simd.splat(1.0 / (mean + self.norm.epsilon).sqrt());
            each(
                row,
                #[inline(always)]
                |at, lanes| {
                    let Some(weight) = self.norm.weight.get(at) else { return };
                    for index in 0..LANES / S::WIDTH {
                        let x = simd.mul(simd.load(lanes, index), scale);
                        let y = simd.mul(x, simd.load(weight, index));
                        simd.store(lanes, index, y);
                    }
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matmul::tests::numbers;

    #[test]
    fn rows_are_normalised_whatever_their_width() {
        for width in [1, 2, 31, 32, 33, 96, 384] {
            let (weight, rows) = (numbers(1, width), numbers(3, 3 * width));
            let norm = RootNorm::new(&weight, 1e-6);
            let mut found: Vec<Vec<f32>> = Vec::new();
            for isa in Isa::available() {
                let mut rows = rows.clone();
                norm.apply(isa, &mut rows);
                found.push(rows);
            }
            let same = |other: &Vec<f32>| {
                other.iter().zip(&found[0]).all(|(a, b)| a.to_bits() == b.to_bits())
            };
            assert!(found.iter().all(same), "width {width}");
            for (row, found) in rows.chunks(width).zip(found[0].chunks(width)) {
                let squares: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
                let root = (squares / width as f64 + 1e-6).sqrt();
                for at in 0..width {
                    let wanted = f64::from(row[at]) / root * f64::from(weight[at]);
                    let found = f64::from(found[at]);
                    assert!((found - wanted).abs() < 1e-5, "width {width}: {found} for {wanted}");
                }
            }
        }
    }
}
