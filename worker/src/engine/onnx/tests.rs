//! Models of `tests/onnx` against what onnxruntime made of them, and files that are hostile.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::engine::{Engine, Scored};
use crate::reject::RejectReason;
use nightshift_core::plan::OnnxSettings;

mod hostile;
mod rows;

/// What the script that made the models wrote beside each.
#[derive(Debug, Deserialize)]
struct Golden {
    columns: Vec<String>,
    table: BTreeMap<String, Vec<Value>>,
    outputs: BTreeMap<String, Vec<Vec<Value>>>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/onnx/models")
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(folder().join(name).with_extension("onnx")).unwrap()
}

fn golden(name: &str) -> Golden {
    let text = fs::read(folder().join(name).with_extension("json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Names of all models.
fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let onnx = entries.filter(|path| path.extension().is_some_and(|end| end == "onnx"));
    let mut names: Vec<String> =
        onnx.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert!(names.len() > 30, "the models are there");
    names
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_f64(),
    }
}

/// The table of a golden; NaN is null.
fn batch(golden: &Golden) -> RecordBatch {
    let column = |values: &Vec<Value>| -> ArrayRef {
        let is_number = |value: &Value| number(value).is_some();
        if values.iter().all(|value| value.is_i64()) {
            return Arc::new(Int64Array::from_iter_values(
                values.iter().map(|x| x.as_i64().unwrap()),
            ));
        }
        if values.iter().all(is_number) {
            let value = |value: &Value| number(value).filter(|x| !x.is_nan());
            return Arc::new(values.iter().map(value).collect::<Float64Array>());
        }
        Arc::new(StringArray::from_iter_values(values.iter().map(|x| x.as_str().unwrap())))
    };
    let columns = golden.table.iter().map(|(name, values)| (name.as_str(), column(values)));
    RecordBatch::try_from_iter(columns).unwrap()
}

fn engine(name: &str, outputs: &[&str]) -> OnnxEngine {
    let columns = golden(name).columns;
    let outputs = outputs.iter().map(|name| (*name).to_owned()).collect();
    let settings = OnnxSettings { columns, outputs };
    OnnxEngine::of_bytes(&bytes(name), &settings).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The values of an output at `row`, as a golden has them.
fn found(engine: &OnnxEngine, scored: &Scored, output: &str, row: usize) -> Vec<Value> {
    let one = |array: &dyn Array, row: usize| -> Value {
        match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().value(row).into(),
            DataType::Int64 => {
                array.as_primitive::<arrow::datatypes::Int64Type>().value(row).into()
            }
            DataType::Boolean => array.as_boolean().value(row).into(),
            DataType::Float32 => {
                let value = array.as_primitive::<arrow::datatypes::Float32Type>().value(row);
                f64::from(value).into()
            }
            DataType::Float64 => {
                array.as_primitive::<arrow::datatypes::Float64Type>().value(row).into()
            }
            other => panic!("{other}"),
        }
    };
    let fields = engine.output_fields().iter().zip(&scored.columns);
    let own = fields.filter(|(field, _)| {
        let name = field.name();
        name == output || name.strip_prefix(output).is_some_and(|rest| rest.starts_with('_'))
    });
    let mut values = Vec::new();
    for (_, column) in own {
        match column.as_fixed_size_list_opt() {
            Some(lists) => {
                let list = lists.value(row);
                values.extend((0..list.len()).map(|at| one(&list, at)));
            }
            None => values.push(one(column, row)),
        }
    }
    values
}

/// Whether two values are the same, floats to rounding.
fn agree(found: &Value, wanted: &Value) -> bool {
    if let (Some(found), Some(wanted)) = (found.as_i64(), wanted.as_i64()) {
        return found == wanted;
    }
    match (number(found), number(wanted)) {
        (Some(found), Some(wanted)) => (found - wanted).abs() <= 1e-5 * wanted.abs().max(1.0),
        _ => found == wanted,
    }
}

#[test]
fn every_model_gives_what_onnxruntime_gives() {
    let mut faults = Vec::new();
    for name in names() {
        let golden = golden(&name);
        let batch = batch(&golden);
        // One output after the other, since a row is rejected for any that is not finite.
        for (output, rows) in &golden.outputs {
            let settings =
                OnnxSettings { columns: golden.columns.clone(), outputs: vec![output.clone()] };
            let engine = match OnnxEngine::of_bytes(&bytes(&name), &settings) {
                Ok(engine) => engine,
                Err(error) => {
                    faults.push(format!("{name} {output}: {error}"));
                    continue;
                }
            };
            let scored = engine.run(&batch).unwrap();
            for (row, wanted) in rows.iter().enumerate() {
                if let Some(reject) = scored.rejects.iter().find(|reject| reject.row == row) {
                    let is_finite = wanted.iter().all(|x| number(x).is_none_or(f64::is_finite));
                    if reject.reason != RejectReason::ResultNotFinite || is_finite {
                        faults.push(format!("{name} {output} {row}: {reject:?} for {wanted:?}"));
                    }
                    continue;
                }
                let found = found(&engine, &scored, output, row);
                let same = found.len() == wanted.len()
                    && found.iter().zip(wanted).all(|(found, wanted)| agree(found, wanted));
                if !same {
                    faults.push(format!("{name} {output} {row}: {found:?} for {wanted:?}"));
                    break;
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
