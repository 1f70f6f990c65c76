//! The committed model is the one that the README describes, and its figures still hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::Int64Type;
use candle_core::safetensors;
use nightshift_train_flights::flights::{landed, read_days};
use nightshift_train_flights::results::{MODEL, Results, measure, table};
use nightshift_train_flights::scorer::Scorer;
use nightshift_train_flights::split::JANUARY;
use nightshift_worker::engine::tabular::Config;

/// How far a metric may move when the same weights are summed in another order.
const METRIC_TOLERANCE: f64 = 1e-4;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn model() -> PathBuf {
    example().join("models/delay-mlp")
}

fn results() -> Results {
    Results::read(&example().join("results.json")).unwrap()
}

/// All committed flights, those that never landed too.
fn january() -> RecordBatch {
    let days = read_days(&example().join("data")).unwrap();
    assert_eq!(days.len(), 14);
    let batches: Vec<&RecordBatch> = days.iter().map(|day| &day.flights).collect();
    arrow::compute::concat_batches(&batches[0].schema(), batches).unwrap()
}

fn with_column(flights: &RecordBatch, name: &str, column: Arc<dyn Array>) -> RecordBatch {
    let mut columns = flights.columns().to_vec();
    columns[flights.schema().index_of(name).unwrap()] = column;
    RecordBatch::try_new(flights.schema(), columns).unwrap()
}

#[test]
fn the_weights_match_the_configuration_and_are_small() {
    let config = fs::read(model().join("config.json")).unwrap();
    let config: Config = serde_json::from_slice(&config).unwrap();
    let tensors = safetensors::load(model().join("model.safetensors"), &candle_core::Device::Cpu);
    let tensors = tensors.unwrap();
    for wanted in config.tensors() {
        assert_eq!(tensors[&wanted.name].dims(), wanted.shape, "{}", wanted.name);
    }
    assert_eq!(tensors.len(), config.tensors().len());
    let size_bytes: u64 =
        fs::read_dir(model()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(size_bytes < 200_000, "the model has {size_bytes} bytes");
}

#[test]
fn the_model_reads_nothing_known_only_after_landing() {
    let scorer = Scorer::load(&model()).unwrap();
    assert_eq!(
        scorer.columns(),
        ["dep_delay", "distance", "carrier", "origin", "dest", "sched_dep_time"]
    );
}

#[test]
fn every_flight_is_scored_even_one_that_never_left() {
    let scorer = Scorer::load(&model()).unwrap();
    let flights = january();
    let never_left = flights["dep_delay"].null_count();
    assert_eq!((flights.num_rows(), never_left), (12_208, 82));
    let predicted = scorer.predict(&flights).unwrap();
    assert!(predicted.arr_delay.iter().all(|minutes| minutes.is_finite()));
    assert!(predicted.late.iter().all(|p| (0.0..=1.0).contains(p)));
}

#[test]
fn the_results_for_january_still_hold_and_beat_both_baselines() {
    let scorer = Scorer::load(&model()).unwrap();
    let flights = landed(&read_days(&example().join("data")).unwrap()).unwrap();
    let results = results();
    let mut found = Vec::new();
    for (predictor, predicted) in results.baselines.predict(&flights).unwrap() {
        found.push(measure(JANUARY, predictor, &predicted, &flights).unwrap());
    }
    let predicted = scorer.predict(&flights).unwrap();
    found.push(measure(JANUARY, MODEL, &predicted, &flights).unwrap());
    let written: Vec<_> = results.measured.iter().filter(|one| one.days == JANUARY).collect();
    assert_eq!(written.len(), found.len());
    for (written, found) in written.iter().zip(&found) {
        assert_eq!((&written.predictor, written.flights), (&found.predictor, found.flights));
        let metrics = |one: &nightshift_train_flights::results::Measured| {
            [one.mae, one.rmse, one.auc, one.log_loss]
        };
        for (written, now) in metrics(written).into_iter().zip(metrics(found)) {
            assert!((written - now).abs() < METRIC_TOLERANCE, "{written} is now {now}");
        }
    }
}

#[test]
fn the_model_beats_both_baselines_on_every_set_of_held_out_days() {
    let results = results();
    for set in results.measured.chunks(3) {
        let [mean, line, model] = set else { panic!("{set:?}") };
        assert_eq!(model.predictor, MODEL);
        for baseline in [mean, line] {
            assert!(model.mae < baseline.mae, "{model:?} {baseline:?}");
            assert!(model.rmse < baseline.rmse, "{model:?} {baseline:?}");
            assert!(model.auc > baseline.auc, "{model:?} {baseline:?}");
            assert!(model.log_loss < baseline.log_loss, "{model:?} {baseline:?}");
        }
    }
}

#[test]
fn the_readme_shows_the_results() {
    let readme = fs::read_to_string(example().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("<!-- results -->\n").unwrap();
    let (shown, _) = rest.split_once("<!-- /results -->").unwrap();
    assert_eq!(shown.trim(), table(&results().measured).trim());
}

#[test]
fn predictions_follow_the_inputs() {
    let scorer = Scorer::load(&model()).unwrap();
    let flights = january().slice(0, 500);
    let predict = |flights: &RecordBatch| scorer.predict(flights).unwrap();
    let as_is = predict(&flights);
    let rows = flights.num_rows();
    let two_hours = Arc::new(Int32Array::from(vec![120; rows]));
    let delayed = predict(&with_column(&flights, "dep_delay", two_hours));
    let later = as_is.arr_delay.iter().zip(&delayed.arr_delay).filter(|(a, b)| b > a).count();
    // 500 flights of New Year's Day hold only a handful that left more than two hours late.
    assert!(later > 480, "only {later} of {rows} arrive later after leaving two hours late");
    assert!(delayed.late.iter().all(|&p| p > 0.9));

    let text = |value: &str| Arc::new(StringArray::from(vec![value; rows])) as Arc<dyn Array>;
    let times = flights["sched_dep_time"].clone();
    let rotated: UInt64Array = (0..rows as u64).rev().collect();
    let rotated = arrow::compute::take(&times, &rotated, None).unwrap();
    let changes = [
        ("carrier", text("HA")),
        ("origin", text("EWR")),
        ("dest", text("nowhere")),
        ("distance", Arc::new(Int32Array::from(vec![2_000; rows])) as Arc<dyn Array>),
        ("sched_dep_time", rotated),
    ];
    for (column, values) in changes {
        let changed = predict(&with_column(&flights, column, values));
        let moved = |a: &[f64], b: &[f64]| a.iter().zip(b).filter(|(a, b)| a != b).count();
        assert!(moved(&as_is.arr_delay, &changed.arr_delay) > rows / 2, "{column}");
        assert!(moved(&as_is.late, &changed.late) > rows / 2, "{column}");
    }
}

#[test]
fn the_committed_flights_have_unique_ids() {
    let flights = january();
    let mut ids = flights["flight_id"].as_primitive::<Int64Type>().values().to_vec();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), flights.num_rows());
    assert_eq!(flights["flight_id"].null_count(), 0);
}
