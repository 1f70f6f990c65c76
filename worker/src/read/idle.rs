//! Decoders between two slices.

use std::sync::{Arc, Mutex, PoisonError};

use nightshift_core::plan::Slice;

use super::cursor::Cursor;
use super::files::OpenFile;

/// Most decoders kept. More threads than this at one time only means that some start afresh.
const IDLE_MAX: usize = 16;

/// Decoders that have finished a slice and stand at its end, the most recent one last.
#[derive(Debug, Default)]
pub(super) struct Idle {
    cursors: Mutex<Vec<Cursor>>,
}

impl Idle {
    /// The decoder of `file` that stands closest before the start of `slice`, if going on from
    /// there costs less than starting afresh.
    pub(super) fn take(&self, file: &Arc<OpenFile>, slice: &Slice) -> Option<Cursor> {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = cursors.iter().enumerate().filter(|(_, cursor)| cursor.suits(file, slice));
        let (at, _) = usable.max_by_key(|(_, cursor)| cursor.position())?;
        Some(cursors.remove(at))
    }

    /// Keeps `cursor` for a later slice, or drops it if it has nothing more to give.
    pub(super) fn put(&self, cursor: Cursor) {
        if !cursor.is_worth_keeping() {
            return;
        }
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        if cursors.len() >= IDLE_MAX {
            cursors.remove(0);
        }
        cursors.push(cursor);
    }
}
