//! Trees over floats with AVX-512, 16 rows in a register.
//!
//! A value of [`Avx512`] exists only if the processor was found to have the instructions.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::masks::{Split, View};
use super::packed::{self, CHILD_BITS, COLUMN_BITS};
use super::tile::{Lanes, TILE, Tile};
use crate::simd::Avx512;

/// Rows in a register.
const LANES: usize = 16;
/// Registers of a tile.
const GROUPS: usize = TILE / LANES;
/// Registers of rows that go down a tree side by side: while one waits, the others go on.
const TOGETHER: usize = 4;
/// Steps between two looks at whether all rows have arrived.
const STEPS: usize = 2;

/// Evaluates a block of comparisons, as [`masks`](super::masks) says.
pub(super) fn strike(
    _: Avx512,
    view: View<'_, f32>,
    tile: &Tile<f32>,
    parts: &[Lanes<u32>],
    reached: &mut Lanes<u32>,
) {
    // SAFETY: the value proves that the processor has these features.
    unsafe { strike_with(view, tile, parts, reached) }
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
fn strike_with(
    view: View<'_, f32>,
    tile: &Tile<f32>,
    parts: &[Lanes<u32>],
    reached: &mut Lanes<u32>,
) {
    let mut left = [_mm512_set1_epi32(-1); GROUPS];
    let [first, second, third, fourth] = view.kinds;
    // The predicates say whether a row goes to the right.
    if tile.has_missing() {
        left = struck::<_CMP_NLE_UQ>(left, first, tile);
        left = struck::<_CMP_GT_OQ>(left, second, tile);
    } else {
        left = struck::<_CMP_NLE_UQ>(left, view.at_most, tile);
    }
    left = struck::<_CMP_NEQ_UQ>(left, third, tile);
    left = struck::<_CMP_NEQ_OQ>(left, fourth, tile);

    // The exponent of a power of two is its place plus 127, so that the first label is looked for
    // at the last place.
    let [_, turned @ ..] = view.labels;
    let [low, high] = [0, 1].map(|half| load(&turned.as_chunks().0[half]));
    for (group, (left, reached)) in left.iter().zip(reached.0.as_chunks_mut().0).enumerate() {
        let lowest = _mm512_and_si512(*left, _mm512_sub_epi32(_mm512_setzero_si512(), *left));
        let place = _mm512_srli_epi32::<23>(_mm512_castps_si512(_mm512_cvtepu32_ps(lowest)));
        let mut label = _mm512_permutex2var_epi32(low, place, high);
        for (exit, part) in view.parts.iter().zip(parts) {
            let is_there = _mm512_cmpeq_epi32_mask(lowest, _mm512_set1_epi32(*exit as i32));
            label = _mm512_mask_blend_epi32(is_there, label, load(&part.0.as_chunks().0[group]));
        }
        store(reached, label);
    }
}

/// The words of rows after the comparisons of `splits`.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
fn struck<const PREDICATE: i32>(
    mut left: [__m512i; GROUPS],
    splits: &[Split<f32>],
    tile: &Tile<f32>,
) -> [__m512i; GROUPS] {
    for split in splits {
        let Some(column) = tile.columns().get(split.column as usize) else { continue };
        let threshold = _mm512_set1_ps(split.threshold);
        let kept = _mm512_set1_epi32(split.kept as i32);
        for (left, numbers) in left.iter_mut().zip(column.0.as_chunks::<LANES>().0) {
            let is_right = _mm512_cmp_ps_mask::<PREDICATE>(floats(numbers), threshold);
            *left = _mm512_mask_and_epi32(*left, is_right, *left, kept);
        }
    }
    left
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
fn iota() -> __m512i {
    _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
fn load(words: &[u32; LANES]) -> __m512i {
    // SAFETY: the reference is to as many bytes as the register has.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
fn floats(numbers: &[f32; LANES]) -> __m512 {
    // SAFETY: the reference is to as many bytes as the register has.
    unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
fn store(words: &mut [u32; LANES], value: __m512i) {
    // SAFETY: the reference is to as many bytes as the register has.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), value) }
}

/// Sends rows down a tree of packed nodes.
pub(super) fn descend(
    _: Avx512,
    view: packed::View<'_>,
    depth: usize,
    tile: &Tile<f32>,
    reached: &mut [u32; TILE],
) {
    let (nodes, labels, columns) = view.parts();
    if nodes.is_empty() || labels.len() < nodes.len() || tile.columns().len() < columns {
        return;
    }
    // SAFETY: the value proves that the processor has these features. All that a view says of its
    // nodes is so, and the tile has all of the columns.
    unsafe {
        if tile.has_missing() {
            descend_with::<true>(nodes, labels, depth, tile.columns(), reached);
        } else {
            descend_with::<false>(nodes, labels, depth, tile.columns(), reached);
        }
    }
}

/// # Safety
/// The tree is not empty; the child of each node and the one beside it are nodes, as is the one
/// beside a leaf; `columns` has all that they compare; and there are as many labels as nodes.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
unsafe fn descend_with<const HAS_MISSING: bool>(
    nodes: &[packed::Slim],
    labels: &[u32],
    depth: usize,
    columns: &[Lanes<f32>],
    reached: &mut [u32; TILE],
) {
    let child = _mm512_set1_epi32((1 << CHILD_BITS) - 1);
    let one = _mm512_set1_epi32(1);
    let mut first = 0;
    for reached in reached.as_chunks_mut::<{ LANES * TOGETHER }>().0 {
        let mut at = [_mm512_setzero_si512(); TOGETHER];
        let mut left = depth;
        while left > 0 {
            let before = at;
            for _ in 0..STEPS.min(left) {
                for (group, at) in at.iter_mut().enumerate() {
                    let rows =
                        _mm512_add_epi32(iota(), _mm512_set1_epi32((first + group * LANES) as i32));
                    // SAFETY: `at` are nodes: the root, or what a step led to.
                    let (threshold, rest) = unsafe { fetch(nodes, *at) };
                    // SAFETY: nodes compare columns that there are, and rows are below TILE.
                    let numbers = unsafe { look(columns, rest, rows) };
                    let mut is_right = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(numbers, threshold);
                    if HAS_MISSING {
                        let is_missing = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(numbers, numbers);
                        is_right &= !(is_missing & _mm512_movepi32_mask(rest));
                    }
                    let next = _mm512_and_si512(rest, child);
                    *at = _mm512_mask_add_epi32(next, is_right, next, one);
                }
            }
            left -= STEPS.min(left);
            let moved = before
                .iter()
                .zip(&at)
                .fold(0, |moved, (before, at)| moved | _mm512_cmpneq_epi32_mask(*before, *at));
            if moved == 0 {
                break;
            }
        }
        for (reached, at) in reached.as_chunks_mut().0.iter_mut().zip(at) {
            // SAFETY: `at` are nodes, and there is a label for each.
            store(reached, unsafe { _mm512_i32gather_epi32::<4>(at, labels.as_ptr().cast()) });
        }
        first += LANES * TOGETHER;
    }
}

/// Thresholds, and what else there is, of the nodes `at`.
///
/// # Safety
/// They are among `nodes`.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
unsafe fn fetch(nodes: &[packed::Slim], at: __m512i) -> (__m512, __m512i) {
    let pairs = nodes.as_ptr().cast();
    // SAFETY: a node is two words of 32 bits in this order, so of one word of 64 bits at its place.
    let (low, high) = unsafe {
        (
            _mm512_i32gather_epi64::<8>(_mm512_castsi512_si256(at), pairs),
            _mm512_i32gather_epi64::<8>(_mm512_extracti64x4_epi64::<1>(at), pairs),
        )
    };
    let even = _mm512_slli_epi32::<1>(iota());
    let odd = _mm512_or_si512(even, _mm512_set1_epi32(1));
    let threshold = _mm512_castsi512_ps(_mm512_permutex2var_epi32(low, even, high));
    (threshold, _mm512_permutex2var_epi32(low, odd, high))
}

/// The numbers of `rows` that nodes compare.
///
/// # Safety
/// `columns` has the columns in `rest`, and rows are below [`TILE`].
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
unsafe fn look(columns: &[Lanes<f32>], rest: __m512i, rows: __m512i) -> __m512 {
    const SHIFT: u32 = CHILD_BITS - TILE.trailing_zeros();
    let column = _mm512_set1_epi32((((1 << COLUMN_BITS) - 1) * TILE) as i32);
    let place = _mm512_and_si512(_mm512_srli_epi32::<SHIFT>(rest), column);
    // SAFETY: the number of a row is so many after the first one of its column, and the columns lie
    // one after the other.
    unsafe { _mm512_i32gather_ps::<4>(_mm512_add_epi32(place, rows), columns.as_ptr().cast()) }
}
