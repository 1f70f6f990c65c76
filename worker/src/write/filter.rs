//! Taking rejected rows out of a batch.

use arrow::array::{BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;

use crate::reject::RowReject;

/// The rows of `batch` that no entry of `rejects` names, in order. Without rejects the batch is
/// shared, not copied.
///
/// # Errors
/// If Arrow cannot filter one of the columns' types.
pub fn without_rejected(
    batch: &RecordBatch,
    rejects: &[RowReject],
) -> Result<RecordBatch, ArrowError> {
    if rejects.is_empty() {
        return Ok(batch.clone());
    }
    let rows = batch.num_rows();
    let mut kept = BooleanBufferBuilder::new(rows);
    kept.append_n(rows, true);
    for reject in rejects.iter().filter(|reject| reject.row < rows) {
        kept.set_bit(reject.row, false);
    }
    filter_record_batch(batch, &BooleanArray::new(kept.finish(), None))
}
