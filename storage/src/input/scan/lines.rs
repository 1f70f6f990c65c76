//! Lines that are not blank.

use std::io::{self, Read};

use super::{Block, RECORD_BYTES_MAX, Row};

/// Yields the lines of a JSON lines file that are rows, in order.
pub struct LineRows<R> {
    block: Block<R>,
    /// A line that spans blocks.
    long: Vec<u8>,
}

impl<R: Read> LineRows<R> {
    /// Reads `source`, whose first byte is at `offset` of the plain file, where a line begins.
    pub fn new(source: R, offset: u64) -> Self {
        Self { block: Block::new(source, offset), long: Vec::new() }
    }

    /// Offset in the plain file of the first byte that is not consumed: where the next line begins.
    pub fn offset(&self) -> u64 {
        self.block.offset
    }

    /// The next line with more than white space in it, without its newline.
    ///
    /// # Errors
    /// What the source says, damaged compression included.
    pub fn next_row(&mut self) -> io::Result<Option<Row<&[u8]>>> {
        loop {
            match self.next_line()? {
                Found::End => return Ok(None),
                Found::TooLong => return Ok(Some(Row::TooLong)),
                Found::Blank => {}
                // Borrowed again here, since the borrow checker cannot see that the loop ends.
                Found::InBlock { from, to } => {
                    return Ok(Some(Row::Row(self.block.bytes.get(from..to).unwrap_or_default())));
                }
                Found::Long => return Ok(Some(Row::Row(&self.long))),
            }
        }
    }

    fn next_line(&mut self) -> io::Result<Found> {
        let bytes = self.block.fill()?;
        if bytes.is_empty() {
            return Ok(Found::End);
        }
        if let Some(end) = memchr::memchr(b'\n', bytes) {
            let blank = is_blank(bytes.get(..end).unwrap_or_default());
            let from = self.block.start;
            self.block.consume(end + 1);
            return Ok(if blank { Found::Blank } else { Found::InBlock { from, to: from + end } });
        }
        self.spanning_line()
    }

    /// A line that ends in a later block, or with the file.
    fn spanning_line(&mut self) -> io::Result<Found> {
        self.long.clear();
        let mut too_long = false;
        loop {
            let bytes = self.block.fill()?;
            let end = memchr::memchr(b'\n', bytes);
            let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
            let consumed = part.len() + usize::from(end.is_some());
            if too_long || self.long.len() + part.len() > RECORD_BYTES_MAX {
                too_long = true;
                self.long = Vec::new();
            } else {
                self.long.extend_from_slice(part);
            }
            self.block.consume(consumed);
            if end.is_some() || consumed == 0 {
                break;
            }
        }
        if too_long {
            return Ok(Found::TooLong);
        }
        Ok(if is_blank(&self.long) { Found::Blank } else { Found::Long })
    }
}

enum Found {
    End,
    Blank,
    TooLong,
    InBlock { from: usize, to: usize },
    Long,
}

/// JSON's own white space, and no other.
fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}
