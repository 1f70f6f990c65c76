//! How deep a footer's schema is nested, found out without recursion.
//!
//! The schema of a Parquet file is a flat list in depth-first order; each element says how many
//! children follow. The decoder builds the tree by recursion, so a footer of a few megabytes
//! could end the process with a stack overflow, which nothing can catch. This walks over the
//! list first (Thrift compact protocol,
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>; the
//! structures are in `parquet.thrift` of the Parquet format).

/// Deepest schema that is decoded; real ones have a few levels.
pub(super) const DEPTH_MAX: usize = 64;

/// Field of `FileMetaData` that holds the list of schema elements.
const SCHEMA: i16 = 2;

/// Field of `SchemaElement` that holds the number of children.
const NUM_CHILDREN: i16 = 5;

/// Kinds of values on the wire.
mod wire {
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const MAP: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
    pub(super) const UUID: u8 = 13;
}

/// Whether the schema in `footer` is nested at most [`DEPTH_MAX`] deep. Bytes that are no footer
/// count as shallow: the decoder will say what is wrong with them.
pub(super) fn is_shallow(footer: &[u8]) -> bool {
    let mut cursor = Bytes(footer);
    let mut id = 0;
    while let Some((field, kind)) = cursor.field(id) {
        id = field;
        if field == SCHEMA && kind == wire::LIST {
            // The list comes before anything large; what follows it is not looked at.
            return cursor.schema().unwrap_or(true);
        }
        if cursor.skip(kind, DEPTH_MAX).is_none() {
            return true;
        }
    }
    true
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn pass(&mut self, bytes: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Id and kind of the next field of a struct; none at its end.
    fn field(&mut self, before: i16) -> Option<(i16, u8)> {
        let header = self.byte()?;
        let kind = header & 0x0f;
        if kind == 0 {
            return None;
        }
        let id = match header >> 4 {
            0 => i16::try_from(self.zigzag()?).ok()?,
            delta => before.checked_add(i16::from(delta))?,
        };
        Some((id, kind))
    }

    /// Number and kind of the elements of a list.
    fn list(&mut self) -> Option<(u64, u8)> {
        let header = self.byte()?;
        let size = match header >> 4 {
            15 => self.varint()?,
            size => u64::from(size),
        };
        Some((size, header & 0x0f))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            wire::TRUE | wire::FALSE => Some(()),
            wire::BYTE => self.pass(1),
            wire::I16..=wire::I64 => self.varint().map(drop),
            wire::DOUBLE => self.pass(8),
            wire::UUID => self.pass(16),
            wire::BINARY => {
                let length = self.varint()?;
                self.pass(length)
            }
            wire::LIST | wire::SET => {
                let (size, kind) = self.list()?;
                self.skip_elements(size, &[kind], depth)
            }
            wire::MAP => match self.varint()? {
                0 => Some(()),
                size => {
                    let kinds = self.byte()?;
                    self.skip_elements(size, &[kinds >> 4, kinds & 0x0f], depth)
                }
            },
            wire::STRUCT => {
                let mut id = 0;
                while let Some((field, kind)) = self.field(id) {
                    id = field;
                    self.skip(kind, depth)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    fn skip_elements(&mut self, size: u64, kinds: &[u8], depth: usize) -> Option<()> {
        for _ in 0..size {
            for &kind in kinds {
                match kind {
                    // In a list, a boolean is a byte of its own.
                    wire::TRUE | wire::FALSE => self.pass(1)?,
                    kind => self.skip(kind, depth)?,
                }
            }
        }
        Some(())
    }

    /// Walks over the schema elements; none if they cannot be read.
    fn schema(&mut self) -> Option<bool> {
        let (elements, kind) = self.list()?;
        if kind != wire::STRUCT {
            return None;
        }
        // Children still to come on each level.
        let mut open: Vec<i64> = Vec::new();
        for _ in 0..elements {
            let mut children = 0;
            let mut id = 0;
            while let Some((field, kind)) = self.field(id) {
                id = field;
                if field == NUM_CHILDREN && (wire::I16..=wire::I64).contains(&kind) {
                    children = self.zigzag()?;
                } else {
                    self.skip(kind, DEPTH_MAX)?;
                }
            }
            while open.last().is_some_and(|&left| left <= 0) {
                open.pop();
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            if children > 0 {
                open.push(children);
                if open.len() > DEPTH_MAX {
                    return Some(false);
                }
            }
        }
        Some(true)
    }
}

#[cfg(test)]
mod tests;
