//! Registers of floats: AVX-512, AVX2 with FMA, and plain arrays everywhere else.
//!
//! All operations are exactly rounded (IEEE 754) and [`Simd::fma`] rounds once on every
//! instruction set, so that the same kernel gives the same bits on all of them.
//!
//! This is the only file of the engines with `unsafe`. Two facts carry every block: a value of `Avx512` or
//! `Avx2` exists only if the processor was found to have the instructions (their fields are
//! private and only `detect` makes them), and registers are loaded from and stored to references
//! to arrays of exactly their width.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

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
        let x86 = [Avx512::detect().map(Self::Avx512), Avx2::detect().map(Self::Avx2)];
        #[cfg(not(target_arch = "x86_64"))]
        let x86 = [None, None];
        x86.into_iter().flatten().chain([Self::Portable(Portable)])
    }

    /// The fastest that this processor has.
    pub fn detect() -> Self {
        Self::available().next().unwrap_or(Self::Portable(Portable))
    }

    /// Its name, for reports.
    pub fn name(self) -> &'static str {
        match self {
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

/// Implements [`Simd`] for one width of x86 registers.
#[cfg(target_arch = "x86_64")]
macro_rules! x86 {
    (
        $simd:ident, $register:ident, $width:literal, $many:literal, [$($feature:tt)*],
        $load:ident $store:ident $splat:ident $fma:ident $add:ident $sub:ident $mul:ident $div:ident
        $max:ident $min:ident $to_bits:ident $from_bits:ident $shift:ident $add_bits:ident $splat_bits:ident
    ) => {
        /// Proves that the processor has the instructions.
        #[derive(Debug, Clone, Copy)]
        pub struct $simd(());

        impl $simd {
            fn detect() -> Option<Self> {
                ($(is_x86_feature_detected!($feature))&&*).then_some(Self(()))
            }
        }

        // SAFETY, for every block: `self` proves that the processor has the instructions, and
        // only those of the features that `detect` asks for are used. Pointers come from
        // references to arrays of exactly the register's width.
        impl Simd for $simd {
            type F = $register;
            const WIDTH: usize = $width;
            const MANY: bool = $many;

            #[inline(always)]
            fn load<const N: usize>(self, lanes: &[f32; N], index: usize) -> Self::F {
                let chunk = &lanes.as_chunks::<$width>().0[index % (N / $width)];
                // SAFETY: see above.
                unsafe { $load(chunk.as_ptr()) }
            }
            #[inline(always)]
            fn store<const N: usize>(self, lanes: &mut [f32; N], index: usize, value: Self::F) {
                let chunk = &mut lanes.as_chunks_mut::<$width>().0[index % (N / $width)];
                // SAFETY: see above.
                unsafe { $store(chunk.as_mut_ptr(), value) }
            }
            #[inline(always)]
            fn splat(self, value: f32) -> Self::F {
                // SAFETY: see above.
                unsafe { $splat(value) }
            }
            #[inline(always)]
            fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
                // SAFETY: see above.
                unsafe { $fma(a, b, c) }
            }
            #[inline(always)]
            fn add(self, a: Self::F, b: Self::F) -> Self::F {
                // SAFETY: see above.
                unsafe { $add(a, b) }
            }
            #[inline(always)]
            fn sub(self, a: Self::F, b: Self::F) -> Self::F {
                // SAFETY: see above.
                unsafe { $sub(a, b) }
            }
            #[inline(always)]
            fn mul(self, a: Self::F, b: Self::F) -> Self::F {
                // SAFETY: see above.
                unsafe { $mul(a, b) }
            }
            #[inline(always)]
            fn div(self, a: Self::F, b: Self::F) -> Self::F {
                // SAFETY: see above.
                unsafe { $div(a, b) }
            }
            #[inline(always)]
            fn max(self, a: Self::F, b: Self::F) -> Self::F {
                // SAFETY: see above.
                unsafe { $max(a, b) }
            }
            #[inline(always)]
            fn min(self, a: Self::F, b: Self::F) -> Self::F {
                // SAFETY: see above.
                unsafe { $min(a, b) }
            }
            #[inline(always)]
            fn power_of_two(self, a: Self::F) -> Self::F {
                // SAFETY: see above.
                unsafe {
                    let one = $splat_bits(1.0_f32.to_bits() as i32);
                    $from_bits($add_bits($shift::<23>($to_bits(a)), one))
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
x86!(
    Avx512, __m512, 16, true, ["avx512f" "avx512vl" "avx512dq" "avx512bw" "avx2" "fma"],
    _mm512_loadu_ps _mm512_storeu_ps _mm512_set1_ps _mm512_fmadd_ps _mm512_add_ps _mm512_sub_ps
    _mm512_mul_ps _mm512_div_ps _mm512_max_ps _mm512_min_ps _mm512_castps_si512 _mm512_castsi512_ps
    _mm512_slli_epi32 _mm512_add_epi32 _mm512_set1_epi32
);

#[cfg(target_arch = "x86_64")]
x86!(
    Avx2, __m256, 8, false, ["avx2" "fma"],
    _mm256_loadu_ps _mm256_storeu_ps _mm256_set1_ps _mm256_fmadd_ps _mm256_add_ps _mm256_sub_ps
    _mm256_mul_ps _mm256_div_ps _mm256_max_ps _mm256_min_ps _mm256_castps_si256 _mm256_castsi256_ps
    _mm256_slli_epi32 _mm256_add_epi32 _mm256_set1_epi32
);

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
