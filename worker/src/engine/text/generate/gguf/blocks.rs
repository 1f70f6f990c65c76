//! Blocks of numbers of few bits, as ggml packs them, to floats.
//!
//! Layouts and formulas are those of ggml's `ggml-common.h` and `ggml-quants.c`.

use half::{bf16, f16};

/// How the numbers of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4K,
    Q5K,
    Q6K,
}

impl Kind {
    /// By its number in the file.
    pub(super) fn numbered(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            12 => Self::Q4K,
            13 => Self::Q5K,
            14 => Self::Q6K,
            30 => Self::Bf16,
            _ => return None,
        })
    }

    /// Numbers of a block.
    pub(super) fn numbers(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes of a block.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }
}

/// Adds the numbers of whole blocks to `out`.
pub(super) fn floats(kind: Kind, bytes: &[u8], out: &mut Vec<f32>) {
    match kind {
        Kind::F32 => out.extend(bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four))),
        Kind::F16 => {
            out.extend(bytes.as_chunks().0.iter().map(|two| f16::from_le_bytes(*two).to_f32()));
        }
        Kind::Bf16 => {
            out.extend(bytes.as_chunks().0.iter().map(|two| bf16::from_le_bytes(*two).to_f32()));
        }
        Kind::Q4_0 => bytes.as_chunks().0.iter().for_each(|block| q4_0(block, out)),
        Kind::Q4_1 => bytes.as_chunks().0.iter().for_each(|block| q4_1(block, out)),
        Kind::Q5_0 => bytes.as_chunks().0.iter().for_each(|block| q5_0(block, out)),
        Kind::Q5_1 => bytes.as_chunks().0.iter().for_each(|block| q5_1(block, out)),
        Kind::Q8_0 => bytes.as_chunks().0.iter().for_each(|block| q8_0(block, out)),
        Kind::Q4K => bytes.as_chunks().0.iter().for_each(|block| q4_k(block, out)),
        Kind::Q5K => bytes.as_chunks().0.iter().for_each(|block| q5_k(block, out)),
        Kind::Q6K => bytes.as_chunks().0.iter().for_each(|block| q6_k(block, out)),
    }
}

/// The number of 16 bits at byte `at`.
fn half<const N: usize>(block: &[u8; N], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Sixteen bytes of two integers each: those of the low halves first, then those of the high.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().map(|byte| byte & 15).chain(bytes.iter().map(|byte| byte >> 4))
}

fn q4_0(block: &[u8; 18], out: &mut Vec<f32>) {
    let scale = half(block, 0);
    out.extend(nibbles(&block[2..]).map(|it| f32::from(i16::from(it) - 8) * scale));
}

fn q4_1(block: &[u8; 20], out: &mut Vec<f32>) {
    let (scale, least) = (half(block, 0), half(block, 2));
    out.extend(nibbles(&block[4..]).map(|it| f32::from(it) * scale + least));
}

/// Integers of five bits: the fifth ones lie apart.
fn fives(high: [u8; 4], low: &[u8]) -> impl Iterator<Item = u8> {
    let high = u32::from_le_bytes(high);
    nibbles(low).zip(0..).map(move |(it, at)| it | ((high >> at & 1) as u8) << 4)
}

fn q5_0(block: &[u8; 22], out: &mut Vec<f32>) {
    let (scale, high) = (half(block, 0), [block[2], block[3], block[4], block[5]]);
    out.extend(fives(high, &block[6..]).map(|it| f32::from(i16::from(it) - 16) * scale));
}

fn q5_1(block: &[u8; 24], out: &mut Vec<f32>) {
    let (scale, least) = (half(block, 0), half(block, 2));
    let high = [block[4], block[5], block[6], block[7]];
    out.extend(fives(high, &block[8..]).map(|it| f32::from(it) * scale + least));
}

fn q8_0(block: &[u8; 34], out: &mut Vec<f32>) {
    let scale = half(block, 0);
    out.extend(block[2..].iter().map(|it| f32::from(it.cast_signed()) * scale));
}

/// Scale and minimum number `at` of eight, of six bits each in twelve bytes.
fn scale_of(at: usize, packed: &[u8]) -> (u8, u8) {
    let byte = |at: usize| packed.get(at).copied().unwrap_or(0);
    match at {
        0..4 => (byte(at) & 63, byte(at + 4) & 63),
        _ => (byte(at + 4) & 15 | byte(at - 4) >> 6 << 4, byte(at + 4) >> 4 | byte(at) >> 6 << 4),
    }
}

/// Eight groups of 32 integers, of which `number` says that at a place in a group.
fn groups<const N: usize>(
    block: &[u8; N],
    out: &mut Vec<f32>,
    number: impl Fn(usize, usize) -> u8,
) {
    let (scale, least) = (half(block, 0), half(block, 2));
    for group in 0..8 {
        let (own_scale, own_least) = scale_of(group, &block[4..16]);
        let (scale, least) = (scale * f32::from(own_scale), least * f32::from(own_least));
        out.extend((0..32).map(|at| scale * f32::from(number(group, at)) - least));
    }
}

/// The integer of four bits at a place of a group: two groups share 32 bytes.
fn shared(bytes: &[u8], group: usize, at: usize) -> u8 {
    let byte = bytes.get(group / 2 * 32 + at).copied().unwrap_or(0);
    if group.is_multiple_of(2) { byte & 15 } else { byte >> 4 }
}

fn q4_k(block: &[u8; 144], out: &mut Vec<f32>) {
    groups(block, out, |group, at| shared(&block[16..], group, at));
}

fn q5_k(block: &[u8; 176], out: &mut Vec<f32>) {
    let fifth = |group: usize, at: usize| block.get(16 + at).map_or(0, |byte| byte >> group & 1);
    groups(block, out, |group, at| shared(&block[48..], group, at) | fifth(group, at) << 4);
}

fn q6_k(block: &[u8; 210], out: &mut Vec<f32>) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let whole = half(block, 208);
    let byte = |bytes: &[u8], at: usize| bytes.get(at).copied().unwrap_or(0);
    // Two halves of 128: each has 64 bytes of low bits, for two quarters each, and 32 of high.
    for place in 0..256 {
        let (part, quarter, at) = (place / 128, place % 128 / 32, place % 32);
        let packed = byte(low, part * 64 + quarter % 2 * 32 + at);
        let low = if quarter < 2 { packed & 15 } else { packed >> 4 };
        let high = byte(high, part * 32 + at) >> (2 * quarter) & 3;
        let number = i16::from(low | high << 4) - 32;
        let scale = f32::from(byte(scales, place / 16).cast_signed());
        out.push(whole * scale * f32::from(number));
    }
}
