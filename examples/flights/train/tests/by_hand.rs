//! Three flights, from the bytes of the weights to the prediction, in plain arithmetic.
//!
//! Nothing of the engine and nothing of candle computes here: the file is taken apart, the inputs are
//! built and the layers are summed in the lines below, in f64. Only then is the engine asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::f64::consts::TAU;
use std::fs;
use std::path::Path;

use arrow::array::AsArray;
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use nightshift_train_flights::flights::read_days;
use nightshift_train_flights::scorer::Scorer;
use serde_json::Value;

/// Minutes, or units of probability, by which single precision may differ from double.
const TOLERANCE: f64 = 1e-3;

/// A committed row, copied by eye.
struct Flight {
    flight_id: i64,
    dep_delay: Option<f64>,
    distance: f64,
    carrier: &'static str,
    origin: &'static str,
    dest: &'static str,
    /// Scheduled departure: hour with minutes as a fraction, and day of the week from Monday, 0.
    hour: f64,
    day_of_week: f64,
}

const FLIGHTS: [Flight; 3] = [
    // Tuesday 1 January 2013, 05:15.
    Flight {
        flight_id: 1,
        dep_delay: Some(2.0),
        distance: 1400.0,
        carrier: "UA",
        origin: "EWR",
        dest: "IAH",
        hour: 5.25,
        day_of_week: 1.0,
    },
    // The same day, 18:35, and fourteen hours late: far outside most of what was learnt.
    Flight {
        flight_id: 152,
        dep_delay: Some(853.0),
        distance: 184.0,
        carrier: "MQ",
        origin: "JFK",
        dest: "BWI",
        hour: 18.0 + 35.0 / 60.0,
        day_of_week: 1.0,
    },
    // Sunday 6 January, 08:45: cancelled.
    Flight {
        flight_id: 5166,
        dep_delay: None,
        distance: 1092.0,
        carrier: "EV",
        origin: "EWR",
        dest: "MCI",
        hour: 8.75,
        day_of_week: 6.0,
    },
];

/// Name -> (shape, values) of a safetensors file: the length of a JSON header, the header, the values.
fn tensors(path: &Path) -> HashMap<String, (Vec<usize>, Vec<f64>)> {
    let bytes = fs::read(path).unwrap();
    let header_bytes = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (header, data) = bytes[8..].split_at(header_bytes);
    let header: HashMap<String, Value> = serde_json::from_slice(header).unwrap();
    let named = header.into_iter().filter(|(name, _)| name != "__metadata__");
    named
        .map(|(name, entry)| {
            assert_eq!(entry["dtype"], "F32");
            let integers = |key: &str| -> Vec<usize> {
                let list = entry[key].as_array().unwrap().iter();
                list.map(|n| n.as_u64().unwrap() as usize).collect()
            };
            let offsets = integers("data_offsets");
            let values = data[offsets[0]..offsets[1]].chunks_exact(4);
            let values = values.map(|x| f64::from(f32::from_le_bytes(x.try_into().unwrap())));
            (name, (integers("shape"), values.collect()))
        })
        .collect()
}

/// The minutes late and the probability of being late.
fn by_hand(model: &Path, flight: &Flight) -> (f64, f64) {
    let config: Value =
        serde_json::from_slice(&fs::read(model.join("config.json")).unwrap()).unwrap();
    let tensors = tensors(&model.join("model.safetensors"));
    let number = |value: &Value| value.as_f64().unwrap();

    let mut x = Vec::new();
    for feature in config["features"].as_array().unwrap() {
        let name = feature["name"].as_str().unwrap();
        let standardise = |x: f64| (x - number(&feature["mean"])) / number(&feature["scale"]);
        let text = match name {
            "dep_delay" => {
                let minutes = flight.dep_delay.unwrap_or_else(|| number(&feature["fill"]));
                x.push(standardise(minutes));
                x.push(if flight.dep_delay.is_none() { 1.0 } else { 0.0 });
                continue;
            }
            "distance" => {
                x.push(standardise(flight.distance));
                continue;
            }
            "sched_dep_time" => {
                for angle in [TAU * flight.hour / 24.0, TAU * flight.day_of_week / 7.0] {
                    x.extend([angle.sin(), angle.cos()]);
                }
                continue;
            }
            "carrier" => flight.carrier,
            "origin" => flight.origin,
            "dest" => flight.dest,
            other => panic!("the model reads `{other}`"),
        };
        let mut vocabulary = feature["vocabulary"].as_array().unwrap().iter();
        // Row 0 of the table is "other".
        let row = vocabulary.position(|known| known == text).map_or(0, |at| at + 1);
        let (shape, table) = &tensors[&format!("embeddings.{name}.weight")];
        x.extend(&table[row * shape[1]..(row + 1) * shape[1]]);
    }

    for layer in ["layers.0", "layers.1", "output"] {
        let (shape, weight) = &tensors[&format!("{layer}.weight")];
        let bias = &tensors[&format!("{layer}.bias")].1;
        assert_eq!(shape[1], x.len());
        x = (0..shape[0])
            .map(|unit| {
                let row = &weight[unit * shape[1]..(unit + 1) * shape[1]];
                let sum = bias[unit] + row.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>();
                if layer == "output" { sum } else { sum.max(0.0) }
            })
            .collect();
    }
    let regression = &config["outputs"][0];
    let minutes = x[0] * number(&regression["scale"]) + number(&regression["mean"]);
    (minutes, 1.0 / (1.0 + (-x[1]).exp()))
}

#[test]
fn the_engine_says_what_plain_arithmetic_says() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let model = example.join("models/delay-mlp");
    let days = read_days(&example.join("data")).unwrap();
    let flights =
        concat_batches(&days[0].flights.schema(), days.iter().map(|day| &day.flights)).unwrap();
    let ids = flights["flight_id"].as_primitive::<Int64Type>().values();
    let scorer = Scorer::load(&model).unwrap();
    let predicted = scorer.predict(&flights).unwrap();
    for flight in &FLIGHTS {
        let row = ids.iter().position(|&id| id == flight.flight_id).unwrap();
        let (minutes, late) = by_hand(&model, flight);
        let found = (predicted.arr_delay[row], predicted.late[row]);
        assert!(
            (found.0 - minutes).abs() < TOLERANCE && (found.1 - late).abs() < TOLERANCE,
            "flight {}: {found:?} is not {:?}",
            flight.flight_id,
            (minutes, late)
        );
    }
}
