//! How many rows the next batch may have before memory runs out: a decision about numbers that
//! the worker reads from its system.
//!
//! A batch takes its need of what is left below [`SHARE_PERCENT`] of the tightest limit. One that
//! would not fit is halved until it does, or until smaller batches would save nothing worth
//! having. When twice as many rows would have fitted with room to spare for [`CALM_BATCHES`]
//! batches in a row, batches grow again, never beyond what the run allows.

use std::num::NonZeroU32;

/// Share of a limit that is used at most, in percent. What the kernel counts and the worker does
/// not foresee (page tables, sockets, what an allocator holds back) has to fit into the rest.
pub const SHARE_PERCENT: u64 = 90;

/// Batches in a row for which twice as many rows would have fitted, before batches are doubled.
pub const CALM_BATCHES: u32 = 16;

/// Share of what is left that a batch of twice as many rows may take for batches to grow, in
/// percent: between this and a halving there is room, so that sizes do not swing.
const GROW_PERCENT: u64 = 50;

/// Copies of a batch at a time: as decoded, as converted, beside its results, and in the encoder.
pub const BATCH_COPIES: u64 = 4;

/// What a row is taken to need as long as none was seen: 8,192 such rows fill a batch of the
/// largest size, 8 MiB.
const ROW_BYTES_UNSEEN: u64 = 1 << 10;

/// A batch that needs less is not halved: it weighs nothing beside the process.
const WORTH_HALVING_BYTES: u64 = 1 << 20;

/// Fewest rows that a batch is given where rows are narrow.
const ROWS_MIN: u32 = 256;

/// A limit on memory and how much of it is in use, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The most that may be used.
    pub limit_bytes: u64,
    /// What is used, without what the kernel would give up for the asking.
    pub used_bytes: u64,
}

/// The size of batches under a limit on memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchGuard {
    /// Rows of the next batch, as far as memory is concerned.
    rows: NonZeroU32,
    /// The largest mean of the bytes of a row in recent batches.
    row_bytes: u64,
    calm: u32,
}

/// What was decided about the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// Rows that it may have.
    pub rows: NonZeroU32,
    /// Memory that it is expected to need, in bytes.
    pub need_bytes: u64,
    /// What changed for it.
    pub change: Change,
}

/// How the size of batches changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Not at all.
    None,
    /// It was halved, once or more often.
    Smaller,
    /// It was doubled.
    Larger,
}

impl Room {
    /// What may still be used before [`SHARE_PERCENT`] of the limit is.
    pub fn left_bytes(self) -> u64 {
        // Divided first: a limit may be as large as a number can be.
        (self.limit_bytes / 100 * SHARE_PERCENT).saturating_sub(self.used_bytes)
    }
}

impl BatchGuard {
    /// Batches of `most` rows, until memory says otherwise.
    pub fn new(most: NonZeroU32) -> Self {
        Self { rows: most, row_bytes: 0, calm: 0 }
    }

    /// Rows of a batch at present.
    pub fn rows(&self) -> NonZeroU32 {
        self.rows
    }

    /// Decides on the next batch, which the run allows `most` rows, in `room`, while batches that
    /// are under way may still take `promised_bytes` of it.
    pub fn admit(&mut self, most: NonZeroU32, room: Room, promised_bytes: u64) -> Admitted {
        let left = room.left_bytes().saturating_sub(promised_bytes);
        let before = self.rows.min(most);
        let mut rows = before;
        while self.need(rows) > left {
            let Some(half) = self.half(rows) else { break };
            rows = half;
        }
        if rows < before {
            (self.rows, self.calm) = (rows, 0);
            return self.admitted(rows, Change::Smaller);
        }
        let double = rows.saturating_mul(NonZeroU32::MIN.saturating_add(1));
        // What only the run's own bound keeps small needs no growing.
        let is_calm = self.rows < most && self.need(double) <= left / 100 * GROW_PERCENT;
        self.calm = if is_calm { self.calm + 1 } else { 0 };
        if self.calm < CALM_BATCHES {
            return self.admitted(rows, Change::None);
        }
        (self.rows, self.calm) = (double.min(most), 0);
        self.admitted(self.rows, Change::Larger)
    }

    /// A batch of `rows` rows took `bytes` as it was decoded.
    pub fn seen(&mut self, rows: u64, bytes: u64) {
        if rows == 0 {
            return;
        }
        let mean = bytes.div_ceil(rows).max(1);
        // Wide rows count at once; a stretch of narrow ones is believed little by little.
        let faded = self.row_bytes - self.row_bytes / 16;
        self.row_bytes = mean.max(faded.min(self.row_bytes));
    }

    fn admitted(&self, rows: NonZeroU32, change: Change) -> Admitted {
        Admitted { rows, need_bytes: self.need(rows), change }
    }

    fn need(&self, rows: NonZeroU32) -> u64 {
        let row_bytes = if self.row_bytes == 0 { ROW_BYTES_UNSEEN } else { self.row_bytes };
        u64::from(rows.get()).saturating_mul(row_bytes).saturating_mul(BATCH_COPIES)
    }

    /// Half as many rows, where that saves anything worth having.
    fn half(&self, rows: NonZeroU32) -> Option<NonZeroU32> {
        let is_worth_it = rows.get() > ROWS_MIN || self.need(rows) > WORTH_HALVING_BYTES;
        let half = NonZeroU32::new(rows.get() / 2)?;
        is_worth_it.then_some(half)
    }
}

#[cfg(test)]
mod tests;
