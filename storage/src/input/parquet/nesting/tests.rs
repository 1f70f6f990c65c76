//! Deep schemas are refused, all others pass.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Field};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;

use super::*;

/// A footer with nothing but a schema: `levels` groups of one child each, and a leaf.
fn chain(levels: usize) -> Vec<u8> {
    let mut bytes = vec![0x15, 0x02, 0x19, 0xfc];
    let mut elements = levels + 1;
    while elements >= 0x80 {
        bytes.push(elements as u8 | 0x80);
        elements >>= 7;
    }
    bytes.push(elements as u8);
    for _ in 0..levels {
        // name "a" (field 4), one child (field 5).
        bytes.extend([0x48, 0x01, b'a', 0x15, 0x02, 0x00]);
    }
    bytes.extend([0x15, 0x04, 0x38, 0x01, b'a', 0x00, 0x00]);
    bytes
}

#[test]
fn depth_is_counted() {
    for (levels, shallow) in
        [(0, true), (1, true), (DEPTH_MAX, true), (DEPTH_MAX + 1, false), (500_000, false)]
    {
        assert_eq!(is_shallow(&chain(levels)), shallow, "{levels}");
    }
}

#[test]
fn a_deep_file_is_refused_before_it_is_decoded() {
    let footer = chain(500_000);
    let mut file = b"PAR1".to_vec();
    file.extend(&footer);
    file.extend((footer.len() as u32).to_le_bytes());
    file.extend(b"PAR1");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    std::fs::write(&path, file).unwrap();
    let object = Arc::new(crate::input::InputObject::open(path.to_str().unwrap()).unwrap());
    let error = crate::input::parquet::read_footer(&object, true).unwrap_err().to_string();
    assert!(error.contains("nested"), "{error}");
}

/// A real file: two levels of structs beside plain columns.
fn real_footer() -> Vec<u8> {
    let leaf: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let nest = |name: &str, inner: ArrayRef| -> ArrayRef {
        let field = Arc::new(Field::new(name, inner.data_type().clone(), true));
        Arc::new(StructArray::from(vec![(field, inner)]))
    };
    let deep = nest("b", nest("c", Arc::clone(&leaf)));
    assert!(matches!(deep.data_type(), DataType::Struct(_)));
    let batch = RecordBatch::try_from_iter([("x", Arc::clone(&leaf)), ("deep", deep), ("y", leaf)])
        .unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let bytes = writer.into_inner().unwrap();
    let (rest, _) = bytes.split_at(bytes.len() - 4);
    let (rest, length) = rest.split_at(rest.len() - 4);
    let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
    rest[rest.len() - length..].to_vec()
}

#[test]
fn a_real_schema_is_read_to_its_end() {
    let footer = real_footer();
    assert!(is_shallow(&footer));
    let mut cursor = Bytes(&footer);
    assert_eq!(cursor.field(0), Some((1, 5)));
    cursor.skip(5, 1).unwrap();
    assert_eq!(cursor.field(1), Some((SCHEMA, wire::LIST)));
    assert_eq!(cursor.schema(), Some(true));
    // The number of rows follows the schema.
    assert_eq!(cursor.field(SCHEMA), Some((3, wire::I64)));
    assert_eq!(cursor.zigzag(), Some(2));
}

proptest! {
    #[test]
    fn any_bytes_are_walked_over(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        is_shallow(&bytes);
    }
}
