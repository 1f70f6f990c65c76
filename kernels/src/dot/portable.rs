//! Words taken apart by plain arithmetic.

use super::{Dot, Pair, Quad};
use crate::simd::{Portable, Simd};

/// Words in a register.
const WIDTH: usize = <Portable as Simd>::WIDTH;

impl Dot<Pair> for Portable {
    type Words = [u32; WIDTH];
    type Sums = [f32; WIDTH];
    type Sum = f32;

    #[inline(always)]
    fn words<const N: usize>(self, lanes: &[Pair; N], index: usize) -> [u32; WIDTH] {
        lanes.as_chunks().0[index % (N / WIDTH)].map(|Pair(bits)| bits)
    }
    #[inline(always)]
    fn every(self, Pair(bits): Pair) -> [u32; WIDTH] {
        [bits; WIDTH]
    }
    #[inline(always)]
    fn dot(self, left: [u32; WIDTH], right: [u32; WIDTH], sums: [f32; WIDTH]) -> [f32; WIDTH] {
        let high = |words: [u32; WIDTH]| words.map(|bits| f32::from_bits(bits & 0xFFFF_0000));
        let low = |words: [u32; WIDTH]| words.map(|bits| f32::from_bits(bits << 16));
        self.fma(low(left), low(right), self.fma(high(left), high(right), sums))
    }
    #[inline(always)]
    fn sums<const N: usize>(self, lanes: &[f32; N], index: usize) -> [f32; WIDTH] {
        self.load(lanes, index)
    }
    #[inline(always)]
    fn put<const N: usize>(self, lanes: &mut [f32; N], index: usize, sums: [f32; WIDTH]) {
        self.store(lanes, index, sums);
    }
}

impl Dot<Quad> for Portable {
    type Words = [u32; WIDTH];
    type Sums = [i32; WIDTH];
    type Sum = i32;

    #[inline(always)]
    fn words<const N: usize>(self, lanes: &[Quad; N], index: usize) -> [u32; WIDTH] {
        lanes.as_chunks().0[index % (N / WIDTH)].map(|Quad(bits)| bits)
    }
    #[inline(always)]
    fn every(self, Quad(bits): Quad) -> [u32; WIDTH] {
        [bits; WIDTH]
    }
    #[inline(always)]
    fn dot(self, left: [u32; WIDTH], right: [u32; WIDTH], mut sums: [i32; WIDTH]) -> [i32; WIDTH] {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            for (left, right) in left.to_le_bytes().into_iter().zip(right.to_le_bytes()) {
                *sum = sum.wrapping_add(i32::from(left) * i32::from(right as i8));
            }
        }
        sums
    }
    #[inline(always)]
    fn sums<const N: usize>(self, lanes: &[i32; N], index: usize) -> [i32; WIDTH] {
        lanes.as_chunks().0[index % (N / WIDTH)]
    }
    #[inline(always)]
    fn put<const N: usize>(self, lanes: &mut [i32; N], index: usize, sums: [i32; WIDTH]) {
        lanes.as_chunks_mut().0[index % (N / WIDTH)] = sums;
    }
}
