//! Counting the rows of text files and sampling their columns, in one pass.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use nightshift_core::plan::{Mark, Shard};

use super::scan::{CsvRows, LineRows, Row, decompress};
use super::{Evidence, Found, InputError, InputObject, SAMPLE_ROWS};

/// Rows between two marks: a reader skips at most this many rows to its first one, and a plan of
/// a billion rows keeps a million marks in memory while it is made.
pub const MARK_ROWS: u64 = 1_024;

/// Most columns taken from a JSON lines file; keys that are data would otherwise become columns.
const COLUMNS_MAX: usize = 10_000;

/// What one pass over a text file tells.
pub(super) struct Facts {
    pub(super) rows: u64,
    pub(super) marks: Vec<Mark>,
    pub(super) columns: Vec<(String, Evidence)>,
}

pub(super) fn count_csv(object: &Arc<InputObject>, found: &Found) -> Result<Facts, InputError> {
    let mut facts = Facts { rows: 0, marks: Vec::new(), columns: Vec::new() };
    let failed = |row, source| damaged(object, row, source);
    let plain = decompress(object.stream(0), found.compression).map_err(|e| failed(0, e))?;
    let mut records = CsvRows::new(plain, 0);
    let header = match records.next_row().map_err(|e| failed(0, e))? {
        None => {
            let needs = "a CSV file begins with a line of column names";
            return Err(InputError::Empty { uri: found.uri.clone(), needs });
        }
        Some(Row::TooLong) => return Err(InputError::long_header(&found.uri)),
        Some(Row::Row(header)) => header_names(&found.uri, header.iter())?,
    };
    facts.columns = header.into_iter().map(|name| (name, Evidence::declared())).collect();
    loop {
        mark(&mut facts, found, records.offset());
        match records.next_row().map_err(|e| failed(facts.rows, e))? {
            None => break,
            Some(Row::Row(row)) if facts.rows < SAMPLE_ROWS && row.len() == facts.columns.len() => {
                for ((_, evidence), field) in facts.columns.iter_mut().zip(row.iter()) {
                    evidence.see_field(field);
                }
            }
            Some(_) => {}
        }
        facts.rows += 1;
    }
    // A column without a name (an index that a data frame left behind) cannot be asked for.
    facts.columns.retain(|(name, _)| !name.is_empty());
    Ok(facts)
}

/// Checks the first record of a CSV file and takes the column names from it.
pub(super) fn header_names<'a>(
    uri: &str,
    fields: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<String>, InputError> {
    let refuse = |reason: String| InputError::Header { uri: uri.to_owned(), reason };
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for (position, field) in fields.enumerate() {
        let name = std::str::from_utf8(field).map_err(|_| {
            refuse(format!("is not UTF-8 in column {}; convert the file to UTF-8", position + 1))
        })?;
        if !name.is_empty() && !seen.insert(name) {
            let name: String = name.chars().take(80).collect();
            return Err(refuse(format!("names column `{name}` twice; rename one of them")));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

pub(super) fn count_jsonl(
    object: &Arc<InputObject>,
    found: &Found,
    needed: &[String],
) -> Result<Facts, InputError> {
    let columns = needed.iter().filter(|name| !is_partition(found, name));
    let columns = columns.map(|name| (name.clone(), Evidence::default())).collect();
    let mut facts = Facts { rows: 0, marks: Vec::new(), columns };
    let failed = |row, source| damaged(object, row, source);
    let plain = decompress(object.stream(0), found.compression).map_err(|e| failed(0, e))?;
    let mut lines = LineRows::new(plain, 0);
    loop {
        mark(&mut facts, found, lines.offset());
        match lines.next_row().map_err(|e| failed(facts.rows, e))? {
            None => return Ok(facts),
            Some(Row::Row(line)) if facts.rows < SAMPLE_ROWS => sample(&mut facts, needed, line),
            Some(_) => {}
        }
        facts.rows += 1;
    }
}

fn is_partition(found: &Found, name: &str) -> bool {
    found.partition_columns.iter().any(|column| column.name == name)
}

/// A line that is not an object will be a rejected row; it says nothing about columns.
fn sample(facts: &mut Facts, needed: &[String], line: &[u8]) {
    let Ok(serde_json::Value::Object(object)) = serde_json::from_slice(line) else { return };
    for (name, value) in &object {
        if let Some((_, evidence)) = facts.columns.iter_mut().find(|(known, _)| known == name) {
            evidence.see_json(value);
        } else if facts.columns.len() < COLUMNS_MAX && (needed.is_empty() || needed.contains(name))
        {
            let mut evidence = Evidence::default();
            evidence.see_json(value);
            facts.columns.push((name.clone(), evidence));
        }
    }
}

/// Remembers where the next row begins, every [`MARK_ROWS`] rows; a compressed file has no such places.
fn mark(facts: &mut Facts, found: &Found, byte: u64) {
    if found.compression.is_none() && facts.rows.is_multiple_of(MARK_ROWS) {
        facts.marks.push(Mark { row: facts.rows, byte });
    }
}

fn damaged(object: &InputObject, row: u64, source: io::Error) -> InputError {
    let uri = object.uri().to_owned();
    match object.take_failure() {
        Some(failure) => failure,
        None => InputError::Compressed { uri, row, source },
    }
}

/// Gives each slice the nearest mark at or before its first row; `marks` has one list per input
/// file, in the order of rows. Slices of files without marks are left as they are.
pub fn place_marks(shards: &mut [Shard], marks: &[Vec<Mark>]) {
    for slice in shards.iter_mut().flat_map(|shard| &mut shard.slices) {
        let Some(marks) = marks.get(slice.input as usize) else { continue };
        let after = marks.partition_point(|mark| mark.row <= slice.start);
        if let Some(mark) = after.checked_sub(1).and_then(|at| marks.get(at)) {
            slice.seek = Some(*mark);
        }
    }
}

#[cfg(test)]
mod tests;
