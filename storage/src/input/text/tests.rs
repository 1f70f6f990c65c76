//! Marks are where rows begin.

use nightshift_core::plan::{Sharding, Slice, cut};

use super::*;
use crate::input::scan::{Plain, Row};
use crate::input::{discover, inspect};

#[test]
fn every_slice_starts_at_or_shortly_after_its_mark() {
    let directory = tempfile::tempdir().unwrap();
    let csv: String = (0..5_000)
        .map(|n| format!("{n},\"a\nb\"\r\n{}", if n % 7 == 0 { "\n" } else { "" }))
        .collect();
    let json: String = (0..5_000)
        .map(|n| format!("{{\"n\":{n}}}\n{}", if n % 7 == 0 { " \n" } else { "" }))
        .collect();
    std::fs::write(directory.path().join("a.csv"), format!("n,s\r\n{csv}")).unwrap();
    std::fs::write(directory.path().join("b.jsonl"), json).unwrap();
    for name in ["a.csv", "b.jsonl"] {
        let path = directory.path().join(name);
        let found = discover(path.to_str().unwrap(), None).unwrap().remove(0);
        let inspected = inspect(&found, &[]).unwrap();
        assert_eq!((inspected.file.rows, inspected.marks.len()), (5_000, 5), "{name}");
        let mut shards = cut(&[5_000], Sharding::Rows(700)).unwrap();
        place_marks(&mut shards, &[inspected.marks]);
        let object = Arc::new(InputObject::open(&found.uri).unwrap());
        for slice in shards.iter().flat_map(|shard| &shard.slices) {
            let mark = slice.seek.unwrap();
            assert!(mark.row <= slice.start && slice.start - mark.row < MARK_ROWS);
            let plain: Plain = Box::new(object.stream(mark.byte));
            let first = if name == "a.csv" {
                match CsvRows::new(plain, mark.byte).next_row().unwrap() {
                    Some(Row::Row(row)) => row.get(0).unwrap().to_vec(),
                    other => panic!("{other:?}"),
                }
            } else {
                match LineRows::new(plain, mark.byte).next_row().unwrap() {
                    Some(Row::Row(line)) => line.to_vec(),
                    other => panic!("{other:?}"),
                }
            };
            let first = String::from_utf8(first).unwrap();
            assert_eq!(first.trim_matches(|c: char| !c.is_ascii_digit()), mark.row.to_string());
        }
    }
}

#[test]
fn files_without_marks_are_left_alone() {
    let slice = |input| Slice { input, start: 5, rows: 1, seek: None };
    let mut shards = vec![Shard { slices: vec![slice(0), slice(1), slice(9)].into() }];
    place_marks(&mut shards, &[vec![], vec![Mark { row: 0, byte: 3 }, Mark { row: 6, byte: 9 }]]);
    let seeks: Vec<_> = shards[0].slices.iter().map(|slice| slice.seek).collect();
    assert_eq!(seeks, [None, Some(Mark { row: 0, byte: 3 }), None]);
}
