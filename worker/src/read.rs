//! Reading slices: from a plan's rows to batches of the columns that the run needs.
//!
//! [`Reader::open`] gives an iterator over one slice. Each [`ReadBatch`] has one row for every
//! input row, in order, all requested columns in the requested order; a row that cannot be read
//! is all null and named in `rejects`, so that nothing is lost silently and nothing stops the
//! rest of the shard.
//!
//! Opening is cheap, since shards are small: footers and headers are read once per file
//! (`files.rs`), and a decoder that has just finished one slice goes on with the next one if
//! that is where it stands (`idle.rs`), so that pages and compressed text are decoded about
//! once per thread instead of once per shard. What comes out never depends on that.
//!
//! Memory per open slice is one page per column, one decoded batch (about 8 MiB, or one row) and
//! one converted batch; the size of the file does not matter. A Parquet page is decompressed
//! whole: its writer decides its size, up to the 2 GiB of the format.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use nightshift_core::plan::{InputFile, Slice};

use crate::reject::RowReject;

mod columns;
mod convert;
mod csv;
mod cursor;
mod error;
mod files;
mod idle;
mod jsonl;
mod parquet;
mod sizing;

pub use error::{ErrorClass, ReadError};
pub(crate) use files::FOOTERS_BYTES_MAX;
pub(crate) use sizing::BATCH_BYTES;

use cursor::Cursor;
use files::Files;
use idle::Idle;

/// One column that the run needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnRequest {
    /// Its name in the file or in the path.
    pub name: String,
    /// The type to hand it on with; without one, the type that the file has (text as `Utf8`).
    /// A value that does not convert is null and its row a reject.
    pub as_type: Option<DataType>,
    /// Text may come as views into decoded pages, which costs no copy: for columns that are
    /// looked at once and not written out.
    pub views: bool,
    /// An array or object of a JSON file comes as its JSON text, where others are refused.
    pub json: bool,
}

impl ColumnRequest {
    /// The column `name` with the type that the file has, text as `Utf8`.
    pub fn plain(name: impl Into<String>) -> Self {
        Self { name: name.into(), as_type: None, views: false, json: false }
    }

    /// The column `name` as `wanted`.
    pub fn typed(name: impl Into<String>, wanted: DataType) -> Self {
        Self { name: name.into(), as_type: Some(wanted), views: false, json: false }
    }

    /// The column `name` with the type that the file has, text as `Utf8` or `Utf8View`.
    pub fn viewed(name: impl Into<String>) -> Self {
        Self { name: name.into(), as_type: None, views: true, json: false }
    }

    /// The column `name` as text; an array or object of a JSON file as its JSON.
    pub fn json(name: impl Into<String>) -> Self {
        Self { json: true, ..Self::typed(name, DataType::Utf8) }
    }
}

/// Consecutive rows of one input file.
#[derive(Debug, Clone)]
pub struct ReadBatch {
    /// Position in the input file of the batch's first row, from 0.
    pub first_row: u64,
    /// The requested columns in the requested order, all nullable.
    pub batch: RecordBatch,
    /// Rows that could not be read, at most one entry a row, in order.
    pub rejects: Vec<RowReject>,
}

/// Reads slices of input files; cheap to clone, and clones share what they have learned.
#[derive(Debug, Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    columns: Vec<ColumnRequest>,
    /// Most rows of a batch; attempts may find that fewer fit.
    batch_rows: AtomicUsize,
    files: Files,
    idle: Idle,
}

impl Reader {
    /// A reader of `columns`, in batches of at most `batch_rows` rows (at least one), fewer where
    /// rows are wide. Name each column once.
    pub fn new(columns: Vec<ColumnRequest>, batch_rows: usize) -> Self {
        let batch_rows = AtomicUsize::new(batch_rows.max(1));
        let (files, idle) = (Files::default(), Idle::default());
        Self { shared: Arc::new(Shared { columns, batch_rows, files, idle }) }
    }

    /// Makes batches of at most `rows` rows (at least one) from now on; never larger ones again.
    pub fn limit_batches(&self, rows: usize) {
        self.shared.batch_rows.fetch_min(rows.max(1), Ordering::Relaxed);
    }

    /// Most rows of a batch.
    pub fn batch_rows(&self) -> usize {
        self.shared.batch_rows.load(Ordering::Relaxed)
    }

    /// Opens `slice` of `file`.
    ///
    /// # Errors
    /// [`ReadError::Missing`] or [`ReadError::Changed`] if the file is not the version that was
    /// planned, and whatever is wrong with its footer or header.
    pub fn open(&self, file: &InputFile, slice: &Slice) -> Result<SliceReader, ReadError> {
        self.open_within(file, slice, usize::MAX)
    }

    /// Opens `slice` of `file`, to be decoded in batches of at most `most` rows (at least one).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_within(
        &self,
        file: &InputFile,
        slice: &Slice,
        most: usize,
    ) -> Result<SliceReader, ReadError> {
        let shared = Arc::clone(&self.shared);
        let end = slice.start.checked_add(slice.rows).filter(|&end| end <= file.rows);
        let end = end.ok_or_else(|| ReadError::OutOfRange {
            uri: file.uri.clone(),
            start: slice.start,
            rows: slice.rows,
            file_rows: file.rows,
        })?;
        let open = shared.files.open(file, &shared.columns)?;
        open.check()?;
        let cursor = match shared.idle.take(&open, slice) {
            Some(mut idle) => {
                idle.skip_to(slice.start)?;
                idle
            }
            None => Cursor::start(open, slice, self.batch_rows().min(most.max(1)))?,
        };
        Ok(SliceReader { shared, cursor: Some(cursor), next: slice.start, end })
    }
}

/// Iterates over the batches of one slice; ends after the slice's last row or the first error.
#[derive(Debug)]
pub struct SliceReader {
    shared: Arc<Shared>,
    /// Gone after the last row or an error.
    cursor: Option<Cursor>,
    next: u64,
    end: u64,
}

impl Iterator for SliceReader {
    type Item = Result<ReadBatch, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_of(usize::MAX)
    }
}

impl SliceReader {
    /// The next batch, of at most `most` rows (at least one).
    pub fn next_of(&mut self, most: usize) -> Option<Result<ReadBatch, ReadError>> {
        let mut cursor = self.cursor.take()?;
        let left = usize::try_from(self.end - self.next).unwrap_or(usize::MAX);
        if left == 0 {
            self.shared.idle.put(cursor);
            return None;
        }
        let shared = Arc::clone(&self.shared);
        let most = shared.batch_rows.load(Ordering::Relaxed).min(most.max(1));
        let last = left <= most;
        let finishing = last.then(|| shared.idle.finishing(cursor.file(), self.end));
        let (batch, rejects) = match cursor.read(left.min(most), &shared.columns) {
            Ok(read) => read,
            Err(error) => return Some(Err(error)),
        };
        if batch.num_rows() == 0 {
            return Some(Err(cursor.short(self.next)));
        }
        let first_row = self.next;
        self.next += batch.num_rows() as u64;
        if self.next < self.end {
            self.cursor = Some(cursor);
        } else if let Err(error) = cursor.file().check() {
            return Some(Err(error));
        } else {
            // Given back before the batch is worked on, so that the next slice finds it.
            shared.idle.put(cursor);
        }
        drop(finishing);
        Some(Ok(ReadBatch { first_row, batch, rejects }))
    }
}

impl std::iter::FusedIterator for SliceReader {}

#[cfg(test)]
mod tests;
