use proptest::prelude::*;

use super::*;
use crate::plan::{Ask, Device, Dtype, GenerateSettings, OnnxSettings, Prompt};

const GOOD: &str = r#"apiVersion: nightshift.dev/v1
kind: BatchInference
metadata: { name: flight-delays }
spec:
  input:   { uri: "data/date={date}/*.parquet", id: [flight_id] }
  model:   { uri: models/delay-mlp, version: v3 }
  task:    { kind: tabular }
  output:  { uri: out/predictions }
  sharding: { rows: 5000 }
"#;

fn refused(text: &str) -> SpecError {
    Spec::parse("s.yaml", text).expect_err("the spec was accepted")
}

/// GOOD with one line (found by its start) replaced.
fn with_line(start: &str, line: &str) -> String {
    let lines = GOOD.lines().map(|old| if old.starts_with(start) { line } else { old });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_small_spec_gets_the_documented_defaults() {
    let spec = Spec::parse("s.yaml", GOOD).unwrap();
    assert_eq!(spec.name.as_str(), "flight-delays");
    assert_eq!(spec.sharding, Sharding::Rows(5_000));
    assert_eq!(spec.output.format, OutputFormat::Parquet);
    assert_eq!(spec.retries, Retries { crashes: 4, rejects_max_ratio: 0.001, rejects_min: 10 });
    assert_eq!(spec.backfill.window_days, 14);
    assert_eq!(spec.backfill.reprocess, Reprocess::Never);
    assert_eq!(spec.retention.superseded, SignedDuration::from_hours(24));
    assert!(spec.is_dated());
}

#[test]
fn the_full_spec_of_the_documentation_is_accepted() {
    let text = format!(
        "{GOOD}{}",
        r#"  retries:  { crashes: 4, rejects: { max_ratio: 0.001, min: 10 } }
  backfill: { window: 14d, order: oldest, timezone: Europe/Paris, reprocess: on-any-change }
  workers:  { parallelism: 10, image: "registry/x:1", resources: { limits: { memory: 1Gi } }, podTemplate: { spec: { nodeSelector: { a: b } } } }
  retention: { succeeded: 3, failed: 2, superseded: 24h }
  window: "22:00-06:00 Europe/Paris"
"#
    );
    let spec = Spec::parse("s.yaml", &text).unwrap();
    assert_eq!(spec.workers.parallelism, 10);
    assert_eq!(spec.backfill.reprocess, Reprocess::OnAnyChange);
}

#[test]
fn settings_of_a_graph_are_part_of_the_task() {
    let task = |line| Spec::parse("s.yaml", &with_line("  task:", line)).unwrap().task;
    assert_eq!(task("  task: { kind: onnx }"), Task::Onnx(OnnxSettings::default()));
    let settings = OnnxSettings {
        columns: vec!["a".to_owned(), "b".to_owned()],
        outputs: vec!["label".to_owned()],
    };
    let line = "  task: { kind: onnx, columns: [a, b], outputs: [label] }";
    assert_eq!(task(line), Task::Onnx(settings));
}

#[test]
fn settings_of_generation_are_part_of_the_task() {
    let line = r#"  task: { kind: generate, prompt: "{title}: {{x}}", max_new_tokens: 64, stop: ["\n"], temperature: 0, top_p: 0.9, seed: 7 }"#;
    let spec = Spec::parse("s.yaml", &with_line("  task:", line)).unwrap();
    let prompt = Prompt::parse("{title}: {{x}}").unwrap();
    let settings = GenerateSettings {
        stop: vec!["\n".to_owned()],
        top_p: 0.9,
        seed: 7,
        ..GenerateSettings::of(Ask::Prompt(prompt.clone()), 64)
    };
    assert_eq!(spec.task, Task::Generate(settings));
    let line = r#"  task: { kind: generate, prompt: "{title}: {{x}}", system: Be short, max_new_tokens: 4 }"#;
    let spec = Spec::parse("s.yaml", &with_line("  task:", line)).unwrap();
    let ask = Ask::Chat { prompt, system: Some("Be short".to_owned()) };
    assert_eq!(spec.task, Task::Generate(GenerateSettings::of(ask, 4)));
    let line = "  task: { kind: generate, shape: openai-batch, max_new_tokens: 4 }";
    let spec = Spec::parse("s.yaml", &with_line("  task:", line)).unwrap();
    assert_eq!(spec.task.generate().unwrap().columns(), ["custom_id", "body"]);
}

#[test]
fn settings_of_text_are_part_of_the_task() {
    let line = "  task: { kind: embed, text: body, max_tokens: 128, normalize: true, dimensions: 64, prompt: query, precision: int8 }";
    let spec = Spec::parse("s.yaml", &with_line("  task:", line)).unwrap();
    let settings = TextSettings {
        max_tokens: Some(128),
        normalize: Some(true),
        dimensions: Some(64),
        prompt: Some("query".to_owned()),
        precision: crate::plan::Precision::Int8,
        ..TextSettings::of("body")
    };
    assert_eq!(spec.task, Task::Embed(settings));
    let task = |line| Spec::parse("s.yaml", &with_line("  task:", line)).unwrap().task;
    let settings = TextSettings { all_scores: true, ..TextSettings::of("body") };
    let line = "  task: { kind: classify, text: body, all_scores: true }";
    assert_eq!(task(line), Task::Classify(settings));
    let settings = TextSettings { query: Some("q".to_owned()), ..TextSettings::of("body") };
    assert_eq!(settings.columns(), ["q", "body"]);
    assert_eq!(task("  task: { kind: rerank, query: q, text: body }"), Task::Rerank(settings));
    let text = with_line("  task:", "  task: { kind: embed, text: body }");
    let text = text.replace("version: v3", "dtype: bf16");
    let settings = TextSettings { dtype: Dtype::Bf16, ..TextSettings::of("body") };
    assert_eq!(Spec::parse("s.yaml", &text).unwrap().task, Task::Embed(settings.clone()));
    let text = text.replace("dtype: bf16", "dtype: bf16, device: cuda");
    let settings = TextSettings { device: Device::Cuda, ..settings };
    assert_eq!(Spec::parse("s.yaml", &text).unwrap().task, Task::Embed(settings));
    let csv = with_line("  task:", "  task: { kind: embed, text: body }");
    let csv = csv.replace("{ uri: out/predictions }", "{ uri: out, format: csv }");
    let error = refused(&csv).to_string();
    assert!(error.contains("CSV has no place for embeddings"), "{error}");
}

#[test]
fn a_gpu_is_refused_where_it_computes_nothing() {
    let refusal = |task: &str, model: &str| {
        let text = with_line("  task:", &format!("  task: {{ {task} }}"));
        refused(&text.replace("version: v3", model)).to_string()
    };
    let embed = "kind: embed, text: body";
    let generate = "kind: generate, prompt: '{body}', max_new_tokens: 4";
    for (task, model, says) in [
        ("kind: tabular", "device: cuda", "`kind: tabular` is not computed on a GPU; remove it"),
        ("kind: onnx, columns: [a]", "device: cuda", "`kind: onnx` is not computed on a GPU"),
        (generate, "device: cuda", "`kind: generate` is not computed on a GPU"),
        (embed, "dtype: int8, device: cuda", "`dtype: int8` is not computed on a GPU; write"),
        (embed, "device: gpu", "`gpu` is not possible here; use `cpu` or `cuda`"),
    ] {
        let error = refusal(task, model);
        assert!(error.contains(&format!("spec.model.device: {says}")), "{error}");
    }
    // What is computed on a processor anyway may say so, and the plan does not.
    let text = with_line("  task:", &format!("  task: {{ {embed} }}"));
    let spec = Spec::parse("s.yaml", &text.replace("version: v3", "device: cpu")).unwrap();
    assert_eq!(spec.task, Task::Embed(TextSettings::of("body")));
    assert!(Spec::parse("s.yaml", &GOOD.replace("version: v3", "device: cpu")).is_ok());
}

#[test]
fn each_mistake_names_place_field_and_remedy() {
    let cases = [
        (
            "  task:",
            "  tusk:    { kind: tabular }",
            "s.yaml:7:3: spec.tusk: unknown field; did you mean `task`?",
        ),
        (
            "  sharding:",
            "  sharding: { row: 5 }",
            "s.yaml:9:15: spec.sharding.row: unknown field; did you mean `rows`?",
        ),
        (
            "  sharding:",
            "  sharding: { rows: 0 }",
            "s.yaml:9:21: spec.sharding.rows: 0 is not possible; use 1 or more",
        ),
        (
            "  sharding:",
            "  sharding: { rows: -5 }",
            "s.yaml:9:21: spec.sharding.rows: -5 is not possible; use 1 or more",
        ),
        (
            "  sharding:",
            "  sharding: { count: 2000000 }",
            "s.yaml:9:22: spec.sharding.count: 2000000 is not possible; use a number from 1 to 1000000",
        ),
        (
            "  sharding:",
            "  sharding: { rows: many }",
            "s.yaml:9:21: spec.sharding.rows: expected a whole number; write a whole number",
        ),
        (
            "  sharding:",
            "  sharding: { rows: 5, count: 2 }",
            "s.yaml:9:13: spec.sharding: it needs exactly one of rows, count and by; write `{ rows: 50000 }`, `{ count: 200 }` or `{ by: file }`",
        ),
        (
            "  task:",
            "  task:    { kind: tabluar }",
            "s.yaml:7:20: spec.task.kind: `tabluar` is not possible here; did you mean `tabular`?",
        ),
        (
            "  task:",
            "  task:    { kind: transcribe }",
            "s.yaml:7:20: spec.task.kind: `transcribe` is not possible here; use one of tabular, embed, classify, rerank, onnx, generate",
        ),
        (
            "  task:",
            "  task:    { kind: generate }",
            "s.yaml:7:20: spec.task.prompt: `kind: generate` asks something of each row; add `prompt:` with columns in it, as in `prompt: \"Sum up: {body}\"`",
        ),
        (
            "  task:",
            "  task:    { kind: generate, prompt: \"{a} {\" }",
            "s.yaml:7:38: spec.task.prompt: a `{` or `}` stands alone; write `{column}` for a value, and `{{` or `}}` for a brace",
        ),
        (
            "  task:",
            "  task:    { kind: generate, prompt: \"{a}\" }",
            "s.yaml:7:20: spec.task.max_new_tokens: `kind: generate` writes no more than it is told to; add `max_new_tokens:`, as in `max_new_tokens: 64`",
        ),
        (
            "  task:",
            "  task:    { kind: generate, prompt: \"{a}\", max_new_tokens: 8, temperature: -1 }",
            "s.yaml:7:77: spec.task.temperature: -1 is not possible; use a number from 0 to 10",
        ),
        (
            "  task:",
            "  task:    { kind: generate, shape: openai-batch, prompt: \"{a}\", max_new_tokens: 8 }",
            "s.yaml:7:59: spec.task.prompt: requests of `shape: openai-batch` have messages of their own; remove it, or remove `shape:`",
        ),
        (
            "  task:",
            "  task:    { kind: tabular, text: body }",
            "s.yaml:7:35: spec.task.text: `kind: tabular` has no such setting; remove it, or write another kind",
        ),
        (
            "  task:",
            "  task:    { kind: tabular, columns: [a] }",
            "s.yaml:7:38: spec.task.columns: `kind: tabular` has no such setting; remove it, or write another kind",
        ),
        (
            "  task:",
            "  task:    { kind: onnx, columns: [] }",
            "s.yaml:7:35: spec.task.columns: the list is empty; name the columns of the input, or remove the field",
        ),
        (
            "  task:",
            "  task:    { kind: onnx, outputs: [label, label] }",
            "s.yaml:7:35: spec.task.outputs: `label` is named twice; name each of them once",
        ),
        (
            "  task:",
            "  task:    { kind: onnx, columns: [a, \"\"] }",
            "s.yaml:7:35: spec.task.columns: a name is empty; write the names of the columns of the input",
        ),
        (
            "  task:",
            "  task:    { kind: embed }",
            "s.yaml:7:20: spec.task.text: `kind: embed` reads a column of text; add `text:` with the name of the column",
        ),
        (
            "  task:",
            "  task:    { kind: rerank, text: body }",
            "s.yaml:7:20: spec.task.query: `kind: rerank` reads a column of queries; add `query:` with the name of the column",
        ),
        (
            "  task:",
            "  task:    { kind: rerank, text: body, query: body }",
            "s.yaml:7:47: spec.task.query: queries and texts are the same column; write the names of two columns",
        ),
        (
            "  task:",
            "  task:    { kind: classify, text: body, normalize: true }",
            "s.yaml:7:53: spec.task.normalize: `kind: classify` has no such setting; remove it, or write another kind",
        ),
        (
            "  task:",
            "  task:    { kind: embed, text: body, all_scores: true }",
            "s.yaml:7:51: spec.task.all_scores: `kind: embed` has no such setting; remove it, or write another kind",
        ),
        (
            "  task:",
            "  task:    { kind: embed, text: body, precision: int4 }",
            "s.yaml:7:50: spec.task.precision: `int4` is not possible here; did you mean `int8`?",
        ),
        (
            "  task:",
            "  task:    { kind: embed, text: body, dimensions: 0 }",
            "s.yaml:7:51: spec.task.dimensions: 0 is not possible; use a number from 1 to 65536",
        ),
        (
            "  output:",
            "  output:  { uri: ../../etc }",
            "s.yaml:8:19: spec.output.uri: `..` may not lead out of a folder; write the folder without `..`, or an absolute path",
        ),
        (
            "  output:",
            "  output:  { uri: \"out/{date}\" }",
            "s.yaml:8:19: spec.output.uri: the output root is one for all dates; remove {date}: each date gets its own date=… folder below the output",
        ),
        (
            "  input:",
            "  input:   { uri: \"d/{{yesterday}}\", id: [a] }",
            "s.yaml:5:19: spec.input.uri: `{{` is left over from a shell or template language; write {date} and choose the date on the command line, as in `--date yesterday`",
        ),
        (
            "  input:",
            "  input:   { uri: \"d/{day}\", id: [a] }",
            "s.yaml:5:19: spec.input.uri: `{day}` is not a placeholder; use {date}, {name} or {model_version}",
        ),
        (
            "  input:",
            "  input:   { uri: d, id: [] }",
            "s.yaml:5:26: spec.input.id: no column is named; name the columns that identify a row, as in `id: [flight_id]`",
        ),
        (
            "  input:",
            "  input:   { uri: d }",
            "s.yaml:5:14: spec.input.id: the field is missing; add `id:`",
        ),
        (
            "metadata:",
            "metadata: { name: Flight_Delays }",
            "s.yaml:3:19: metadata.name: `Flight_Delays` is not a name: use 1 to 45 lower-case letters, digits and `-`, starting and ending with a letter or digit; choose a short name such as `flight-delays`",
        ),
        (
            "apiVersion:",
            "apiVersion: nightshift.dev/v2",
            "s.yaml:1:13: apiVersion: `nightshift.dev/v2` is not possible here; did you mean `nightshift.dev/v1`?",
        ),
        (
            "  model:",
            "  model:   { uri: m, sha256: abc }",
            "s.yaml:6:30: spec.model.sha256: `abc` is not a SHA-256 digest: it has 64 hexadecimal digits; write what `sha256sum config.json model.safetensors | sha256sum` prints",
        ),
        (
            "  model:",
            "  model:   { uri: m, dtype: f64 }",
            "s.yaml:6:29: spec.model.dtype: `f64` is not possible here; use `f32`",
        ),
        (
            "  output:",
            "  output:  { uri: o }\n  window:  22:00 to 06:00",
            "s.yaml:9:12: spec.window: `22:00 to 06:00` is not a window; write it as `22:00-06:00 Europe/Paris`",
        ),
    ];
    for (start, line, message) in cases {
        assert_eq!(refused(&with_line(start, line)).to_string(), message);
    }
}

#[test]
fn duplicate_keys_are_refused() {
    let error = refused(&format!("{GOOD}  task: {{ kind: tabular }}\n")).to_string();
    assert!(error.starts_with("s.yaml:10:3: "), "{error}");
    assert!(error.contains("task: the key occurs twice; keep one of the two"), "{error}");
}

#[test]
fn what_is_not_a_spec_at_all_is_refused_in_one_line() {
    let cases = [
        "",
        "  \n",
        "just text",
        "[1, 2]",
        "a: b: c",
        "\u{0}",
        "{",
        "---\na: 1\n---\nb: 2\n",
        "PAR1\u{1}",
    ];
    for text in cases {
        let error = refused(text).to_string();
        assert!(error.starts_with("s.yaml:"), "{error}");
        assert!(!error.contains('\n'), "{error:?}");
    }
    assert!(refused(&"x".repeat(SPEC_MAX_BYTES + 1)).problem.contains("bytes are more than"));
}

#[test]
fn an_output_inside_the_input_is_refused_when_bound() {
    let text = with_line("  output:", "  output: { uri: \"data/date=x\" }");
    let spec = Spec::parse("s.yaml", &text).unwrap();
    let error = spec.bind("s.yaml", "/base", "2013-01-01".parse().unwrap()).unwrap_err();
    assert_eq!(error.field, "spec.output.uri");
    assert!(error.to_string().contains("choose an output folder outside the input"));
}

#[test]
fn a_model_version_cannot_lead_out_of_a_folder() {
    for version in ["..", ".", "", "a/b", "../..", "v 1", "v\n"] {
        let spec = Spec::parse("s.yaml", GOOD).unwrap();
        assert!(spec.with_model_version(version).is_err(), "{version:?} was accepted");
    }
    let spec = Spec::parse("s.yaml", GOOD).unwrap().with_model_version("v4.1").unwrap();
    assert_eq!(spec.model.version.as_deref(), Some("v4.1"));
}

#[test]
fn placeholders_are_filled_in() {
    let text = with_line("  model:", "  model: { uri: \"m/{name}/{model_version}\", version: v3 }");
    let spec = Spec::parse("s.yaml", &text).unwrap();
    let bound = spec.bind("s.yaml", "/b", "2013-01-02".parse().unwrap()).unwrap();
    assert_eq!(bound.input, "/b/data/date=2013-01-02/*.parquet");
    assert_eq!(bound.model.to_string(), "/b/m/flight-delays/v3");
    assert_eq!(bound.output, "/b/out/predictions");
}

proptest! {
    /// Any text is accepted or refused with a place; nothing panics.
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,300}") {
        let _ = Spec::parse("s.yaml", &text);
    }

    /// One damaged byte of a good spec never panics either.
    #[test]
    fn no_damage_makes_the_parser_panic(at in 0..GOOD.len(), byte in 0_u8..128) {
        let mut bytes = GOOD.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = Spec::parse("s.yaml", &text);
        }
    }
}
