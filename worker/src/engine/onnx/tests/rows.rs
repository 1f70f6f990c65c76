//! What becomes of single rows.

use super::*;

/// The bits of a row of all columns.
fn bits(scored: &Scored, row: usize) -> String {
    let shown = scored.columns.iter().map(|column| match column.data_type() {
        DataType::Float32 => {
            let value = column.as_primitive::<arrow::datatypes::Float32Type>().value(row);
            format!("{:08x}", value.to_bits())
        }
        // Floats in lists are written so that they come back as they were.
        _ => format!("{:?}", column.slice(row, 1)),
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_row_has_the_same_bits_alone_and_in_any_batch() {
    for name in names() {
        let golden = golden(&name);
        let engine = engine(&name, &[]);
        let batch = batch(&golden);
        let together = engine.run(&batch).unwrap();
        // More rows than a block has, so that every row is at another place too.
        let copies = vec![batch.clone(); 30];
        let many = arrow::compute::concat_batches(batch.schema_ref(), &copies).unwrap();
        let many = many.slice(1, many.num_rows() - 1);
        let shifted = engine.run(&many).unwrap();
        for row in 1..batch.num_rows() {
            let alone = engine.run(&batch.slice(row, 1)).unwrap();
            let wanted = bits(&together, row);
            assert_eq!(bits(&alone, 0), wanted, "{name}: row {row} alone");
            for copy in [0, 13, 28] {
                let at = copy * batch.num_rows() + row - 1;
                assert_eq!(bits(&shifted, at), wanted, "{name}: row {row} at {at}");
            }
            let is_rejected = |scored: &Scored, row| scored.rejects.iter().any(|it| it.row == row);
            assert_eq!(is_rejected(&alone, 0), is_rejected(&together, row), "{name}: row {row}");
        }
    }
}

fn reasons(scored: &Scored) -> Vec<(usize, RejectReason, Option<&str>)> {
    let reason = |it: &'_ crate::reject::RowReject| (it.row, it.reason);
    let named = scored.rejects.iter().map(|it| {
        let (row, why) = reason(it);
        (row, why, it.column.as_deref())
    });
    named.collect()
}

#[test]
fn a_missing_value_is_a_reject_unless_the_trees_have_a_rule_for_it() {
    let numbers = |values: &[Option<f64>]| -> ArrayRef {
        Arc::new(values.iter().copied().collect::<Float64Array>())
    };
    let rows = |first: ArrayRef| {
        let rest = numbers(&[Some(0.5); 5]);
        let columns = [("a", first), ("b", rest.clone()), ("c", rest.clone()), ("d", rest)];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let values = [Some(1.0), None, Some(f64::NAN), Some(f64::INFINITY), Some(1e300)];
    let batch = rows(numbers(&values));
    use RejectReason::{BadValue, MissingValue, NotFinite};
    let infinite = [(3, NotFinite, Some("a")), (4, NotFinite, Some("a"))];
    for name in ["xgboost-two", "lightgbm-amount", "histogram-three", "polynomial"] {
        assert_eq!(reasons(&engine(name, &[]).run(&batch).unwrap()), infinite, "{name}");
    }
    let strict =
        [&[(1, MissingValue, Some("a")), (2, NotFinite, Some("a"))][..], &infinite[..]].concat();
    for name in ["logistic-two", "perceptron-two", "forest-two", "network"] {
        let scored = engine(name, &[]).run(&batch).unwrap();
        assert_eq!(reasons(&scored), strict, "{name}");
    }
    let text: ArrayRef =
        Arc::new(StringArray::from_iter([Some("1"), None, Some(" "), Some("x"), Some("nan")]));
    let scored = engine("xgboost-two", &[]).run(&rows(text)).unwrap();
    assert_eq!(reasons(&scored), [(3, BadValue, Some("a"))]);
}

#[test]
fn columns_of_every_kind_are_read_and_refused_as_the_graph_declares_them() {
    let engine = engine("columns-error", &[]);
    let golden = golden("columns-error");
    let good = batch(&golden);
    let with = |name: &str, array: ArrayRef| {
        let columns =
            good.schema_ref().fields().iter().zip(good.columns()).map(|(field, column)| {
                let column = if field.name() == name { array.clone() } else { column.slice(0, 4) };
                (field.name().clone(), column)
            });
        RecordBatch::try_from_iter(columns).unwrap()
    };
    use RejectReason::{BadValue, MissingValue, UnknownCategory};
    let texts = |texts: [Option<&str>; 4]| -> ArrayRef { Arc::new(StringArray::from_iter(texts)) };
    let scored =
        engine.run(&with("stops", texts([Some("1"), None, Some("1.5"), Some("x")]))).unwrap();
    let wanted = [
        (1, MissingValue, Some("stops")),
        (2, BadValue, Some("stops")),
        (3, BadValue, Some("stops")),
    ];
    assert_eq!(reasons(&scored), wanted);
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 1.5, f64::NAN]));
    let scored = engine.run(&with("stops", floats)).unwrap();
    assert_eq!(reasons(&scored), [(2, BadValue, Some("stops")), (3, BadValue, Some("stops"))]);
    let scored =
        engine.run(&with("carrier", texts([Some("AA"), None, Some("ZZ"), Some("B6")]))).unwrap();
    assert_eq!(reasons(&scored), [(1, MissingValue, Some("carrier")), (2, UnknownCategory, None)]);
    // Placeholders stand where rows are rejected.
    assert_eq!(found(&engine, &scored, "output_label", 1), ["".into()] as [Value; 1]);
    let dates: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![1, 2, 3, 4]));
    let error = engine.check_input(with("stops", dates).schema_ref()).unwrap_err();
    assert!(error.to_string().contains("column `stops` has type Date32"), "{error}");
    let error = engine.run(&good.project(&[0, 1]).unwrap()).unwrap_err();
    assert!(error.to_string().contains("the input has no column"), "{error}");
}

#[test]
fn outputs_are_named_after_the_graph_and_its_labels() {
    let names = |model: &str, outputs: &[&str]| -> Vec<(String, String)> {
        let engine = engine(model, outputs);
        let fields = engine.output_fields().iter();
        fields.map(|field| (field.name().clone(), field.data_type().to_string())).collect()
    };
    let wanted = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    };
    let all = names("columns-ignore", &[]);
    let own = wanted(&[
        ("output_label", "Utf8"),
        ("output_probability_late", "Float32"),
        ("output_probability_on time", "Float32"),
    ]);
    assert_eq!(all, own);
    assert_eq!(names("columns-ignore", &["output_label"]), own[..1]);
    let list = names("forest-three", &["probabilities", "label"]);
    assert!(list[0].1.starts_with("FixedSizeList(3"), "{list:?}");
    assert_eq!(list[1], ("label".to_owned(), "Int64".to_owned()));
    assert_eq!(names("xgboost-amount", &[]), wanted(&[("variable", "Float32")]));
}
