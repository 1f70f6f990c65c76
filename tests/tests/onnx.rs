//! Models that sklearn, XGBoost and LightGBM export, from spec to output.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Float32Type, Int64Type};
use nightshift_tests::bench::Bench;
use nightshift_tests::{binaries, store, tools};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// Rows of a golden, again and again.
const COPIES: usize = 40;

/// What the script in `tests/onnx` wrote beside a model.
fn golden(model: &str) -> Value {
    let path = binaries::repository().join(format!("tests/onnx/models/{model}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn column(values: &[Value]) -> ArrayRef {
    let copies = std::iter::repeat_n(values, COPIES).flatten();
    if values.iter().all(Value::is_i64) {
        return Arc::new(Int64Array::from_iter_values(copies.map(|x| x.as_i64().unwrap())));
    }
    if values.iter().any(Value::is_f64) {
        // What is no number is NaN, a missing value.
        return Arc::new(copies.map(Value::as_f64).collect::<Float64Array>());
    }
    Arc::new(StringArray::from_iter_values(copies.map(|x| x.as_str().unwrap())))
}

/// A bench with the table of a golden, its model, and a spec with `task`.
fn bench(model: &str, task: &str, format: &str) -> (Bench, Value) {
    let (bench, golden) = (Bench::new(), golden(model));
    let table = golden["table"].as_object().unwrap();
    let rows = table.values().next().unwrap().as_array().unwrap().len() * COPIES;
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
    let columns =
        table.iter().map(|(name, values)| (name.as_str(), column(values.as_array().unwrap())));
    let batch = RecordBatch::try_from_iter([("id", ids)].into_iter().chain(columns)).unwrap();
    fs::create_dir(bench.path("in")).unwrap();
    let file = File::create(bench.path("in/rows.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    fs::create_dir(bench.path("model")).unwrap();
    let from = binaries::repository().join(format!("tests/onnx/models/{model}.onnx"));
    fs::copy(from, bench.path("model/model.onnx")).unwrap();
    bench.write_spec(&format!(
        "apiVersion: nightshift.dev/v1\nkind: BatchInference\nmetadata: {{ name: exported }}\nspec:\n  \
         input: {{ uri: in, id: [id] }}\n  \
         model: {{ uri: model }}\n  \
         task: {task}\n  \
         output: {{ uri: out, format: {format} }}\n  \
         sharding: {{ count: 7 }}\n"
    ));
    (bench, golden)
}

/// The named column of the visible files, by id.
fn written(bench: &Bench, name: &str) -> BTreeMap<i64, f64> {
    let mut found = BTreeMap::new();
    for file in store::names(&bench.output().join("all/gen=1"), "parquet") {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().clone();
            let values = batch.column_by_name(name).unwrap();
            let list;
            let (numbers, width) = match values.as_fixed_size_list_opt() {
                Some(lists) => {
                    list = lists.values().clone();
                    (&list, lists.value_length() as usize)
                }
                None => (values, 1),
            };
            let numbers = numbers.as_primitive::<Float32Type>();
            for row in 0..batch.num_rows() {
                // Of two probabilities the second.
                let value = f64::from(numbers.value(row * width + width - 1));
                assert!(found.insert(ids.value(row), value).is_none());
            }
        }
    }
    found
}

#[test]
fn exported_models_score_as_onnxruntime_does() {
    let matrix = "{ kind: onnx, columns: [a, b, c, d] }";
    let runs = [
        ("xgboost-two", matrix, "probabilities", "probabilities"),
        ("lightgbm-two", matrix, "probabilities", "probabilities_1"),
        ("forest-amount", matrix, "variable", "variable"),
        ("columns-ignore", "{ kind: onnx }", "output_probability", "output_probability_on time"),
    ];
    for (model, task, output, column) in runs {
        let (bench, golden) = bench(model, task, "parquet");
        bench.run().run().expect(0);
        tools::Audit::of(&bench.output()).runs(1).id("id").passes();
        let wanted = golden["outputs"][output].as_array().unwrap();
        let found = written(&bench, column);
        assert_eq!(found.len(), wanted.len() * COPIES, "{model}");
        for (id, value) in found {
            let wanted = &wanted[id as usize % wanted.len()];
            let wanted = wanted.as_array().unwrap().last().unwrap().as_f64().unwrap();
            assert!((value - wanted).abs() <= 1e-5, "{model} {id}: {value} for {wanted}");
        }
        bench.command("verify").run().expect(0);
        // A second run finds everything done.
        bench.run().run().expect(0);
    }
}

#[test]
fn labels_are_written_to_csv_and_lists_are_not() {
    let task = "{ kind: onnx, columns: [a, b, c, d], outputs: [label] }";
    let (labelled, golden) = bench("xgboost-two", task, "csv");
    labelled.run().run().expect(0);
    let first = store::names(&labelled.output().join("all/gen=1"), "csv");
    let text = fs::read_to_string(first.first().unwrap()).unwrap();
    let wanted = golden["outputs"]["label"][0][0].as_i64().unwrap();
    assert!(text.starts_with(&format!("id,label\n0,{wanted}\n")), "{text}");
    let (lists, _) = bench("xgboost-two", "{ kind: onnx, columns: [a, b, c, d] }", "csv");
    let refused = lists.run().run().expect(78);
    assert!(refused.stderr.contains("probabilities"), "{}", refused.stderr);
}

#[test]
fn a_plan_weighs_the_model_and_the_spec_is_checked_against_it() {
    let (bench, _) = bench("xgboost-two", "{ kind: onnx, columns: [a, b, c, d] }", "parquet");
    let plan = bench.command("plan").arg("--resources").run().expect(0);
    assert!(plan.stdout.contains("memory"), "{}", plan.stdout);
    let refused = |task: &str, says: &[&str]| {
        let text = fs::read_to_string(bench.spec()).unwrap();
        let line = text.lines().find(|line| line.starts_with("  task:")).unwrap().to_owned();
        bench.write_spec(&text.replace(&line, &format!("  task: {task}")));
        let output = bench.run().run().expect(78);
        for part in says {
            assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
        }
        assert!(!bench.has("out"), "something was written");
    };
    refused("{ kind: onnx }", &["input `X` is made of 4 columns", "spec.task.columns"]);
    refused("{ kind: onnx, columns: [a, b] }", &["names 2 columns", "made of 4: X (4)"]);
    refused("{ kind: onnx, columns: [a, b, c, e] }", &["column `e`"]);
    refused(
        "{ kind: onnx, columns: [a, b, c, d], outputs: [score] }",
        &["spec.task.outputs names `score`", "label, probabilities"],
    );
    refused("{ kind: tabular }", &["config.json"]);
    fs::write(bench.path("model/model.onnx"), b"<html>404</html>").unwrap();
    refused("{ kind: onnx, columns: [a, b, c, d] }", &["model.onnx cannot be used"]);
    fs::rename(bench.path("model/model.onnx"), bench.path("model/other.onnx")).unwrap();
    refused(
        "{ kind: onnx, columns: [a, b, c, d] }",
        &["has no config.json, no model.onnx and no GGUF file"],
    );
}

#[test]
fn the_example_gives_what_its_page_shows() {
    let example = binaries::repository().join("examples/onnx");
    let bench = Bench::new();
    fs::create_dir(bench.path("model")).unwrap();
    for file in ["flights.csv", "model/model.onnx", "spec.yaml"] {
        fs::copy(example.join(file), bench.path(file)).unwrap();
    }
    bench.run().run().expect(0);
    let parts = store::names(&bench.output().join("all/gen=1"), "csv");
    let text = fs::read_to_string(parts.first().unwrap()).unwrap();
    let page = fs::read_to_string(example.join("README.md")).unwrap();
    let head: Vec<&str> = text.lines().take(4).collect();
    assert!(page.contains(&head.join("\n")), "{head:?}");
    assert_eq!(text.lines().count(), 1 + 19, "a row without a delay is rejected");
}
