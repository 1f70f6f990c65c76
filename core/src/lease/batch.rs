//! How large batches are, and how they become smaller where memory is short.

use std::num::NonZeroU32;

/// Rows of a batch, of a worker that was told nothing else.
pub const BATCH_ROWS: NonZeroU32 = NonZeroU32::MIN.saturating_add(8_191);
/// Fewest rows that a batch is made to have because its worker was killed for its memory. Below
/// that a batch weighs nothing beside the process, so it cannot have been the reason.
const BATCH_ROWS_MIN: NonZeroU32 = NonZeroU32::MIN.saturating_add(255);

/// Rows of the batches after those of `rows` rows were too much for the memory of a worker: half as
/// many, and no fewer than 256 unless there were fewer before.
pub fn smaller_batch(rows: NonZeroU32) -> NonZeroU32 {
    let half = NonZeroU32::new(rows.get() / 2).unwrap_or(NonZeroU32::MIN);
    half.max(BATCH_ROWS_MIN).min(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_halved_down_to_some() {
        let mut rows = BATCH_ROWS;
        let mut seen = Vec::new();
        while smaller_batch(rows) < rows {
            rows = smaller_batch(rows);
            seen.push(rows.get());
        }
        assert_eq!(seen, [4096, 2048, 1024, 512, 256]);
        let few = NonZeroU32::new(64).unwrap();
        assert_eq!(smaller_batch(few), few);
    }
}
