//! Registers of x86.
//!
//! Two facts carry every block of `unsafe`: a value of [`Avx512`] or [`Avx2`] exists only if the
//! processor was found to have the instructions (their fields are private and only `detect` makes
//! them), and registers are loaded from and stored to references to arrays of exactly their width.
#![allow(unsafe_code)]

use std::arch::x86_64::*;
use std::sync::LazyLock;

use super::Simd;

/// Whether the processor says that Intel made it. Asked once, as the features are: on a virtual
/// machine each question goes to the host.
static IS_INTEL: LazyLock<bool> = LazyLock::new(|| {
    let answer = __cpuid(0);
    [answer.ebx, answer.edx, answer.ecx].map(u32::to_le_bytes) == [*b"Genu", *b"ineI", *b"ntel"]
});

/// Implements [`Simd`] for one width of x86 registers.
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
            pub(crate) fn detect() -> Option<Self> {
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

x86!(
    Avx512, __m512, 16, true, ["avx512f" "avx512vl" "avx512dq" "avx512bw" "avx2" "fma"],
    _mm512_loadu_ps _mm512_storeu_ps _mm512_set1_ps _mm512_fmadd_ps _mm512_add_ps _mm512_sub_ps
    _mm512_mul_ps _mm512_div_ps _mm512_max_ps _mm512_min_ps _mm512_castps_si512 _mm512_castsi512_ps
    _mm512_slli_epi32 _mm512_add_epi32 _mm512_set1_epi32
);

impl Avx512 {
    /// See [`Isa::has_fast_pairs`](super::Isa::has_fast_pairs).
    pub(super) fn has_fast_pairs(self) -> bool {
        is_x86_feature_detected!("avx512bf16") && !*IS_INTEL
    }
}

x86!(
    Avx2, __m256, 8, false, ["avx2" "fma"],
    _mm256_loadu_ps _mm256_storeu_ps _mm256_set1_ps _mm256_fmadd_ps _mm256_add_ps _mm256_sub_ps
    _mm256_mul_ps _mm256_div_ps _mm256_max_ps _mm256_min_ps _mm256_castps_si256 _mm256_castsi256_ps
    _mm256_slli_epi32 _mm256_add_epi32 _mm256_set1_epi32
);
