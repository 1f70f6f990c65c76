//! CSV records, with bounded memory.

use std::io::{self, Read};

use super::{Block, FIELDS_MAX, RECORD_BYTES_MAX, ReadRecordResult, Row};

/// Yields the records of a CSV file, its header first if read from the start.
pub struct CsvRows<R> {
    block: Block<R>,
    parser: csv_core::Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
}

/// The fields of one record, unquoted.
#[derive(Debug, PartialEq, Eq)]
pub struct CsvRow<'a> {
    fields: &'a [u8],
    ends: &'a [usize],
}

impl<'a> CsvRow<'a> {
    /// How many fields.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no fields; a record always has one.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The field at `index`, from 0.
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        self.fields.get(start.unwrap_or(0)..end)
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (fields, ends) = (self.fields, self.ends);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(ends).map(move |(start, &end)| fields.get(start..end).unwrap_or_default())
    }
}

impl<R: Read> CsvRows<R> {
    /// Reads `source`, whose first byte is at `offset` of the plain file, where a record begins.
    pub fn new(source: R, offset: u64) -> Self {
        let mut parser = csv_core::Reader::new();
        // The parser drops a byte order mark from the first bytes it sees, wherever in the file they
        // are, and takes a mark alone for the end of the file; the block has dealt with it. A line
        // break before a record is nothing, and makes the next bytes not the first.
        let _ = parser.read_record(b"\n", &mut [0; 4], &mut [0; 4]);
        Self {
            block: Block::new(source, offset),
            parser,
            fields: vec![0; 4 << 10],
            ends: vec![0; 64],
        }
    }

    /// Offset in the plain file of the first byte that is not consumed; the next record begins
    /// there, perhaps after line breaks.
    pub fn offset(&self) -> u64 {
        self.block.offset
    }

    /// Memory held for the record being read; at most [`RECORD_BYTES_MAX`] and eight bytes for
    /// each of [`FIELDS_MAX`] fields.
    pub fn buffered_bytes(&self) -> usize {
        self.fields.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    /// The next record.
    ///
    /// # Errors
    /// What the source says, damaged compression included.
    pub fn next_row(&mut self) -> io::Result<Option<Row<CsvRow<'_>>>> {
        let (mut written, mut ended, mut too_long) = (0, 0, false);
        loop {
            let input = self.block.fill()?;
            let fields = self.fields.get_mut(written..).unwrap_or_default();
            let ends = self.ends.get_mut(ended..).unwrap_or_default();
            let (result, read, wrote, closed) = self.parser.read_record(input, fields, ends);
            self.block.consume(read);
            written += wrote;
            ended += closed;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => {
                    too_long |= self.fields.len() >= RECORD_BYTES_MAX;
                    grow(&mut self.fields, RECORD_BYTES_MAX);
                }
                ReadRecordResult::OutputEndsFull => {
                    too_long |= self.ends.len() >= FIELDS_MAX;
                    grow(&mut self.ends, FIELDS_MAX);
                }
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record => break,
            }
            if too_long {
                // Go on to the end of the record, writing over what was kept.
                (written, ended) = (0, 0);
            }
        }
        if too_long {
            self.fields = vec![0; 4 << 10];
            return Ok(Some(Row::TooLong));
        }
        let fields = self.fields.get(..written).unwrap_or_default();
        let ends = self.ends.get(..ended).unwrap_or_default();
        Ok(Some(Row::Row(CsvRow { fields, ends })))
    }
}

fn grow<T: Default + Clone>(buffer: &mut Vec<T>, max: usize) {
    let len = (buffer.len() * 2).min(max);
    buffer.resize(len.max(buffer.len()), T::default());
}
