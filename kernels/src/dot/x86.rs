//! Words in registers of x86.
//!
//! Two facts carry every block of `unsafe`: a value of `Avx512Dot`, `Avx512` or `Avx2` exists only if
//! the processor was found to have the instructions, and registers are loaded from and stored to
//! references to arrays of exactly their width, of words that are four bytes in memory.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{Dot, Pair, Quad};
use crate::simd::{Avx2, Avx512, Simd};

/// AVX-512 with BF16 and VNNI.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx512Dot(Avx512);

impl Avx512Dot {
    pub(super) fn detect(simd: Avx512) -> Option<Self> {
        (is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512vnni"))
            .then_some(Self(simd))
    }
}

/// [`Simd`] by that of the field.
macro_rules! forward {
    ($($name:ident($($argument:ident),*);)*) => {
        impl Simd for Avx512Dot {
            type F = <Avx512 as Simd>::F;
            const WIDTH: usize = <Avx512 as Simd>::WIDTH;
            const MANY: bool = <Avx512 as Simd>::MANY;

            #[inline(always)]
            fn load<const N: usize>(self, lanes: &[f32; N], index: usize) -> Self::F {
                self.0.load(lanes, index)
            }
            #[inline(always)]
            fn store<const N: usize>(self, lanes: &mut [f32; N], index: usize, value: Self::F) {
                self.0.store(lanes, index, value);
            }
            #[inline(always)]
            fn splat(self, value: f32) -> Self::F {
                self.0.splat(value)
            }
            $(
                #[inline(always)]
                fn $name(self, $($argument: Self::F),*) -> Self::F {
                    self.0.$name($($argument),*)
                }
            )*
        }
    };
}

forward!(
    fma(a, b, c);
    add(a, b);
    sub(a, b);
    mul(a, b);
    div(a, b);
    max(a, b);
    min(a, b);
    power_of_two(a);
);

/// Implements [`Dot`] for one kind of word on one width of registers.
macro_rules! dot {
    (
        $simd:ident, $word:ident, $width:literal, $words:ty, $sums:ty, $sum:ty,
        words($lanes:ident) $load:expr,
        every($one:ident) $every:expr,
        dot($left:ident, $right:ident, $before:ident) $dot:expr,
        $load_sums:ident $store_sums:ident
    ) => {
        // SAFETY, for every block: `self` proves that the processor has the instructions, and
        // only those of its features are used. Pointers come from references to arrays of
        // exactly the register's width; loads and stores need no alignment.
        impl Dot<$word> for $simd {
            type Words = $words;
            type Sums = $sums;
            type Sum = $sum;

            #[inline(always)]
            fn words<const N: usize>(self, lanes: &[$word; N], index: usize) -> $words {
                let $lanes = lanes.as_chunks::<$width>().0[index % (N / $width)].as_ptr();
                // SAFETY: see above.
                unsafe { $load }
            }
            #[inline(always)]
            fn every(self, $word(bits): $word) -> $words {
                let $one = bits.cast_signed();
                // SAFETY: see above.
                unsafe { $every }
            }
            #[inline(always)]
            fn dot(self, $left: $words, $right: $words, $before: $sums) -> $sums {
                // SAFETY: see above.
                unsafe { $dot }
            }
            #[inline(always)]
            fn sums<const N: usize>(self, lanes: &[$sum; N], index: usize) -> $sums {
                let chunk = &lanes.as_chunks::<$width>().0[index % (N / $width)];
                // SAFETY: see above.
                unsafe { $load_sums(chunk.as_ptr().cast()) }
            }
            #[inline(always)]
            fn put<const N: usize>(self, lanes: &mut [$sum; N], index: usize, sums: $sums) {
                let chunk = &mut lanes.as_chunks_mut::<$width>().0[index % (N / $width)];
                // SAFETY: see above.
                unsafe { $store_sums(chunk.as_mut_ptr().cast(), sums) }
            }
        }
    };
}

dot!(
    Avx512Dot, Pair, 16, __m512i, __m512, f32,
    words(lanes) _mm512_loadu_si512(lanes.cast()),
    every(word) _mm512_set1_epi32(word),
    dot(left, right, sums) _mm512_dpbf16_ps(sums, halves(left), halves(right)),
    _mm512_loadu_ps _mm512_storeu_ps
);

dot!(
    Avx512Dot, Quad, 16, __m512i, __m512i, i32,
    words(lanes) _mm512_loadu_si512(lanes.cast()),
    every(word) _mm512_set1_epi32(word),
    dot(left, right, sums) _mm512_dpbusd_epi32(sums, left, right),
    _mm512_loadu_si512 _mm512_storeu_si512
);

dot!(
    Avx512, Pair, 16, (__m512, __m512), __m512, f32,
    words(lanes) apart_512(_mm512_loadu_si512(lanes.cast())),
    every(word) apart_512(_mm512_set1_epi32(word)),
    dot(left, right, sums)
        _mm512_fmadd_ps(left.1, right.1, _mm512_fmadd_ps(left.0, right.0, sums)),
    _mm512_loadu_ps _mm512_storeu_ps
);

dot!(
    Avx2, Pair, 8, (__m256, __m256), __m256, f32,
    words(lanes) apart_256(_mm256_loadu_si256(lanes.cast())),
    every(word) apart_256(_mm256_set1_epi32(word)),
    dot(left, right, sums)
        _mm256_fmadd_ps(left.1, right.1, _mm256_fmadd_ps(left.0, right.0, sums)),
    _mm256_loadu_ps _mm256_storeu_ps
);

// The instruction of AVX2 for bytes saturates, so they become 16 bits wide first: even ones and
// odd ones, without sign on the left, with sign on the right.
dot!(
    Avx512, Quad, 16, __m512i, __m512i, i32,
    words(lanes) _mm512_loadu_si512(lanes.cast()),
    every(word) _mm512_set1_epi32(word),
    dot(left, right, sums) {
        let even = _mm512_madd_epi16(
            _mm512_and_si512(left, _mm512_set1_epi16(0x00FF)),
            _mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(right)),
        );
        let odd = _mm512_madd_epi16(_mm512_srli_epi16::<8>(left), _mm512_srai_epi16::<8>(right));
        _mm512_add_epi32(sums, _mm512_add_epi32(even, odd))
    },
    _mm512_loadu_si512 _mm512_storeu_si512
);

dot!(
    Avx2, Quad, 8, __m256i, __m256i, i32,
    words(lanes) _mm256_loadu_si256(lanes.cast()),
    every(word) _mm256_set1_epi32(word),
    dot(left, right, sums) {
        let even = _mm256_madd_epi16(
            _mm256_and_si256(left, _mm256_set1_epi16(0x00FF)),
            _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(right)),
        );
        let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(left), _mm256_srai_epi16::<8>(right));
        _mm256_add_epi32(sums, _mm256_add_epi32(even, odd))
    },
    _mm256_loadu_si256 _mm256_storeu_si256
);

/// A register as one of bfloat16.
#[inline(always)]
fn halves(words: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes, of which every pattern is valid.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(words) }
}

/// The second numbers of pairs as floats, and the first.
#[inline(always)]
unsafe fn apart_512(words: __m512i) -> (__m512, __m512) {
    // SAFETY: who calls proves that the processor has AVX-512.
    unsafe {
        let high = _mm512_and_si512(words, _mm512_set1_epi32(0xFFFF_0000_u32.cast_signed()));
        (_mm512_castsi512_ps(high), _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words)))
    }
}

/// The second numbers of pairs as floats, and the first.
#[inline(always)]
unsafe fn apart_256(words: __m256i) -> (__m256, __m256) {
    // SAFETY: who calls proves that the processor has AVX2.
    unsafe {
        let high = _mm256_and_si256(words, _mm256_set1_epi32(0xFFFF_0000_u32.cast_signed()));
        (_mm256_castsi256_ps(high), _mm256_castsi256_ps(_mm256_slli_epi32::<16>(words)))
    }
}
