//! Registers that are arrays, which the compiler makes the best of.

use super::Simd;

/// Floats in a register of [`Portable`].
const PORTABLE_WIDTH: usize = 8;

/// Arrays of floats. [`f32::mul_add`] is one instruction on ARM; on x86 without FMA it is a call
/// of the C library, slow but of the same bits.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

#[inline(always)]
fn zip(
    mut a: [f32; PORTABLE_WIDTH],
    b: [f32; PORTABLE_WIDTH],
    f: impl Fn(f32, f32) -> f32,
) -> [f32; PORTABLE_WIDTH] {
    a.iter_mut().zip(b).for_each(|(a, b)| *a = f(*a, b));
    a
}

impl Simd for Portable {
    type F = [f32; PORTABLE_WIDTH];
    const WIDTH: usize = PORTABLE_WIDTH;
    const MANY: bool = false;

    #[inline(always)]
    fn load<const N: usize>(self, lanes: &[f32; N], index: usize) -> Self::F {
        lanes.as_chunks().0[index % (N / PORTABLE_WIDTH)]
    }
    #[inline(always)]
    fn store<const N: usize>(self, lanes: &mut [f32; N], index: usize, value: Self::F) {
        lanes.as_chunks_mut().0[index % (N / PORTABLE_WIDTH)] = value;
    }
    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        [value; PORTABLE_WIDTH]
    }
    #[inline(always)]
    fn fma(self, mut a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        a.iter_mut().zip(b).zip(c).for_each(|((a, b), c)| *a = a.mul_add(b, c));
        a
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn power_of_two(self, a: Self::F) -> Self::F {
        a.map(|a| f32::from_bits((a.to_bits() << 23).wrapping_add(1.0_f32.to_bits())))
    }
}
