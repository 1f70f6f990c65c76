//! Registers of floats: AVX-512, AVX2 with FMA, and plain arrays everywhere else.
//!
//! All operations are exactly rounded (IEEE 754) and [`Simd::fma`] rounds once on every
//! instruction set, so that the same kernel gives the same bits on all of them.
//!
//! With [`dot`](crate::dot) and [`trees`](crate::trees) this is all of the engines with `unsafe`:
//! here to call what was compiled for instructions that a value proves to be there.
#![allow(unsafe_code)]

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
use crate::tiles::{Amx, amx};
pub use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

/// A computation that can run on any instruction set. Implementations of [`run`](Self::run) are
/// `#[inline(always)]`, and so is what they call: that is what compiles them for the set.
pub trait Kernel {
    /// Its result.
    type Output;
    /// Computes with the registers of `simd`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Registers of an instruction set; a value proves that the processor has it.
pub trait Simd: Copy {
    /// A register.
    type F: Copy;
    /// Floats in a register; a power of two, at most 16.
    const WIDTH: usize;
    /// Whether there are 32 registers rather than 16.
    const MANY: bool;

    /// The register at position `index`, modulo their number, of `lanes`, whose length is a
    /// multiple of [`WIDTH`](Self::WIDTH).
    fn load<const N: usize>(self, lanes: &[f32; N], index: usize) -> Self::F;
    /// Writes the register at position `index`, modulo their number, of `lanes`.
    fn store<const N: usize>(self, lanes: &mut [f32; N], index: usize, value: Self::F);
    /// `value` in every lane.
    fn splat(self, value: f32) -> Self::F;
    /// a × b + c, rounded once.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// a + b.
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// a - b.
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// a × b.
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// a / b.
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// a if a > b, else b: b if either is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// a if a < b, else b: b if either is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// The bits of `a` shifted left by 23, plus those of 1.0: 2ⁿ where the low bits of `a` hold n.
    fn power_of_two(self, a: Self::F) -> Self::F;
}

/// The instruction set to compute with.
#[derive(Debug, Clone, Copy)]
pub enum Isa {
    /// AVX-512, and AMX for products of matrices of pairs and quads.
    #[cfg(target_arch = "x86_64")]
    Amx(Amx),
    /// AVX-512 F, VL, DQ and BW.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// Whatever the compiler makes of arrays.
    Portable(Portable),
}

impl Isa {
    /// All that this processor has, fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let x86 = [
            amx().ok().map(Self::Amx),
            Avx512::detect().map(Self::Avx512),
            Avx2::detect().map(Self::Avx2),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let x86: [Option<Self>; 0] = [];
        x86.into_iter().flatten().chain([Self::Portable(Portable)])
    }

    /// The fastest that this processor has.
    pub fn detect() -> Self {
        Self::available().next().unwrap_or(Self::Portable(Portable))
    }

    /// AVX-512, if it has that.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn avx512(self) -> Option<Avx512> {
        match self {
            Self::Amx(amx) => Some(amx.avx512()),
            Self::Avx512(simd) => Some(simd),
            _ => None,
        }
    }

    /// Whether a product of pairs of bfloat16 takes no longer than one of floats: with AVX-512
    /// BF16, but not on processors of Intel, which take four times as long.
    pub fn has_fast_pairs(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        let is_fast = self.avx512().is_some_and(Avx512::has_fast_pairs);
        #[cfg(not(target_arch = "x86_64"))]
        let is_fast = false;
        is_fast
    }

    /// Whether products of pairs and quads are made by [`tiles`](crate::tiles), so that those of pairs
    /// have other bits than without.
    pub fn has_tiles(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx(_) => true,
            _ => false,
        }
    }

    /// Its name, for reports.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx(_) => "avx512+amx",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            Self::Portable(_) => "portable",
        }
    }

    /// Runs `kernel`, compiled for this instruction set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
        fn avx512<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        match self {
            // SAFETY: the value in `amx` proves that the processor has these features.
            #[cfg(target_arch = "x86_64")]
            Self::Amx(amx) => unsafe { avx512(amx.avx512(), kernel) },
            // SAFETY: the value `simd` proves that the processor has these features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => unsafe { avx512(simd, kernel) },
            // SAFETY: the value `simd` proves that the processor has these features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => unsafe { avx2(simd, kernel) },
            Self::Portable(simd) => kernel.run(simd),
        }
    }
}
