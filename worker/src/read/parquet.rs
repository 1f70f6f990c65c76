//! Parquet: the row groups and pages that a slice needs, decoded in batches of bounded size.
//!
//! Text is decoded as views into its pages and dictionaries and written out only when a batch of
//! bounded size has been cut off, so that 8,192 mentions of one long dictionary entry do not
//! become 8,192 copies of it.
//!
//! The `parquet` crate is not proof against every byte string. Each call into it is guarded by
//! `catch_unwind`; a decoder that has panicked is dropped, never used again, so no broken state
//! is seen. The panic's message still goes to the process's panic hook.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use nightshift_core::plan::{InputFile, Slice};
use nightshift_storage::input::parquet::{ObjectChunks, arrow_schema, read_footer};
use nightshift_storage::input::{InputObject, plain_type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection, RowSelectionPolicy, RowSelector,
};

use super::convert::{Conversion, Origin};
use super::cursor::Rows;
use super::files::OpenFile;
use super::sizing::{rows_per_batch, rows_that_fit};
use super::{ColumnRequest, ReadError};

/// Columns of a Parquet file, and where its row groups begin.
#[derive(Debug)]
pub(super) struct ParquetLayout {
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    /// Leaf columns of the projection.
    leaves: Vec<usize>,
    /// First row of each row group.
    starts: Vec<u64>,
    conversion: Conversion,
}

impl ParquetLayout {
    pub(super) fn read(
        input: &InputFile,
        object: &Arc<InputObject>,
        columns: &[ColumnRequest],
    ) -> Result<Self, ReadError> {
        let failed = |error| ReadError::from_input(&input.uri, &input.pin, error);
        let metadata = Arc::new(read_footer(object, true).map_err(failed)?);
        let stored = arrow_schema(&input.uri, &metadata).map_err(failed)?;
        let options = || ArrowReaderOptions::new();
        let viewed = options().with_schema(Arc::new(with_views(&stored)));
        let load = |options| {
            let guarded = || ArrowReaderMetadata::try_new(Arc::clone(&metadata), options);
            match catch_unwind(AssertUnwindSafe(guarded)) {
                Ok(loaded) => loaded.map_err(|error| corrupt(input, 0, error)),
                Err(panic) => Err(panicked(input, 0, panic)),
            }
        };
        let metadata = load(viewed).or_else(|_| load(options().with_skip_arrow_metadata(true)))?;

        let fields = metadata.schema().fields();
        let find = |name: &str| fields.iter().position(|field| field.name() == name);
        let mut roots: Vec<usize> =
            columns.iter().filter_map(|column| find(&column.name)).collect();
        roots.sort_unstable();
        roots.dedup();
        let descriptor = metadata.parquet_schema();
        let mask = ProjectionMask::roots(descriptor, roots.iter().copied());
        let leaves =
            (0..descriptor.num_columns()).filter(|&leaf| mask.leaf_included(leaf)).collect();
        let conversion = Conversion::new(input, columns, true, |name| {
            let root = find(name)?;
            let position = roots.binary_search(&root).ok()?;
            Some((position, plain_type(fields.get(root)?.data_type())))
        })?;
        let starts = metadata.metadata().row_groups().iter().scan(0_u64, |next, group| {
            let start = *next;
            *next += group.num_rows().unsigned_abs();
            Some(start)
        });
        let starts = starts.collect();
        Ok(Self { metadata, mask, leaves, starts, conversion })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.metadata.metadata().memory_size()
    }
}

/// The schema with top-level text and bytes as views.
fn with_views(stored: &Schema) -> Schema {
    let fields = stored.fields().iter().map(|field| {
        let viewed = match plain_type(field.data_type()) {
            DataType::Utf8 => DataType::Utf8View,
            DataType::Binary => DataType::BinaryView,
            _ => return Arc::clone(field),
        };
        Arc::new(Field::new(field.name(), viewed, field.is_nullable()))
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// A decoder of all rows from a position to the end of the file.
pub(super) struct ParquetCursor {
    reader: ParquetRecordBatchReader,
    /// Rows that the decoder makes at a time.
    batch_rows: usize,
    /// Fewer than asked for, because rows are wide.
    narrowed: bool,
    /// The rest of the last batch.
    rest: Option<RecordBatch>,
}

impl ParquetCursor {
    pub(super) fn start(
        file: &OpenFile,
        layout: &ParquetLayout,
        slice: &Slice,
        batch_rows: usize,
    ) -> Result<Self, ReadError> {
        let metadata = layout.metadata.metadata();
        let fitting = rows_per_batch(metadata, &layout.leaves, &layout.starts, slice);
        // Shards of one run have one size: batches of that size end where slices do.
        let wanted = batch_rows.min(usize::try_from(slice.rows).unwrap_or(usize::MAX)).max(1);
        let batch_rows = wanted.min(fitting);
        let after = layout.starts.partition_point(|&start| start <= slice.start);
        let group = after.saturating_sub(1);
        let skipped = slice.start - layout.starts.get(group).copied().unwrap_or(slice.start);
        let total = metadata.file_metadata().num_rows().unsigned_abs();
        let selection = RowSelection::from(vec![
            RowSelector::skip(skipped as usize),
            RowSelector::select(total.saturating_sub(slice.start) as usize),
        ]);
        let chunks = ObjectChunks(Arc::clone(&file.object));
        let build = || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, layout.metadata.clone())
                .with_row_groups((group..metadata.num_row_groups()).collect())
                .with_projection(layout.mask.clone())
                .with_row_selection_policy(RowSelectionPolicy::Selectors)
                .with_row_selection(selection)
                .with_batch_size(batch_rows)
                .build()
        };
        let reader = match catch_unwind(AssertUnwindSafe(build)) {
            Ok(Ok(reader)) => reader,
            Ok(Err(error)) => return Err(failed(file, slice.start, error)),
            Err(panic) => return Err(panicked(&file.input, slice.start, panic)),
        };
        Ok(Self { reader, batch_rows, narrowed: fitting < wanted, rest: None })
    }

    /// Whether the decoder's batches are not too large for the rows of `slice`.
    pub(super) fn batch_fits(&self, layout: &ParquetLayout, slice: &Slice) -> bool {
        let metadata = layout.metadata.metadata();
        self.batch_rows <= rows_per_batch(metadata, &layout.leaves, &layout.starts, slice)
    }

    /// Whether it holds little more than a page per column.
    pub(super) fn is_light(&self) -> bool {
        !self.narrowed
    }

    /// Makes sure that rows are at hand; how many, 0 at the end.
    fn fill(&mut self, file: &OpenFile, position: u64) -> Result<usize, ReadError> {
        if let Some(rest) = &self.rest {
            return Ok(rest.num_rows());
        }
        match catch_unwind(AssertUnwindSafe(|| self.reader.next())) {
            Ok(None) => Ok(0),
            Ok(Some(Ok(batch))) => {
                let rows = batch.num_rows();
                self.rest = Some(batch).filter(|batch| batch.num_rows() > 0);
                Ok(rows)
            }
            Ok(Some(Err(error))) => Err(failed(file, position, error)),
            Err(panic) => Err(panicked(&file.input, position, panic)),
        }
    }

    /// Cuts the next `rows` rows off the rows at hand.
    fn cut(&mut self, rows: usize) -> Option<RecordBatch> {
        let batch = self.rest.take()?;
        if rows >= batch.num_rows() {
            return Some(batch);
        }
        self.rest = Some(batch.slice(rows, batch.num_rows() - rows));
        Some(batch.slice(0, rows))
    }

    pub(super) fn skip(
        &mut self,
        file: &OpenFile,
        position: u64,
        rows: u64,
    ) -> Result<u64, ReadError> {
        let at_hand = self.fill(file, position)?;
        let rows = usize::try_from(rows).unwrap_or(usize::MAX).min(at_hand);
        self.cut(rows);
        Ok(rows as u64)
    }

    pub(super) fn read(
        &mut self,
        file: &OpenFile,
        layout: &ParquetLayout,
        position: u64,
        rows: usize,
        columns: &[ColumnRequest],
    ) -> Result<Rows, ReadError> {
        let at_hand = self.fill(file, position)?;
        let rows = rows.min(at_hand);
        let fitting = self.rest.as_ref().map_or(rows, |batch| rows_that_fit(batch, rows));
        let batch = self.cut(fitting);
        let origin = Origin { input: &file.input, columns };
        let (arrays, rows) = batch.as_ref().map_or((&[][..], 0), |b| (b.columns(), b.num_rows()));
        // Conversion walks over decoded values, which a damaged file may have made invalid.
        let convert = || layout.conversion.apply(&origin, arrays, rows, Vec::new());
        match catch_unwind(AssertUnwindSafe(convert)) {
            Ok(converted) => converted,
            Err(panic) => Err(panicked(&file.input, position, panic)),
        }
    }
}

/// An error of the decoder, or of the device below it.
fn failed<E>(file: &OpenFile, row: u64, error: E) -> ReadError
where
    E: std::error::Error + Send + Sync + 'static,
{
    match file.object.take_failure() {
        Some(failure) => ReadError::from_input(&file.input.uri, &file.input.pin, failure),
        None => corrupt(&file.input, row, error),
    }
}

fn corrupt<E>(input: &InputFile, row: u64, error: E) -> ReadError
where
    E: std::error::Error + Send + Sync + 'static,
{
    ReadError::Corrupt { uri: input.uri.clone(), row, source: Box::new(error) }
}

fn panicked(input: &InputFile, row: u64, panic: Box<dyn Any + Send>) -> ReadError {
    /// Characters of a panic's message that are kept.
    const SHOWN: usize = 200;
    let message = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.chars().take(SHOWN).collect(),
        _ => "no message".to_owned(),
    };
    ReadError::Panicked { uri: input.uri.clone(), row, message }
}
