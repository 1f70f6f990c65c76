//! Rows are where the `csv` crate and the definition of a line say they are.

use std::io::Read;

use proptest::prelude::*;

use super::*;

/// Hands out a few bytes at a time.
struct Drip<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let step = self.step.min(self.bytes.len()).min(buffer.len());
        let (now, later) = self.bytes.split_at(step);
        buffer[..step].copy_from_slice(now);
        self.bytes = later;
        Ok(step)
    }
}

type Fields = Vec<Vec<u8>>;

/// Records and the offset at which each begins.
fn records(bytes: &[u8], offset: u64, step: usize) -> Vec<(u64, Fields)> {
    let from = usize::try_from(offset).unwrap();
    let mut rows = CsvRows::new(Drip { bytes: &bytes[from..], step }, offset);
    let mut out = Vec::new();
    loop {
        let at = rows.offset();
        match rows.next_row().unwrap() {
            None => return out,
            Some(Row::TooLong) => panic!("nothing here is long"),
            Some(Row::Row(row)) => {
                assert_eq!(row.len(), row.iter().count());
                assert_eq!(
                    (0..row.len()).map(|n| row.get(n).unwrap()).collect::<Vec<_>>(),
                    row.iter().collect::<Vec<_>>()
                );
                out.push((at, row.iter().map(<[u8]>::to_vec).collect()));
            }
        }
    }
}

fn lines(bytes: &[u8], offset: u64, step: usize) -> Vec<(u64, Vec<u8>)> {
    let from = usize::try_from(offset).unwrap();
    let mut rows = LineRows::new(Drip { bytes: &bytes[from..], step }, offset);
    let mut out = Vec::new();
    loop {
        let at = rows.offset();
        match rows.next_row().unwrap() {
            None => return out,
            Some(Row::TooLong) => panic!("nothing here is long"),
            Some(Row::Row(line)) => out.push((at, line.to_vec())),
        }
    }
}

proptest! {
    #[test]
    fn csv_records_are_those_of_the_csv_crate(text in "[a,\"\n\r é]{0,80}", step in 1_usize..9) {
        let mut reader = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let wanted: Vec<Fields> = reader
            .byte_records()
            .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect())
            .collect();
        let found = records(text.as_bytes(), 0, step);
        prop_assert_eq!(found.iter().map(|(_, fields)| fields.clone()).collect::<Vec<_>>(), wanted);
        // From any record's offset the same records follow.
        for (row, (at, _)) in found.iter().enumerate() {
            let rest = records(text.as_bytes(), *at, step);
            prop_assert_eq!(&rest[..], &found[row..]);
        }
    }

    #[test]
    fn lines_are_those_with_something_in_them(text in "[a \t\n\r]{0,80}", step in 1_usize..9) {
        let blank = |line: &&[u8]| line.iter().all(|b| b" \t\r".contains(b));
        let wanted: Vec<&[u8]> = text.as_bytes().split(|&b| b == b'\n').filter(|line| !blank(line)).collect();
        let found = lines(text.as_bytes(), 0, step);
        prop_assert_eq!(found.iter().map(|(_, line)| &line[..]).collect::<Vec<_>>(), wanted);
        for (row, (at, _)) in found.iter().enumerate() {
            prop_assert_eq!(&lines(text.as_bytes(), *at, step)[..], &found[row..]);
        }
    }
}

#[test]
fn a_byte_order_mark_is_not_content() {
    for step in [1, 2, 100] {
        assert_eq!(records(b"\xef\xbb\xbfa,b\n1,2\n", 0, step)[0].1, [b"a", b"b"]);
        assert_eq!(lines(b"\xef\xbb\xbf{}\n", 0, step)[0].1, b"{}");
    }
    // Only at the start of the file is it a mark.
    assert_eq!(records(b"a\n\xef\xbb\xbfb\n", 2, 100)[0].1, [b"\xef\xbb\xbfb"]);
    assert_eq!(lines(b"a\n\xef\xbb\xbfb\n", 2, 100)[0].1, b"\xef\xbb\xbfb");
}

#[test]
fn rows_beyond_the_limit_are_counted_and_dropped() {
    let long = "y".repeat(RECORD_BYTES_MAX);
    let fits = format!("{long}\nz\n");
    let mut rows = LineRows::new(fits.as_bytes(), 0);
    assert!(
        matches!(rows.next_row().unwrap(), Some(Row::Row(line)) if line.len() == RECORD_BYTES_MAX)
    );
    let text = format!("a\n{long}y\nz\n");
    let mut rows = LineRows::new(text.as_bytes(), 0);
    assert_eq!(rows.next_row().unwrap(), Some(Row::Row(&b"a"[..])));
    assert_eq!(rows.next_row().unwrap(), Some(Row::TooLong));
    assert_eq!(rows.next_row().unwrap(), Some(Row::Row(&b"z"[..])));
    assert_eq!(rows.next_row().unwrap(), None);

    let text = format!("a,b\n{long}y,1\nz,2\n{}\nz\n", ",".repeat(FIELDS_MAX + 10));
    let mut rows = CsvRows::new(text.as_bytes(), 0);
    let mut seen = Vec::new();
    while let Some(row) = rows.next_row().unwrap() {
        seen.push(match row {
            Row::TooLong => None,
            Row::Row(row) => Some(row.len()),
        });
    }
    assert_eq!(seen, [Some(2), None, Some(2), None, Some(1)]);
    assert!(rows.buffered_bytes() <= RECORD_BYTES_MAX + 8 * FIELDS_MAX);

    // An unclosed quote takes the rest of the file, as one row.
    let text = format!("a\n\"{long}{long}{long}");
    let mut rows = CsvRows::new(text.as_bytes(), 0);
    rows.next_row().unwrap();
    assert!(matches!(rows.next_row().unwrap(), Some(Row::TooLong)));
    assert!(rows.next_row().unwrap().is_none());
    assert!(rows.buffered_bytes() <= RECORD_BYTES_MAX + 8 * FIELDS_MAX);
}
