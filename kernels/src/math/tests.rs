use super::*;
use crate::simd::{Isa, Kernel};

struct Erf<'a>(&'a mut [f32; 16]);

impl Kernel for Erf<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for index in 0..16 / S::WIDTH {
            let y = erf(simd, simd.load(self.0, index));
            simd.store(self.0, index, y);
        }
    }
}

/// erf by its Taylor series, which 64 bits can sum for |x| ≤ 4.
fn exact(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn the_error_function_is_exact_to_rounding_and_alike_everywhere() {
    for step in 0..8_000 {
        let x = (step - 4_000) as f32 * 0.001 + 0.000_3;
        let results: Vec<f32> = Isa::available()
            .map(|isa| {
                let mut lanes = [x; 16];
                isa.run(Erf(&mut lanes));
                lanes[7]
            })
            .collect();
        let wanted = exact(f64::from(x));
        let error = (f64::from(results[0]) - wanted).abs() / wanted.abs();
        assert!(error < 4e-7, "erf({x}) is {} instead of {wanted}", results[0]);
        assert!(results.iter().all(|y| y.to_bits() == results[0].to_bits()), "{x}: {results:?}");
    }
}

#[test]
fn the_error_function_ends_at_one() {
    for (x, wanted) in [(9.0, 1.0_f32), (-1e30, -1.0), (0.0, 0.0)] {
        let mut lanes = [x; 16];
        Isa::detect().run(Erf(&mut lanes));
        assert!((lanes[0] - wanted).abs() <= f32::EPSILON, "{x}: {}", lanes[0]);
    }
}
