//! A decoder at a position of a file, whatever its format.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use nightshift_core::plan::Slice;
use nightshift_storage::input::describe;

use super::csv::CsvCursor;
use super::files::{Layout, OpenFile};
use super::jsonl::JsonlCursor;
use super::parquet::ParquetCursor;
use super::{ColumnRequest, ReadError};
use crate::reject::RowReject;

/// Rows of a Parquet file that are decoded and dropped rather than starting afresh, which
/// decompresses a page and a dictionary per column: some shards of other threads in between.
const PARQUET_GAP_ROWS: u64 = 32 << 10;

/// Rows of the requested columns, and those among them that could not be read.
pub(super) type Rows = (RecordBatch, Vec<RowReject>);

/// Decodes one file from a position on.
pub(super) struct Cursor {
    file: Arc<OpenFile>,
    /// The row that comes next.
    position: u64,
    source: Source,
}

enum Source {
    Parquet(ParquetCursor),
    Csv(Box<CsvCursor>),
    Jsonl(JsonlCursor),
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({} at row {})", self.file.input.uri, self.position)
    }
}

impl Cursor {
    /// A new decoder that stands at the first row of `slice`.
    pub(super) fn start(
        file: Arc<OpenFile>,
        slice: &Slice,
        batch_rows: usize,
    ) -> Result<Self, ReadError> {
        let (position, source) = match &file.layout {
            Layout::Parquet(layout) => {
                let cursor = ParquetCursor::start(&file, layout, slice, batch_rows)?;
                (slice.start, Source::Parquet(cursor))
            }
            Layout::Csv(_) => {
                let (cursor, position) = CsvCursor::start(&file, slice)?;
                (position, Source::Csv(Box::new(cursor)))
            }
            Layout::Jsonl(_) => {
                let (cursor, position) = JsonlCursor::start(&file, slice)?;
                (position, Source::Jsonl(cursor))
            }
        };
        let mut cursor = Self { file, position, source };
        cursor.skip_to(slice.start)?;
        Ok(cursor)
    }

    pub(super) fn file(&self) -> &Arc<OpenFile> {
        &self.file
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Whether it is of the same file, and going on costs less than starting afresh for `slice`.
    pub(super) fn suits(&self, file: &Arc<OpenFile>, slice: &Slice) -> bool {
        let Some(gap) = slice.start.checked_sub(self.position) else { return false };
        if !Arc::ptr_eq(&self.file, file) {
            return false;
        }
        match (&self.source, &file.layout) {
            (Source::Parquet(cursor), Layout::Parquet(layout)) => {
                gap <= PARQUET_GAP_ROWS && cursor.batch_fits(layout, slice)
            }
            // A mark further on is closer; without one the alternative is the start of the file.
            _ => slice.seek.is_none_or(|mark| mark.row <= self.position),
        }
    }

    /// Whether a later slice may want it: rows are left, and it does not hold much memory.
    pub(super) fn is_worth_keeping(&self) -> bool {
        let light = match &self.source {
            Source::Parquet(cursor) => cursor.is_light(),
            Source::Csv(_) | Source::Jsonl(_) => true,
        };
        light && self.position < self.file.input.rows
    }

    /// Passes over the rows before `row`.
    pub(super) fn skip_to(&mut self, row: u64) -> Result<(), ReadError> {
        while self.position < row {
            let wanted = row - self.position;
            let skipped = match &mut self.source {
                Source::Parquet(cursor) => cursor.skip(&self.file, self.position, wanted)?,
                Source::Csv(cursor) => cursor.skip(&self.file, self.position, wanted)?,
                Source::Jsonl(cursor) => cursor.skip(&self.file, self.position, wanted)?,
            };
            if skipped == 0 {
                return Err(self.short(self.position));
            }
            self.position += skipped;
        }
        Ok(())
    }

    /// The next rows: at least one and at most `rows` (at least one), or none at the end of the file.
    pub(super) fn read(
        &mut self,
        rows: usize,
        columns: &[ColumnRequest],
    ) -> Result<Rows, ReadError> {
        let (file, position) = (&*self.file, self.position);
        let read = match (&mut self.source, &file.layout) {
            (Source::Parquet(cursor), Layout::Parquet(layout)) => {
                cursor.read(file, layout, position, rows, columns)
            }
            (Source::Csv(cursor), Layout::Csv(layout)) => {
                cursor.read(file, layout, position, rows, columns)
            }
            (Source::Jsonl(cursor), Layout::Jsonl(layout)) => {
                cursor.read(file, layout, position, rows, columns)
            }
            // A cursor is made from its file's layout.
            _ => Err(self.short(position)),
        }?;
        self.position += read.0.num_rows() as u64;
        Ok(read)
    }

    /// The file ends before row `row` although the plan has more rows.
    pub(super) fn short(&self, row: u64) -> ReadError {
        let input = &self.file.input;
        ReadError::Changed {
            uri: input.uri.clone(),
            planned: format!("{}, {} rows", describe(&input.pin), input.rows),
            found: format!("{row} rows"),
        }
    }
}
