//! The rejects of a batch, gathered block by block.

use std::sync::Arc;

use crate::engine::tabular::block::BLOCK_ROWS;
use crate::reject::{RejectReason, RowReject};

/// Rejects of the blocks so far: at most one a row, the first found.
#[derive(Debug, Default)]
pub(crate) struct BlockRejects {
    rows: Vec<RowReject>,
    /// Where the rejects of the current block begin.
    block: usize,
    first_row: usize,
    mask: u64,
}

impl BlockRejects {
    /// Begins the block whose first row is `first_row`.
    pub(crate) fn start(&mut self, first_row: usize) {
        self.block = self.rows.len();
        self.first_row = first_row;
        self.mask = 0;
    }

    /// Rejects row `lane` of the block, unless it is rejected already.
    pub(crate) fn reject(
        &mut self,
        lane: usize,
        reason: RejectReason,
        column: Option<&Arc<str>>,
        detail: impl FnOnce() -> String,
    ) {
        debug_assert!(lane < BLOCK_ROWS, "a block has {BLOCK_ROWS} rows");
        if self.mask >> lane & 1 == 0 {
            self.mask |= 1 << lane;
            let row = self.first_row + lane;
            self.rows.push(RowReject::new(row, reason, column.cloned(), &detail()));
        }
    }

    /// One bit for each rejected row of the block.
    pub(crate) fn mask(&self) -> u64 {
        self.mask
    }

    /// Ends the block: features were looked at one after the other, rows are wanted in order.
    pub(crate) fn finish(&mut self) {
        if let Some(block) = self.rows.get_mut(self.block..) {
            block.sort_unstable_by_key(|reject| reject.row);
        }
    }

    /// All rejects, sorted by row.
    pub(crate) fn into_rows(self) -> Vec<RowReject> {
        self.rows
    }
}
