//! Words of one, two or four numbers, and their products.
//!
//! A product of matrices takes the depth a word at a time: [`f32`] is one number, [`Pair`] two of
//! bfloat16, [`Quad`] four of eight bits. What a step costs is the same, so a pair goes twice as
//! far and a quad four times, where the processor has the instructions (AVX-512 BF16 and VNNI).
//!
//! Everywhere else the same words are taken apart. Sums of quads are integers, of the same bits
//! on every processor. Sums of pairs are too, except that the instruction takes what is smaller
//! than the smallest normal float for 0.
#![allow(unsafe_code)]

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Isa, Kernel, Portable, Simd};
#[cfg(target_arch = "x86_64")]
use x86::Avx512Dot;

/// Two numbers of bfloat16, the first in the low half.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Pair(pub u32);

/// Four integers of eight bits, the first in the lowest: without sign on the left of a product,
/// with sign on its right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Quad(pub u32);

/// Registers of words, and sums of their products.
pub trait Dot<W>: Simd {
    /// A register of words.
    type Words: Copy;
    /// A register of sums.
    type Sums: Copy;
    /// One sum.
    type Sum: Copy;

    /// The register at position `index`, modulo their number, of `lanes`.
    fn words<const N: usize>(self, lanes: &[W; N], index: usize) -> Self::Words;
    /// `word` in every lane.
    fn every(self, word: W) -> Self::Words;
    /// `sums` and the products of the numbers of a word of `left` and one of `right`.
    fn dot(self, left: Self::Words, right: Self::Words, sums: Self::Sums) -> Self::Sums;
    /// The sums at position `index`, modulo their number, of `lanes`.
    fn sums<const N: usize>(self, lanes: &[Self::Sum; N], index: usize) -> Self::Sums;
    /// Writes the sums at position `index`, modulo their number, of `lanes`.
    fn put<const N: usize>(self, lanes: &mut [Self::Sum; N], index: usize, sums: Self::Sums);
}

/// What products are made of.
pub trait Word: Copy + Default + 'static {
    /// Numbers in a word.
    const NUMBERS: usize;
    /// One sum of products.
    type Sum: Copy + Default;

    /// Runs `kernel`, compiled for the products of these words on instruction set `isa`.
    fn run<K: DotKernel<Self>>(isa: Isa, kernel: K) -> K::Output;
}

/// A [`Kernel`] that multiplies words.
pub trait DotKernel<W: Word> {
    /// Its result.
    type Output;
    /// Computes with the registers of `simd`.
    fn run<S: Dot<W, Sum = W::Sum>>(self, simd: S) -> Self::Output;
}

impl<S: Simd> Dot<f32> for S {
    type Words = S::F;
    type Sums = S::F;
    type Sum = f32;

    #[inline(always)]
    fn words<const N: usize>(self, lanes: &[f32; N], index: usize) -> S::F {
        self.load(lanes, index)
    }
    #[inline(always)]
    fn every(self, word: f32) -> S::F {
        self.splat(word)
    }
    #[inline(always)]
    fn dot(self, left: S::F, right: S::F, sums: S::F) -> S::F {
        self.fma(left, right, sums)
    }
    #[inline(always)]
    fn sums<const N: usize>(self, lanes: &[f32; N], index: usize) -> S::F {
        self.load(lanes, index)
    }
    #[inline(always)]
    fn put<const N: usize>(self, lanes: &mut [f32; N], index: usize, sums: S::F) {
        self.store(lanes, index, sums);
    }
}

impl Word for f32 {
    const NUMBERS: usize = 1;
    type Sum = f32;

    #[inline]
    fn run<K: DotKernel<Self>>(isa: Isa, kernel: K) -> K::Output {
        struct Plain<K>(K);
        impl<K: DotKernel<f32>> Kernel for Plain<K> {
            type Output = K::Output;
            #[inline(always)]
            fn run<S: Simd>(self, simd: S) -> K::Output {
                self.0.run(simd)
            }
        }
        isa.run(Plain(kernel))
    }
}

/// [`Word`] for what has instructions of its own.
macro_rules! word {
    ($word:ident, $numbers:literal, $sum:ty) => {
        impl Word for $word {
            const NUMBERS: usize = $numbers;
            type Sum = $sum;

            #[inline]
            fn run<K: DotKernel<Self>>(isa: Isa, kernel: K) -> K::Output {
                #[cfg(target_arch = "x86_64")]
                #[target_feature(
                    enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,avx512vnni,avx2,fma"
                )]
                fn avx512_dot<K: DotKernel<$word>>(simd: Avx512Dot, kernel: K) -> K::Output {
                    kernel.run(simd)
                }
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                fn avx512<K: DotKernel<$word>>(simd: Avx512, kernel: K) -> K::Output {
                    kernel.run(simd)
                }
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,fma")]
                fn avx2<K: DotKernel<$word>>(simd: Avx2, kernel: K) -> K::Output {
                    kernel.run(simd)
                }
                match isa {
                    // Products by tiles are another kernel; this one runs without them.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Amx(amx) => Self::run(Isa::Avx512(amx.avx512()), kernel),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512(simd) => match Avx512Dot::detect(simd) {
                        // SAFETY: the value `simd` proves that the processor has these features.
                        Some(simd) => unsafe { avx512_dot(simd, kernel) },
                        // SAFETY: the value `simd` proves that the processor has these features.
                        None => unsafe { avx512(simd, kernel) },
                    },
                    // SAFETY: the value `simd` proves that the processor has these features.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2(simd) => unsafe { avx2(simd, kernel) },
                    Isa::Portable(simd) => kernel.run::<Portable>(simd),
                }
            }
        }
    };
}

word!(Pair, 2, f32);
word!(Quad, 4, i32);

impl Pair {
    /// Two numbers, rounded to the nearest of bfloat16, to even between two. NaN stays NaN.
    #[inline(always)]
    pub fn of(first: f32, second: f32) -> Self {
        Self(u32::from(bf16(first)) | u32::from(bf16(second)) << 16)
    }
}

/// The nearest number of bfloat16: the upper half of the bits of a float.
#[inline(always)]
pub fn bf16(number: f32) -> u16 {
    let bits = number.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16;
    (if number.is_nan() { 0x7FC0 } else { rounded }) as u16
}

#[cfg(test)]
mod tests;
