//! The unit in which rows are scored.

/// Rows of a block: one bit each in a `u64`, four registers of 16 floats.
pub(super) const BLOCK_ROWS: usize = 64;

/// One quantity (an input, a unit, a logit) for the rows of a block.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Lanes(pub(super) [f32; BLOCK_ROWS]);

impl Lanes {
    /// 0 for every row.
    pub(super) const ZERO: Self = Self([0.0; BLOCK_ROWS]);

    /// Whether no lane is NaN or infinite.
    #[inline(always)]
    pub(super) fn all_finite(&self) -> bool {
        // Without a branch, so that it is a few vector instructions.
        self.0.iter().fold(true, |all, value| all & value.is_finite())
    }
}

/// One bit for each of the first `len` rows of a block.
pub(super) fn low_bits(len: usize) -> u64 {
    if len >= BLOCK_ROWS { u64::MAX } else { (1 << len) - 1 }
}

/// The positions of the bits that are set, ascending.
pub(super) fn set_bits(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        lowest
    })
}
