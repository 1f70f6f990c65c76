//! Batches that are too large for the memory there is: halved until they fit.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat;
use arrow::error::ArrowError;
use nightshift_core::describe::describe;

use crate::engine::{Engine, EngineError, ErrorClass, Scored, TextCounts};
use crate::read::Reader;

/// Scores a batch. Where the engine has not enough memory for all of its rows, in pieces of half as
/// many, and so on down to one row. What fits is learned by `reader`: it makes no larger
/// batches from then on, and a coordinator is told of it.
///
/// `goes_on` is asked by engines whose batches take long.
///
/// # Errors
/// Those of the engine; a single row for which memory is not enough is one.
pub(crate) fn infer(
    engine: &dyn Engine,
    reader: &Reader,
    batch: &RecordBatch,
    goes_on: &dyn Fn() -> bool,
) -> Result<Scored, InferError> {
    let rows = batch.num_rows();
    let (mut most, mut at) = (rows, 0);
    let mut pieces = Vec::new();
    loop {
        let piece_rows = most.min(rows - at);
        match engine.run_while(&batch.slice(at, piece_rows), goes_on) {
            Ok(scored) => {
                pieces.push((at, scored));
                at += piece_rows;
                if at >= rows {
                    return joined(pieces);
                }
            }
            Err(error) if error.class() == ErrorClass::Memory && piece_rows > 1 => {
                most = piece_rows.div_ceil(2);
                reader.limit_batches(most);
                let error = describe(&error);
                tracing::warn!(rows = piece_rows, next = most, error, "batch halved");
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Why a batch has no scores.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InferError {
    /// The engine cannot take it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The pieces do not make a whole.
    #[error("the scores of a halved batch do not fit together")]
    Join(#[from] ArrowError),
}

/// The scores of consecutive pieces, each with its first row, as those of one batch.
fn joined(mut pieces: Vec<(usize, Scored)>) -> Result<Scored, InferError> {
    if let [_] = &pieces[..]
        && let Some((_, whole)) = pieces.pop()
    {
        return Ok(whole);
    }
    let count = pieces.first().map_or(0, |(_, first)| first.columns.len());
    let column = |at: usize| -> Result<ArrayRef, ArrowError> {
        let parts: Vec<_> =
            pieces.iter().filter_map(|(_, piece)| Some(piece.columns.get(at)?.as_ref())).collect();
        concat(&parts)
    };
    let columns = (0..count).map(column).collect::<Result<_, _>>()?;
    let (mut rejects, mut text) = (Vec::new(), TextCounts::default());
    for (first, piece) in pieces {
        text += piece.text;
        rejects.extend(piece.rejects.into_iter().map(|mut reject| {
            reject.row += first;
            reject
        }));
    }
    Ok(Scored { columns, rejects, text })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema};

    use super::*;
    use crate::engine::EngineColumn;
    use crate::reject::{RejectReason, RowReject};

    /// Gives each row its own value back and rejects multiples of ten; has room for `room` rows.
    struct Narrow {
        room: usize,
        fields: Vec<FieldRef>,
        asked: Mutex<Vec<usize>>,
    }

    impl Narrow {
        fn new(room: usize) -> Self {
            let fields = vec![Arc::new(Field::new("score", DataType::Int64, false))];
            Self { room, fields, asked: Mutex::default() }
        }
    }

    impl Engine for Narrow {
        fn files(&self) -> &[crate::engine::ReadFile] {
            &[]
        }
        fn input_columns(&self) -> &[EngineColumn] {
            &[]
        }
        fn check_input(&self, _: &Schema) -> Result<(), EngineError> {
            Ok(())
        }
        fn output_fields(&self) -> &[FieldRef] {
            &self.fields
        }
        fn run(&self, batch: &RecordBatch) -> Result<Scored, EngineError> {
            let rows = batch.num_rows();
            self.asked.lock().unwrap().push(rows);
            if rows > self.room {
                return Err(EngineError::OutOfMemory { rows });
            }
            let values = batch.column(0).as_primitive::<Int64Type>().values().iter();
            let rejected = values.enumerate().filter(|(_, value)| **value % 10 == 0);
            let rejects = rejected.map(|(row, _)| RowReject {
                row,
                reason: RejectReason::BadValue,
                column: None,
                detail: String::new(),
            });
            let columns = vec![Arc::clone(batch.column(0))];
            Ok(Scored { columns, rejects: rejects.collect(), text: TextCounts::default() })
        }
        fn weights_bytes(&self) -> u64 {
            0
        }
        fn batch_rows(&self) -> usize {
            1
        }
    }

    fn batch(rows: i64) -> RecordBatch {
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        RecordBatch::try_from_iter([("id", values)]).unwrap()
    }

    #[test]
    fn a_batch_that_does_not_fit_is_halved_and_what_fits_is_learned() {
        let (engine, reader) = (Narrow::new(30), Reader::new(Vec::new(), 8_192));
        let scored = infer(&engine, &reader, &batch(100), &|| true).unwrap();
        // As if it had fitted: every row once, in order, and the rejects where they were.
        assert_eq!(&scored.columns[0], batch(100).column(0));
        let rejected: Vec<usize> = scored.rejects.iter().map(|reject| reject.row).collect();
        assert_eq!(rejected, (0..100).step_by(10).collect::<Vec<_>>());
        assert_eq!(*engine.asked.lock().unwrap(), [100, 50, 25, 25, 25, 25]);
        assert_eq!(reader.batch_rows(), 25);
    }

    #[test]
    fn a_batch_that_fits_teaches_nothing() {
        let (engine, reader) = (Narrow::new(100), Reader::new(Vec::new(), 8_192));
        infer(&engine, &reader, &batch(100), &|| true).unwrap();
        assert_eq!(reader.batch_rows(), 8_192);
    }

    #[test]
    fn a_row_that_does_not_fit_alone_is_an_error() {
        let (engine, reader) = (Narrow::new(0), Reader::new(Vec::new(), 8_192));
        let failed = infer(&engine, &reader, &batch(8), &|| true);
        assert!(matches!(failed, Err(InferError::Engine(EngineError::OutOfMemory { rows: 1 }))));
        assert_eq!(reader.batch_rows(), 1);
    }
}
