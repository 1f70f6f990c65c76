use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
    DictionaryArray, Float16Array, Float32Array, Float64Array, Int8Array, Int32Array, Int64Array,
    LargeStringArray, NullArray, StringArray, StringViewArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{Int32Type, UInt8Type};
use proptest::prelude::*;

use super::*;
use crate::engine::tabular::Activation;
use crate::engine::tabular::config::{DatetimePart, Unknown};
use crate::engine::tabular::samples::{categorical, class, datetime, flight, flights, numeric};
use crate::reject::RejectReason::{self, *};

/// The features of one column.
fn featurize(feature: Feature, column: ArrayRef) -> Features {
    let config = Config::new(vec![feature], vec![], vec![class("late", &["late"])]);
    let featurizer = Featurizer::new(&config).unwrap();
    let batch = RecordBatch::try_from_iter_with_nullable([("x", column, true)]).unwrap();
    assert!(featurizer.check_input(batch.schema_ref()).is_ok());
    featurizer.featurize(&batch).unwrap()
}

fn reasons(features: &Features) -> Vec<(usize, RejectReason)> {
    features.rejects.iter().map(|reject| (reject.row, reject.reason)).collect()
}

/// The raw numbers behind standardised inputs.
fn raw(features: &Features) -> Vec<f32> {
    let raw = |row: &[f32]| (row[0] * 40.0 + 12.5).round();
    features.dense.chunks(features.dense_width).map(raw).collect()
}

#[test]
fn numbers_of_every_type_are_the_same_numbers() {
    let values = [Some(0), None, Some(1), Some(100)];
    let int8: ArrayRef = Arc::new(Int8Array::from(
        values.iter().map(|value| value.map(|value| value as i8)).collect::<Vec<_>>(),
    ));
    let words = vec![Some(" 0 "), None, Some("1.0"), Some("1e2")];
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(words.clone())),
        Arc::new(LargeStringArray::from(words.clone())),
        Arc::new(StringViewArray::from(words.clone())),
        Arc::new(words.iter().copied().collect::<DictionaryArray<Int32Type>>()),
        Arc::new(StringArray::from(vec!["0", " ", "1", "100"])),
    ];
    for kind in [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal32(5, 1),
        DataType::Decimal64(5, 1),
        DataType::Decimal128(9, 2),
        DataType::Decimal256(9, 2),
        DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::Int64)),
    ] {
        columns.push(cast(&int8, &kind).unwrap());
    }
    for column in columns {
        let kind = column.data_type().clone();
        let features = featurize(numeric("x", Some(7.0)), column.clone());
        assert_eq!(raw(&features), [0.0, 7.0, 1.0, 100.0], "{kind}");
        let indicator: Vec<f32> = features.dense.chunks(2).map(|row| row[1]).collect();
        assert_eq!(indicator, [0.0, 1.0, 0.0, 0.0], "{kind}");
        assert_eq!(reasons(&features), []);
        let features = featurize(numeric("x", None), column);
        assert_eq!(reasons(&features), [(1, MissingValue)], "{kind}");
    }
    let booleans = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]));
    assert_eq!(raw(&featurize(numeric("x", Some(7.0)), booleans)), [1.0, 7.0, 0.0]);
}

#[test]
fn standardisation_is_in_64_bits() {
    let feature = Feature::Numeric(crate::engine::tabular::config::NumericFeature {
        name: "x".into(),
        mean: 1e15,
        scale: 2.0,
        fill: None,
        indicator: false,
    });
    let features = featurize(feature, Arc::new(Int64Array::from(vec![1_000_000_000_000_003])));
    assert_eq!(features.dense, [1.5]);
}

#[test]
fn numbers_that_are_not_finite_are_filled_or_rejected() {
    let values = [1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300];
    let columns: [ArrayRef; 2] = [
        Arc::new(Float64Array::from(values.to_vec())),
        Arc::new(StringArray::from(vec!["1", "NaN", "inf", "-Infinity", "1e300", "-1e999"])),
    ];
    for column in columns {
        let features = featurize(numeric("x", Some(7.0)), column.clone());
        assert_eq!(raw(&features), [1.0, 7.0, 7.0, 7.0, 7.0, 7.0]);
        assert_eq!(reasons(&features), []);
        let features = featurize(numeric("x", None), column);
        assert_eq!(reasons(&features), (1..6).map(|row| (row, NotFinite)).collect::<Vec<_>>());
        assert_eq!(features.accepted(), [0]);
        assert_eq!(features.rejects[1].column.as_deref(), Some("x"));
        assert_eq!(features.rejects[1].detail, "inf");
    }
    let narrow = Arc::new(Float32Array::from(vec![f32::NAN, f32::MAX]));
    assert_eq!(reasons(&featurize(numeric("x", None), narrow)), [(0, NotFinite)]);
    let half = Arc::new(Float16Array::from(vec![half_nan()]));
    assert_eq!(reasons(&featurize(numeric("x", None), half)), [(0, NotFinite)]);
}

fn half_nan() -> <arrow::datatypes::Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native {
    cast(&(Arc::new(Float32Array::from(vec![f32::NAN])) as ArrayRef), &DataType::Float16)
        .unwrap()
        .as_primitive::<arrow::datatypes::Float16Type>()
        .value(0)
}

#[test]
fn text_that_is_no_number_is_rejected_even_where_there_is_a_fill() {
    let long = "9".repeat(300) + "x";
    let words = vec![Some("12a"), None, Some(""), Some("0x10"), Some(&long)];
    let columns: [ArrayRef; 2] = [
        Arc::new(StringArray::from(words.clone())),
        Arc::new(words.into_iter().collect::<DictionaryArray<UInt8Type>>()),
    ];
    for column in columns {
        let features = featurize(numeric("x", Some(7.0)), column);
        assert_eq!(reasons(&features), [(0, BadValue), (3, BadValue), (4, BadValue)]);
        assert_eq!(features.rejects[0].detail, "12a");
        assert_eq!(features.rejects[2].detail.len(), crate::reject::DETAIL_MAX_CHARS);
    }
}

#[test]
fn a_column_without_any_value_is_missing_in_every_row() {
    let column = || Arc::new(NullArray::new(3)) as ArrayRef;
    let all = [(0, MissingValue), (1, MissingValue), (2, MissingValue)];
    assert_eq!(reasons(&featurize(numeric("x", None), column())), all);
    assert_eq!(reasons(&featurize(numeric("x", Some(1.0)), column())), []);
    assert_eq!(reasons(&featurize(categorical("x", &["a"], Unknown::Reject), column())), all);
    let features = featurize(categorical("x", &["a"], Unknown::Other), column());
    assert_eq!((reasons(&features), features.categories), (vec![], vec![vec![0, 0, 0]]));
    assert_eq!(reasons(&featurize(datetime("x", &[DatetimePart::Hour], None), column())), all);
}

#[test]
fn categories_are_found_in_every_type_of_text() {
    let long = "a category of more than sixteen bytes";
    let words = vec![Some("AA"), Some("?"), None, Some(long), Some("AA")];
    let dictionary: DictionaryArray<Int32Type> = words.iter().copied().collect();
    // Entries may be null, and most of them unused.
    let entries = StringArray::from(vec![Some("?"), None, Some(long), Some("AA")]);
    let keys = Int32Array::from(vec![3, 0, 1, 2, 3]);
    let odd = DictionaryArray::new(keys, Arc::new(entries));
    let many = StringArray::from_iter_values((0..500).map(|i| if i == 99 { "AA" } else { "?" }));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(words.clone())),
        Arc::new(LargeStringArray::from(words.clone())),
        Arc::new(StringViewArray::from(words.clone())),
        Arc::new(dictionary),
        Arc::new(odd),
    ];
    for column in columns {
        let kind = column.data_type().clone();
        let features = featurize(categorical("x", &[long, "AA"], Unknown::Other), column.clone());
        assert_eq!(features.categories, [[2, 0, 0, 1, 2]], "{kind}");
        assert_eq!(reasons(&features), []);
        let features = featurize(categorical("x", &[long, "AA"], Unknown::Reject), column);
        assert_eq!(features.categories, [[1, 0, 0, 0, 1]], "{kind}");
        assert_eq!(reasons(&features), [(1, UnknownCategory), (2, MissingValue)], "{kind}");
        assert_eq!(features.rejects[0].detail, "?");
    }
    let large =
        DictionaryArray::new(Int32Array::from(vec![Some(99), Some(98), None]), Arc::new(many));
    let features = featurize(categorical("x", &["AA"], Unknown::Reject), Arc::new(large));
    assert_eq!(reasons(&features), [(1, UnknownCategory), (2, MissingValue)]);
    let none: DictionaryArray<Int32Type> = [None::<&str>, None].into_iter().collect();
    let features = featurize(categorical("x", &["AA"], Unknown::Reject), Arc::new(none));
    assert_eq!(reasons(&features), [(0, MissingValue), (1, MissingValue)]);
}

#[test]
fn integers_and_booleans_are_categories_by_their_text() {
    let feature = || categorical("x", &["7", "-1", "true", "18446744073709551615"], Unknown::Other);
    let column = Arc::new(Int64Array::from(vec![Some(7), Some(-1), Some(1), None]));
    assert_eq!(featurize(feature(), column).categories, [[1, 2, 0, 0]]);
    let column = Arc::new(UInt64Array::from(vec![7, u64::MAX]));
    assert_eq!(featurize(feature(), column).categories, [[1, 4]]);
    let column = Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]));
    assert_eq!(featurize(feature(), column).categories, [[3, 0, 0]]);
}

#[test]
fn moments_of_every_type_have_the_same_angles() {
    use DatetimePart::{DayOfWeek, DayOfYear, Hour, Month};
    // 2013-03-01T06:30:59Z, a Friday, day 60 of the year; and 1969-12-31, day 365.
    let seconds = [1_362_119_459, -86_400];
    let scaled = |factor: i64| seconds.map(|second: i64| second * factor).to_vec();
    let words = ["2013-03-01T06:30:59", "1969-12-31"];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampSecondArray::from(scaled(1))),
        Arc::new(TimestampMillisecondArray::from(scaled(1_000)).with_timezone("America/New_York")),
        Arc::new(TimestampMicrosecondArray::from(scaled(1_000_000))),
        Arc::new(TimestampNanosecondArray::from(scaled(1_000_000_000))),
        Arc::new(Date64Array::from(scaled(1_000))),
        Arc::new(StringArray::from(words.to_vec())),
        Arc::new(words.into_iter().collect::<DictionaryArray<Int32Type>>()),
    ];
    let place = |part: f64, whole: f64| (std::f64::consts::TAU * part / whole).sin_cos();
    let row = |hour, weekday, month, day| {
        let places =
            [place(hour, 24.0), place(weekday, 7.0), place(month, 12.0), place(day, 366.0)];
        places.into_iter().flat_map(|(sin, cos)| [sin as f32, cos as f32]).collect::<Vec<_>>()
    };
    let expected = [row(6.5, 4.0, 2.0, 59.0), row(0.0, 2.0, 11.0, 364.0)].concat();
    for column in columns {
        let kind = column.data_type().clone();
        let features = featurize(datetime("x", &[Hour, DayOfWeek, Month, DayOfYear], None), column);
        for (found, expected) in features.dense.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-6, "{kind}: {:?} {expected:?}", features.dense);
        }
    }
    let days = Arc::new(Date32Array::from(vec![15_765, -1]));
    let features = featurize(datetime("x", &[DayOfYear], None), days);
    for (found, expected) in features.dense.iter().zip([&expected[6..8], &expected[14..]].concat())
    {
        assert!((found - expected).abs() < 1e-6);
    }
}

#[test]
fn missing_moments_are_filled_or_rejected_and_bad_ones_rejected() {
    let words =
        Arc::new(StringArray::from(vec![Some("2013-01-01"), None, Some(" "), Some("1/1/13")]));
    let parts = [DatetimePart::Month];
    let features = featurize(datetime("x", &parts, Some("2013-07-04")), words.clone());
    assert_eq!(reasons(&features), [(3, BadValue)]);
    assert_eq!(features.rejects[0].detail, "1/1/13");
    assert!((features.dense[3] + 1.0).abs() < 1e-6 && features.dense[2..4] == features.dense[4..6]);
    let features = featurize(datetime("x", &parts, None), words);
    assert_eq!(reasons(&features), [(1, MissingValue), (2, MissingValue), (3, BadValue)]);
    let extremes = Arc::new(TimestampSecondArray::from(vec![i64::MIN, i64::MAX, 0]));
    assert!(featurize(datetime("x", &parts, None), extremes).dense.iter().all(|x| x.is_finite()));
}

#[test]
fn types_that_hold_no_such_value_are_refused() {
    use DataType::{Boolean, Date32, Float32, Float64, Int64};
    let refused = [
        (numeric("x", None), Date32),
        (numeric("x", None), DataType::Binary),
        (categorical("x", &["a"], Unknown::Reject), Float64),
        (categorical("x", &["a"], Unknown::Reject), Date32),
        (datetime("x", &[DatetimePart::Hour], None), Int64),
        (datetime("x", &[DatetimePart::Hour], None), Boolean),
        (numeric("x", None), DataType::new_list(Float32, true)),
    ];
    for (feature, kind) in refused {
        let config = Config::new(vec![feature], vec![], vec![class("late", &["late"])]);
        let featurizer = Featurizer::new(&config).unwrap();
        let column = arrow::array::new_empty_array(&kind);
        let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
        assert!(featurizer.check_input(batch.schema_ref()).is_err(), "{kind}");
        assert!(featurizer.featurize(&batch).is_err(), "{kind}");
    }
}

#[test]
fn a_row_with_several_faults_is_rejected_once_for_the_first_feature() {
    let config = Config::new(
        vec![numeric("a", None), categorical("b", &["x"], Unknown::Reject)],
        vec![],
        vec![class("late", &["late"])],
    );
    let columns: [(&str, ArrayRef); 2] = [
        ("b", Arc::new(StringArray::from(vec![Some("y"), None, Some("x")]))),
        ("a", Arc::new(Float64Array::from(vec![Some(1.0), None, Some(f64::NAN)]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let features = Featurizer::new(&config).unwrap().featurize(&batch).unwrap();
    let columns: Vec<_> = features.rejects.iter().map(|r| r.column.as_deref().unwrap()).collect();
    assert_eq!(columns, ["b", "a", "a"]);
    assert_eq!(reasons(&features), [(0, UnknownCategory), (1, MissingValue), (2, NotFinite)]);
    assert_eq!(features.dense[1..], [0.0, 0.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_slice_has_the_features_of_its_rows(
        rows in proptest::collection::vec(flight(), 1..180),
        at in 0..180_usize,
    ) {
        let featurizer = Featurizer::new(&flights(Activation::Relu)).unwrap();
        let batch = crate::engine::tabular::samples::batch(&rows);
        let at = at % rows.len();
        let whole = featurizer.featurize(&batch).unwrap();
        let head = featurizer.featurize(&batch.slice(0, at)).unwrap();
        let tail = featurizer.featurize(&batch.slice(at, rows.len() - at)).unwrap();
        prop_assert_eq!(&whole.dense, &[head.dense, tail.dense].concat());
        for (index, codes) in whole.categories.iter().enumerate() {
            prop_assert_eq!(codes, &[&*head.categories[index], &*tail.categories[index]].concat());
        }
        let mut rejects = head.rejects;
        rejects.extend(tail.rejects.into_iter().map(|mut reject| {
            reject.row += at;
            reject
        }));
        prop_assert_eq!(whole.rejects, rejects);
    }
}

#[test]
fn decimals_keep_their_point() {
    let column = Decimal128Array::from(vec![1250, 5250]).with_precision_and_scale(9, 2).unwrap();
    assert_eq!(featurize(numeric("x", None), Arc::new(column)).dense, [0.0, 1.0]);
}
