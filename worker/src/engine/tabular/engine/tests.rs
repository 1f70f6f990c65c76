use arrow::array::{Array, AsArray, Float64Array};
use arrow::datatypes::Float32Type;
use candle_core::Device;
use proptest::prelude::*;

use super::*;
use crate::engine::tabular::reference::{Inputs, Prediction, Reference};
use crate::engine::tabular::samples::{
    Flight, batch, categorical, class, flight, flights, model, numeric, regression,
};
use crate::engine::tabular::{Activation, Layer, Unknown};

const ACTIVATIONS: [Activation; 4] =
    [Activation::Relu, Activation::Gelu, Activation::Tanh, Activation::Identity];

/// A row's results as bits, or why it has none.
type Row = Result<Vec<String>, RejectReason>;

fn rows(scored: &Scored) -> Vec<Row> {
    let len = scored.columns[0].len();
    let cell = |column: &ArrayRef, row: usize| match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        _ => format!("{:08x}", column.as_primitive::<Float32Type>().value(row).to_bits()),
    };
    let reason = |row| scored.rejects.iter().find(|reject| reject.row == row);
    (0..len)
        .map(|row| match reason(row) {
            Some(reject) => Err(reject.reason),
            None => Ok(scored.columns.iter().map(|column| cell(column, row)).collect()),
        })
        .collect()
}

fn check_shape(engine: &TabularEngine, scored: &Scored, len: usize) {
    for (field, column) in engine.output_fields().iter().zip(&scored.columns) {
        assert_eq!((column.len(), column.null_count()), (len, 0), "{field}");
        assert_eq!(field.data_type(), column.data_type());
        assert!(!field.is_nullable());
    }
    assert_eq!(engine.output_fields().len(), scored.columns.len());
    assert!(scored.rejects.is_sorted_by(|a, b| a.row < b.row), "{:?}", scored.rejects);
    for reject in &scored.rejects {
        for column in &scored.columns {
            match column.data_type() {
                DataType::Utf8 => assert_eq!(column.as_string::<i32>().value(reject.row), ""),
                _ => assert_eq!(column.as_primitive::<Float32Type>().value(reject.row), 0.0),
            }
        }
    }
}

/// Agreement to 1e-5 of the larger of the two and of the units of the output.
fn close(a: f32, b: f32, unit: f32) -> bool {
    (a - b).abs() <= 1e-5 * a.abs().max(b.abs()).max(unit)
}

/// Compares every scored row with what candle computes.
fn check_against_candle(model: &Model, batch: &RecordBatch) {
    let engine = TabularEngine::new(model).unwrap();
    let scored = engine.run(batch).unwrap();
    check_shape(&engine, &scored, batch.num_rows());
    let features = Featurizer::new(model.config()).unwrap().featurize(batch).unwrap();
    assert_eq!(features.rejects, scored.rejects);
    let reference = Reference::new(model.config(), model.tensors()).unwrap();
    let inputs = Inputs::new(&features, &Device::Cpu).unwrap();
    let logits = reference.logits(&inputs).unwrap();
    let mut columns = scored.columns.iter();
    let floats =
        |column: Option<&ArrayRef>| column.unwrap().as_primitive::<Float32Type>().values().to_vec();
    let predictions = reference.predictions(&logits).unwrap();
    for (prediction, output) in predictions.iter().zip(&model.config().outputs) {
        let accepted = features.accepted();
        match (prediction, output) {
            (Prediction::Regression(expected), Output::Regression(output)) => {
                let (found, expected) =
                    (floats(columns.next()), expected.to_vec1::<f32>().unwrap());
                for row in accepted.into_iter().map(|row| row as usize) {
                    let (found, expected) = (found[row], expected[row]);
                    assert!(close(found, expected, output.scale as f32), "{found} {expected}");
                }
            }
            (Prediction::Class(expected), Output::Class(output)) => {
                let expected = expected.to_vec2::<f32>().unwrap();
                let labels = (output.labels.len() > 1).then(|| columns.next().unwrap().clone());
                let found: Vec<_> = output.labels.iter().map(|_| floats(columns.next())).collect();
                for row in accepted.into_iter().map(|row| row as usize) {
                    for (label, found) in found.iter().enumerate() {
                        let (found, expected) = (found[row], expected[row][label]);
                        assert!(close(found, expected, 1e-2), "{found} {expected}");
                    }
                    let Some(labels) = &labels else { continue };
                    let label = labels.as_string::<i32>().value(row);
                    let label = output.labels.iter().position(|known| known == label).unwrap();
                    let most = found.iter().map(|found| found[row]).fold(0.0, f32::max);
                    assert!(close(found[label][row], most, 0.0), "not the likeliest label");
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_row_has_the_same_bits_alone_in_any_batch_and_on_any_instruction_set(
        rows_in in proptest::collection::vec(flight(), 1..200),
        cuts in proptest::collection::vec(0..200_usize, 0..6),
        activation in 0..4_usize,
        seed in any::<u64>(),
    ) {
        let model = model(&flights(ACTIVATIONS[activation]), seed);
        let whole = batch(&rows_in);
        let engines = TabularEngine::for_each_instruction_set(&model).unwrap();
        let scored = engines[0].run(&whole).unwrap();
        check_shape(&engines[0], &scored, rows_in.len());
        let expected = rows(&scored);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % rows_in.len()).collect();
        cuts.extend([0, rows_in.len()]);
        cuts.sort_unstable();
        for engine in &engines {
            prop_assert_eq!(&rows(&engine.run(&whole).unwrap()), &expected);
            // Both slices, whose buffers begin anywhere, and batches of their own.
            let mut sliced = Vec::new();
            let mut copied = Vec::new();
            for cut in cuts.windows(2) {
                let part = whole.slice(cut[0], cut[1] - cut[0]);
                sliced.extend(rows(&engine.run(&part).unwrap()));
                copied.extend(rows(&engine.run(&batch(&rows_in[cut[0]..cut[1]])).unwrap()));
            }
            prop_assert_eq!(&sliced, &expected);
            prop_assert_eq!(&copied, &expected);
        }
        let alone: Vec<Row> = rows_in.iter()
            .flat_map(|row| rows(&engines[0].run(&batch(std::slice::from_ref(row))).unwrap()))
            .collect();
        prop_assert_eq!(&alone, &expected);
    }

    #[test]
    fn agrees_with_candle(
        rows in proptest::collection::vec(flight(), 1..150),
        activation in 0..4_usize,
        seed in any::<u64>(),
    ) {
        check_against_candle(&model(&flights(ACTIVATIONS[activation]), seed), &batch(&rows));
    }
}

fn one(dep_delay: f64) -> Flight {
    Flight {
        dep_delay: Some(dep_delay),
        carrier: Some("UA".into()),
        time_hour: Some(1_357_016_400),
        origin: Some("EWR".into()),
        distance: Some(1400),
    }
}

#[test]
fn sizes_around_a_panel_and_a_block_agree_with_candle() {
    let features = || vec![numeric("distance", None), numeric("dep_delay", Some(1.0))];
    let layer = |units| Layer { units, activation: Activation::Relu };
    let flights: Vec<Flight> = (0..130).map(|i| one(f64::from(i) * 3.0 - 100.0)).collect();
    for widths in [vec![], vec![1], vec![3, 4, 5], vec![8, 1, 16, 2], vec![70]] {
        for labels in [2, 3, 4, 5, 9] {
            let labels: Vec<String> = (0..labels).map(|label| format!("l{label}")).collect();
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let outputs = vec![class("c", &labels), regression("y")];
            let layers = widths.iter().map(|&units| layer(units)).collect();
            let model = model(&Config::new(features(), layers, outputs), 5);
            for len in [1, 63, 64, 65, 130] {
                check_against_candle(&model, &batch(&flights[..len]));
            }
        }
    }
}

#[test]
fn categories_alone_make_a_model() {
    let features = vec![categorical("carrier", &["UA"], Unknown::Other)];
    let model = model(&Config::new(features, vec![], vec![regression("y")]), 1);
    check_against_candle(&model, &batch(&[one(1.0), one(2.0)]));
}

#[test]
fn a_batch_without_rows_has_results_without_rows() {
    let engine = TabularEngine::new(&model(&flights(Activation::Relu), 1)).unwrap();
    let scored = engine.run(&batch(&[])).unwrap();
    check_shape(&engine, &scored, 0);
}

#[test]
fn a_result_that_is_not_finite_rejects_its_row_only() {
    let mut config = flights(Activation::Identity);
    config.features.retain(|feature| feature.name() == "dep_delay");
    config.layers.truncate(1);
    let engine = TabularEngine::new(&model(&config, 3)).unwrap();
    let scored = engine.run(&batch(&[one(1.0), one(1.3e40), one(2.0)])).unwrap();
    check_shape(&engine, &scored, 3);
    let reasons: Vec<_> = scored.rejects.iter().map(|reject| (reject.row, reject.reason)).collect();
    assert_eq!(reasons, [(1, RejectReason::ResultNotFinite)]);
    assert!(scored.rejects[0].detail.contains("arr_delay is"), "{:?}", scored.rejects);
}

#[test]
fn fields_are_named_after_outputs_and_labels() {
    let engine = TabularEngine::new(&model(&flights(Activation::Relu), 1)).unwrap();
    let fields: Vec<String> =
        engine.output_fields().iter().map(|f| format!("{}: {}", f.name(), f.data_type())).collect();
    assert_eq!(
        fields,
        [
            "arr_delay: Float32",
            "late: Float32",
            "size: Utf8",
            "size_s: Float32",
            "size_m: Float32",
            "size_l: Float32"
        ]
    );
    let columns: Vec<_> = engine.input_columns().iter().map(|c| (&*c.name, c.accepts)).collect();
    use crate::engine::ColumnRole::{Moment, Number, Text};
    assert_eq!(
        columns,
        [
            ("dep_delay", Number),
            ("carrier", Text),
            ("time_hour", Moment),
            ("origin", Text),
            ("distance", Number)
        ]
    );
    // Tables of 4 × 3 and 3 × 3, layers padded to 16, 8 and 8 units.
    let inputs = 2 + 3 + 8 + 3 + 1;
    let numbers = 12 + 9 + 16 * (inputs + 1) + 8 * (13 + 1) + 8 * (6 + 1);
    assert_eq!(engine.weights_bytes(), 4 * numbers);
}

#[test]
fn a_missing_column_is_named_with_the_columns_that_there_are() {
    let engine = TabularEngine::new(&model(&flights(Activation::Relu), 1)).unwrap();
    let whole = batch(&[one(1.0)]);
    assert!(engine.check_input(whole.schema_ref()).is_ok());
    let part = whole.project(&[0, 1, 3, 4]).unwrap();
    for error in
        [engine.check_input(part.schema_ref()).unwrap_err(), engine.run(&part).unwrap_err()]
    {
        assert_eq!(error.class(), crate::engine::ErrorClass::Configuration);
        let text = error.to_string();
        assert!(
            text.contains("`time_hour`") && text.contains("dep_delay, carrier, origin"),
            "{text}"
        );
    }
}

#[test]
fn a_column_of_a_wrong_type_is_named_with_both_types() {
    let engine = TabularEngine::new(&model(&flights(Activation::Relu), 1)).unwrap();
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    let whole = batch(&[one(1.0)]);
    for (field, column) in whole.schema().fields().iter().zip(whole.columns()) {
        columns.push((field.name().clone(), column.clone()));
    }
    columns[2].1 = Arc::new(Float64Array::from(vec![5.0]));
    let wrong = RecordBatch::try_from_iter(columns).unwrap();
    for error in
        [engine.check_input(wrong.schema_ref()).unwrap_err(), engine.run(&wrong).unwrap_err()]
    {
        let text = error.to_string();
        for part in ["`time_hour`", "Float64", "date, timestamp or ISO 8601 text"] {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[test]
fn threads_share_one_engine() {
    let engine = TabularEngine::new(&model(&flights(Activation::Gelu), 9)).unwrap();
    let flights: Vec<Flight> = (0..300).map(|i| one(f64::from(i))).collect();
    let batch = batch(&flights);
    let expected = rows(&engine.run(&batch).unwrap());
    std::thread::scope(|scope| {
        let run = || (0..10).map(|_| rows(&engine.run(&batch).unwrap())).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        for thread in threads {
            assert!(thread.join().unwrap().iter().all(|rows| *rows == expected));
        }
    });
}
