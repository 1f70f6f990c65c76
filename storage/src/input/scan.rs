//! Rows of text files: where one ends and the next begins.
//!
//! Planning counts rows with these scanners and the worker reads with the same ones, so both
//! agree on what a row is, whatever the bytes:
//!
//! - CSV: a record by the rules of the `csv` crate (RFC 4180 quoting, line breaks inside
//!   quotes, `\n`, `\r` or `\r\n` as terminators, empty lines are no records).
//! - JSON lines: a line with anything but white space in it.
//!
//! A row longer than [`RECORD_BYTES_MAX`] is still one row, but its content is dropped and it
//! comes out as [`Row::TooLong`]: the worker rejects it and reads on. So an unclosed quote or a
//! missing newline costs one row, not the memory of the machine and not the shard.

use std::io::{self, BufReader, Read};

use csv_core::ReadRecordResult;
use flate2::bufread::MultiGzDecoder;
use nightshift_core::plan::Compression;

use super::object::ObjectStream;

mod csv;
mod lines;

pub use csv::{CsvRow, CsvRows};
pub use lines::LineRows;

/// Longest row whose content is kept. Far above any real row, low enough that a worker with
/// several readers stays within a small pod.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Most fields of one CSV record that are kept.
pub const FIELDS_MAX: usize = 65_536;

/// Bytes read at once; large enough that a system call costs little per row.
const BLOCK_BYTES: usize = 128 << 10;

/// Largest zstd window, as a power of two: what the `zstd` command accepts without `--long`.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// The UTF-8 byte order mark, which some programs put in front of a text file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One row of a text file.
#[derive(Debug, PartialEq, Eq)]
pub enum Row<T> {
    /// The row's content.
    Row(T),
    /// A row of more than [`RECORD_BYTES_MAX`] bytes or [`FIELDS_MAX`] fields, content dropped.
    TooLong,
}

/// The plain bytes of a text file.
pub type Plain = Box<dyn Read + Send>;

/// Undoes the compression around a file, streaming; all members of a gzip file and all frames
/// of a zstd file are read.
///
/// # Errors
/// If the decompressor cannot be set up.
pub fn decompress(stream: ObjectStream, compression: Compression) -> io::Result<Plain> {
    Ok(match compression {
        Compression::None => Box::new(stream),
        Compression::Gzip => {
            Box::new(MultiGzDecoder::new(BufReader::with_capacity(BLOCK_BYTES, stream)))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(stream)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
    })
}

/// A block of bytes read ahead, and how far it has been consumed.
struct Block<R> {
    source: R,
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// Position in the plain bytes of `bytes[start]`.
    offset: u64,
}

impl<R: Read> Block<R> {
    fn new(source: R, offset: u64) -> Self {
        Self { source, bytes: vec![0; BLOCK_BYTES].into_boxed_slice(), start: 0, end: 0, offset }
    }

    /// The bytes at hand; empty only at the end of the file. A byte order mark at the start of the
    /// file is passed over.
    fn fill(&mut self) -> io::Result<&[u8]> {
        if self.offset == 0 && self.end == 0 {
            // A decompressor may hand out a byte at a time; the mark is recognised in one piece.
            self.read_until(BYTE_ORDER_MARK.len())?;
            if self.at_hand().starts_with(BYTE_ORDER_MARK) {
                self.consume(BYTE_ORDER_MARK.len());
            }
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.read_until(1)?;
        }
        Ok(self.at_hand())
    }

    /// Reads until `wanted` bytes are in the block, or the file ends.
    fn read_until(&mut self, wanted: usize) -> io::Result<()> {
        while self.end < wanted {
            let rest = self.bytes.get_mut(self.end..).unwrap_or_default();
            match self.source.read(rest) {
                Ok(0) => break,
                Ok(read) => self.end = (self.end + read).min(self.bytes.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn at_hand(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
        self.offset += bytes as u64;
    }
}

#[cfg(test)]
mod tests;
