//! Batches become smaller before memory runs out, and larger again when there is room.
//!
//! [`bounds`] are the limits that this process has and how much of each is in use; [`cgroups`] and
//! [`beside`] are where two of them come from. What follows from the numbers is decided in
//! [`nightshift_core::memory`]. A process without a limit pays nothing.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use nightshift_core::memory::{BatchGuard, Change, Room};
use nightshift_telemetry::meter::Meter;

pub mod beside;
pub mod bounds;
pub mod cgroups;

pub use bounds::Bound;

/// Keeps the batches of all threads of a process within its limits.
pub struct Guard {
    bounds: Vec<Bound>,
    state: Mutex<State>,
    meter: Arc<Meter>,
}

#[derive(Debug)]
struct State {
    batches: BatchGuard,
    /// Needs of the batches that are under way, in bytes.
    promised: u64,
    counts: Counts,
}

/// What a guard has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Times that batches were made smaller.
    pub smaller: u64,
    /// Times that they were made larger again.
    pub larger: u64,
}

/// A batch that may be read, scored and written. Its memory is promised until this is dropped.
#[derive(Debug)]
pub struct Admission<'a> {
    guard: &'a Guard,
    rows: usize,
    promised: u64,
}

impl Guard {
    /// A guard of `bounds`; without any it lets everything pass.
    pub fn new(bounds: Vec<Bound>) -> Self {
        let batches = BatchGuard::new(nightshift_core::lease::BATCH_ROWS);
        let state = State { batches, promised: 0, counts: Counts::default() };
        Self { bounds, state: Mutex::new(state), meter: Arc::default() }
    }

    /// The same guard, whose changes `meter` counts.
    #[must_use]
    pub fn with_meter(self, meter: Arc<Meter>) -> Self {
        Self { meter, ..self }
    }

    /// A guard of what limits this process by itself: control groups and address space.
    pub fn of_this_process() -> Self {
        Self::new(bounds::of_this_process())
    }

    /// Whether there is any limit.
    pub fn is_bounded(&self) -> bool {
        !self.bounds.is_empty()
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Rows that a batch may have at present, if memory were all that counted.
    pub fn rows(&self) -> usize {
        if self.is_bounded() { self.lock().batches.rows().get() as usize } else { usize::MAX }
    }

    /// The tightest of the limits at this moment: the one that leaves least.
    pub fn tightest(&self) -> Option<(&Bound, Room)> {
        let rooms = self.bounds.iter().filter_map(|bound| Some((bound, bound.room()?)));
        rooms.min_by_key(|(_, room)| room.left_bytes())
    }

    /// Admits the next batch, which may have `most` rows if memory allows.
    pub fn admit(&self, most: usize) -> Admission<'_> {
        let free = Admission { guard: self, rows: most, promised: 0 };
        let Some((bound, room)) = self.tightest() else { return free };
        let Some(most) = u32::try_from(most).ok().and_then(NonZeroU32::new) else { return free };
        let mut state = self.lock();
        let (before, promised) = (state.batches.rows(), state.promised);
        let admitted = state.batches.admit(most, room, promised);
        state.promised = promised.saturating_add(admitted.need_bytes);
        let (message, count) = match admitted.change {
            Change::None => ("", 0),
            Change::Smaller => ("batches made smaller before memory runs out", 1),
            Change::Larger => ("batches made larger again: memory is free", 1),
        };
        match admitted.change {
            Change::None => {}
            Change::Smaller => state.counts.smaller += count,
            Change::Larger => state.counts.larger += count,
        }
        drop(state);
        if count > 0 {
            let is_larger = admitted.change == Change::Larger;
            self.meter.resized(admitted.rows.get() as usize, is_larger);
            tracing::warn!(
                rows_before = before.min(most).get(),
                rows = admitted.rows.get(),
                used_bytes = room.used_bytes,
                limit_bytes = room.limit_bytes,
                promised_bytes = promised,
                limit = %bound,
                "{message}"
            );
        }
        Admission { guard: self, rows: admitted.rows.get() as usize, promised: admitted.need_bytes }
    }

    /// The state is whole between calls, so a panic elsewhere cannot break it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

impl Admission<'_> {
    /// Rows that the batch may have.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Tells how large the batch is that was read, so that the next one is foreseen better.
    pub fn read(&self, batch: &RecordBatch) {
        if self.guard.is_bounded() {
            let (rows, bytes) = (batch.num_rows() as u64, decoded_bytes(batch));
            self.guard.lock().batches.seen(rows, bytes);
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if self.promised > 0 {
            let mut state = self.guard.lock();
            state.promised = state.promised.saturating_sub(self.promised);
        }
    }
}

/// Bytes of the rows of a batch, not counting what its buffers have beside them.
fn decoded_bytes(batch: &RecordBatch) -> u64 {
    let bytes = batch.columns().iter().map(|column| {
        let views = match column.data_type() {
            DataType::Utf8View => column.as_string_view().views(),
            DataType::BinaryView => column.as_binary_view().views(),
            _ => {
                let whole = || column.get_array_memory_size();
                return column.to_data().get_slice_memory_size().unwrap_or_else(|_| whole()) as u64;
            }
        };
        // The low 32 bits of a view are the length (Arrow columnar format, variable-size views).
        let text: u64 = views.iter().map(|&view| u64::from(view as u32)).sum();
        text + size_of_val(&views[..]) as u64
    });
    bytes.sum()
}

#[cfg(test)]
mod tests;
