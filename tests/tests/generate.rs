//! Texts that a model writes for the rows of a table, from spec to output.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use nightshift_tests::bench::Bench;
use nightshift_tests::{binaries, store, tools};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

const ROWS: i64 = 60;
/// The row that has no text.
const WITHOUT_TEXT: i64 = 7;

/// A bench with `columns` and a spec with `task`, in so many shards.
fn bench(columns: Vec<(&str, ArrayRef)>, task: &str, shards: u32) -> Bench {
    let bench = Bench::new();
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    fs::create_dir(bench.path("in")).unwrap();
    let file = File::create(bench.path("in/rows.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let model = binaries::repository().join("tests/text/generate/llama");
    bench.write_spec(&format!(
        "apiVersion: nightshift.dev/v1\nkind: BatchInference\nmetadata: {{ name: texts }}\nspec:\n  \
         input: {{ uri: in, id: [id] }}\n  \
         model: {{ uri: \"{}\" }}\n  \
         task: {task}\n  \
         output: {{ uri: out }}\n  \
         sharding: {{ count: {shards} }}\n",
        model.display()
    ));
    bench
}

fn rows() -> Vec<(&'static str, ArrayRef)> {
    let titles = (0..ROWS).map(|row| Some(format!("late {}", row % 20)));
    let bodies =
        (0..ROWS).map(|row| (row != WITHOUT_TEXT).then(|| "rain ".repeat(row as usize % 9)));
    vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..ROWS))),
        ("title", Arc::new(titles.collect::<StringArray>())),
        ("body", Arc::new(bodies.collect::<StringArray>())),
    ]
}

/// The visible rows by id: text, reason, tokens.
fn written(bench: &Bench) -> BTreeMap<i64, (String, String, i32)> {
    let mut found = BTreeMap::new();
    for file in store::names(&bench.output().join("all/gen=1"), "parquet") {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let column = |name: &str| batch.column_by_name(name).unwrap();
            let text = |name: &str| column(name).as_string::<i32>();
            let ids = column("id").as_primitive::<Int64Type>();
            let tokens = column("tokens").as_primitive::<Int32Type>();
            for row in 0..batch.num_rows() {
                let own = (
                    text("text").value(row).to_owned(),
                    text("finish_reason").value(row).to_owned(),
                    tokens.value(row),
                );
                assert!(found.insert(ids.value(row), own).is_none());
            }
        }
    }
    found
}

#[test]
fn what_is_written_does_not_depend_on_how_rows_are_cut() {
    let task = r#"{ kind: generate, prompt: "{title}: {body}{{", max_new_tokens: 12, temperature: 0.8, top_p: 0.9, seed: 5 }"#;
    let mut found = Vec::new();
    for shards in [1, 7] {
        let bench = bench(rows(), task, shards);
        bench.run().run().expect(0);
        let counts = tools::Audit::of(&bench.output()).runs(1).id("id").passes();
        assert_eq!(counts["rows_out"], ROWS - 1);
        let plan = bench.output().join("_nightshift/v1/runs/texts-all-g1/plan.json");
        let plan: Value = serde_json::from_slice(&fs::read(plan).unwrap()).unwrap();
        assert_eq!(
            plan["task"]["generate"],
            json!({
                "ask": {"prompt": "{title}: {body}{{"}, "max_new_tokens": 12,
                "temperature": 0.8, "top_p": 0.9, "seed": 5,
            })
        );
        found.push(written(&bench));
        bench.command("verify").run().expect(0);
    }
    assert_eq!(found[0], found[1]);
    assert!(found[0].values().all(|(_, reason, tokens)| match reason.as_str() {
        "length" => *tokens == 12,
        reason => reason == "stop" && *tokens <= 12,
    }));
    // Rows that ask the same are answered the same; others are not all alike.
    let texts: std::collections::BTreeSet<_> = found[0].values().map(|(text, ..)| text).collect();
    assert!(texts.len() > 20, "{}", texts.len());
}

#[test]
fn a_prompt_that_cannot_be_made_is_refused_before_anything_is_written() {
    for (task, problem) in [
        ("{ kind: generate, prompt: \"{headline}\", max_new_tokens: 4 }", "headline"),
        ("{ kind: generate, prompt: \"{title}\", max_new_tokens: 256 }", "max_new_tokens is 256"),
    ] {
        let bench = bench(rows(), task, 1);
        let outcome = bench.run().run().expect(78);
        assert!(outcome.stderr.contains(problem), "{}", outcome.stderr);
        assert!(store::runs(&bench.output()).is_empty(), "{task}");
    }
}

/// Lines as OpenAI's Batch API takes them, with bodies that are no text.
#[test]
fn a_file_of_requests_becomes_a_file_of_answers() {
    let bench = Bench::new();
    fs::create_dir(bench.path("in")).unwrap();
    let line = |at: u32, body: Value| {
        let (id, url) = (format!("request-{at}"), "/v1/chat/completions");
        format!("{}\n", json!({"custom_id": id, "method": "POST", "url": url, "body": body}))
    };
    let asks = |text: &str| json!({"messages": [{"role": "user", "content": text}]});
    let lines = [
        line(0, asks("late {train}")),
        line(1, json!({"messages": [{"role": "user", "content": "rain"}], "max_tokens": 2})),
        line(2, json!({"messages": [], "n": 3})),
        line(3, json!(asks("rain").to_string())),
    ];
    fs::write(bench.path("in/batch.jsonl"), lines.concat()).unwrap();
    let model = binaries::repository().join("tests/text/generate/qwen2");
    bench.write_spec(&format!(
        "apiVersion: nightshift.dev/v1\nkind: BatchInference\nmetadata: {{ name: answers }}\nspec:\n  \
         input: {{ uri: in/batch.jsonl, id: [custom_id] }}\n  \
         model: {{ uri: \"{}\" }}\n  \
         task: {{ kind: generate, shape: openai-batch, max_new_tokens: 6 }}\n  \
         output: {{ uri: out, format: jsonl }}\n",
        model.display()
    ));
    bench.run().run().expect(0);
    let files = store::names(&bench.output().join("all/gen=1"), "jsonl");
    let answers = files.iter().filter(|file| !file.to_string_lossy().contains("rejects"));
    let text: String = answers.map(|file| fs::read_to_string(file).unwrap()).collect();
    let answers: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["custom_id"]).collect();
    assert_eq!(ids, ["request-0", "request-1", "request-3"]);
    for answer in &answers {
        let response = &answer["response"];
        assert_eq!(response["status_code"], 200, "{answer}");
        let choice = &response["body"]["choices"][0];
        assert_eq!(choice["message"]["content"], answer["text"], "{answer}");
        assert_eq!(choice["finish_reason"], answer["finish_reason"], "{answer}");
    }
    assert!(answers[1]["response"]["body"]["usage"]["completion_tokens"].as_u64().unwrap() <= 2);
}
