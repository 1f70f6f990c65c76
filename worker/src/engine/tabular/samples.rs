//! Models and batches for the tests of this engine.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampSecondArray,
};
use arrow::datatypes::Int32Type;
use candle_core::{Device, Tensor};
use proptest::prelude::*;

use super::*;

/// Weights that depend on `seed` only, of the size that training starts from.
pub(super) fn tensors(config: &Config, seed: u64) -> HashMap<String, Tensor> {
    let mut state = seed.wrapping_mul(2) | 1;
    let mut next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let tensor = |spec: TensorSpec| {
        let size = (spec.shape.last().copied().unwrap_or(1) as f32).sqrt().recip();
        let values: Vec<f32> = (0..spec.elements()).map(|_| size * next()).collect();
        (spec.name, Tensor::from_vec(values, spec.shape, &Device::Cpu).unwrap())
    };
    config.tensors().into_iter().map(tensor).collect()
}

/// `config` with the weights of `seed`, after a trip through files.
pub(super) fn model(config: &Config, seed: u64) -> Model {
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), config, &tensors(config, seed)).unwrap();
    Model::load(dir.path()).unwrap()
}

pub(super) fn numeric(name: &str, fill: Option<f64>) -> Feature {
    Feature::Numeric(NumericFeature {
        name: name.into(),
        mean: 12.5,
        scale: 40.0,
        fill,
        indicator: fill.is_some(),
    })
}

pub(super) fn categorical(name: &str, vocabulary: &[&str], unknown: Unknown) -> Feature {
    Feature::Categorical(CategoricalFeature {
        name: name.into(),
        vocabulary: vocabulary.iter().map(|&text| text.into()).collect(),
        embedding: 3,
        unknown,
    })
}

pub(super) fn datetime(name: &str, parts: &[DatetimePart], fill: Option<&str>) -> Feature {
    Feature::Datetime(DatetimeFeature {
        name: name.into(),
        parts: parts.to_vec(),
        fill: fill.map(Into::into),
    })
}

pub(super) fn regression(name: &str) -> Output {
    Output::Regression(RegressionOutput { name: name.into(), mean: 6.9, scale: 44.6 })
}

pub(super) fn class(name: &str, labels: &[&str]) -> Output {
    let labels = labels.iter().map(|&label| label.into()).collect();
    Output::Class(ClassOutput { name: name.into(), labels })
}

/// Every kind of feature, activation and output, in sizes that fill no panel.
pub(super) fn flights(activation: Activation) -> Config {
    use DatetimePart::{DayOfWeek, DayOfYear, Hour, Month};
    let features = vec![
        numeric("dep_delay", Some(0.0)),
        categorical("carrier", &["AA", "B6", "UA"], Unknown::Other),
        datetime("time_hour", &[Hour, DayOfWeek, Month, DayOfYear], Some("2013-07-01T12:00")),
        categorical("origin", &["EWR", "JFK", "LGA"], Unknown::Reject),
        numeric("distance", None),
    ];
    let layer = |units| Layer { units, activation };
    let outputs =
        vec![regression("arr_delay"), class("late", &["late"]), class("size", &["s", "m", "l"])];
    Config::new(features, vec![layer(13), layer(6)], outputs)
}

/// One row for [`flights`]; `None` is null.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) dep_delay: Option<f64>,
    pub(super) carrier: Option<String>,
    pub(super) time_hour: Option<i64>,
    pub(super) origin: Option<String>,
    pub(super) distance: Option<i64>,
}

/// Rows of which most can be scored, some are filled, some are rejected.
pub(super) fn flight() -> impl Strategy<Value = Flight> {
    let delay = prop_oneof![
        20 => (-100.0..300.0_f64).prop_map(Some),
        1 => Just(None),
        1 => Just(Some(f64::NAN)),
        1 => Just(Some(f64::NEG_INFINITY)),
        1 => Just(Some(1e300)),
    ];
    let carrier = proptest::option::weighted(0.9, "AA|B6|UA|ZZ");
    let time = proptest::option::weighted(0.95, -4_000_000_000_i64..4_000_000_000);
    let origin = prop_oneof![
        30 => "EWR|JFK|LGA".prop_map(Some),
        1 => Just(None),
        1 => Just(Some("XXX".to_owned())),
    ];
    let distance = proptest::option::weighted(0.95, -100_i64..200);
    (delay, carrier, time, origin, distance).prop_map(
        |(dep_delay, carrier, time_hour, origin, distance)| Flight {
            dep_delay,
            carrier,
            time_hour,
            origin,
            distance,
        },
    )
}

/// The batch of `flights`.
pub(super) fn batch(flights: &[Flight]) -> RecordBatch {
    let delay: Float64Array = flights.iter().map(|flight| flight.dep_delay).collect();
    let carrier: StringArray = flights.iter().map(|flight| flight.carrier.as_deref()).collect();
    let time: TimestampSecondArray = flights.iter().map(|flight| flight.time_hour).collect();
    let origin: DictionaryArray<Int32Type> =
        flights.iter().map(|flight| flight.origin.as_deref()).collect();
    let distance: Int64Array = flights.iter().map(|flight| flight.distance).collect();
    let columns: [(&str, ArrayRef, bool); 5] = [
        ("dep_delay", Arc::new(delay), true),
        ("carrier", Arc::new(carrier), true),
        ("time_hour", Arc::new(time), true),
        ("origin", Arc::new(origin), true),
        ("distance", Arc::new(distance), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}
