//! Against sentence-transformers (`worker/tests/text/make.py`), and against itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Float16Type, Float32Type, Int8Type};
use nightshift_core::plan::TextSettings;
use nightshift_core::spec::Task;
use nightshift_kernels::Isa;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::*;

use crate::engine::{Engine, EngineError, LoadError, Scored};
use crate::reject::RejectReason;

#[derive(Deserialize)]
struct Golden {
    texts: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    pooling: String,
    normalises: bool,
    settings: serde_json::Map<String, serde_json::Value>,
    embeddings: Vec<Vec<f32>>,
}

fn stored() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/text")
}

fn golden() -> Golden {
    serde_json::from_slice(&fs::read(stored().join("golden.json")).unwrap()).unwrap()
}

fn settings(more: serde_json::Value) -> TextSettings {
    let mut all = json!({"text": "body"});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn embedder(dir: &Path, wanted: &TextSettings) -> Result<TextEngine, LoadError> {
    with_isa(dir, wanted, Isa::detect())
}

fn with_isa(dir: &Path, wanted: &TextSettings, isa: Isa) -> Result<TextEngine, LoadError> {
    TextEngine::with_isa(dir, &Task::Embed(wanted.clone()), wanted, isa)
}

/// A copy of the stored model that a test may change.
fn copied() -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    fs::create_dir(to.path().join("1_Pooling")).unwrap();
    for entry in fs::read_dir(stored().join("model")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    fs::copy(stored().join("model/1_Pooling/config.json"), to.path().join("1_Pooling/config.json"))
        .unwrap();
    to
}

/// Changes a field of a JSON file.
fn set(dir: &Path, file: &str, field: &str, value: serde_json::Value) {
    let path = dir.join(file);
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json[field] = value;
    fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
}

fn batch<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> RecordBatch {
    let texts: ArrayRef = Arc::new(texts.into_iter().collect::<StringArray>());
    RecordBatch::try_from_iter_with_nullable([("body", texts, true)]).unwrap()
}

fn vectors(scored: &Scored) -> Vec<Vec<f32>> {
    let lists = scored.columns[0].as_fixed_size_list();
    lists.iter().map(|list| list.unwrap().as_primitive::<Float32Type>().values().to_vec()).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn embeddings_are_those_of_sentence_transformers() {
    let Golden { texts, cases } = golden();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let dir = copied();
        for mode in ["cls", "mean", "max"] {
            let name = if mode == "cls" { "cls_token" } else { &format!("{mode}_tokens") };
            let field = format!("pooling_mode_{name}");
            set(dir.path(), "1_Pooling/config.json", &field, json!(mode == case.pooling));
        }
        if !case.normalises {
            let path = dir.path().join("modules.json");
            let mut modules: Vec<serde_json::Value> =
                serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            modules.truncate(2);
            fs::write(path, serde_json::to_vec(&modules).unwrap()).unwrap();
        }
        let settings = settings(case.settings.clone().into());
        let engine = embedder(dir.path(), &settings).unwrap();
        let scored = engine.run(&batch(texts.iter().map(|text| Some(text.as_str())))).unwrap();
        assert!(scored.rejects.is_empty(), "{:?}", scored.rejects);
        for ((found, wanted), text) in vectors(&scored).iter().zip(&case.embeddings).zip(&texts) {
            let (pooling, settings) = (&case.pooling, &case.settings);
            let near =
                found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 2e-5 * (1.0 + b.abs()));
            let close = cosine(found, wanted);
            assert!(
                found.len() == wanted.len() && near && close > 0.999_999,
                "{pooling} {settings:?} {text:?}: cosine {close}, {found:?} for {wanted:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_row_has_the_same_bits_alone_and_among_any_rows(
        rows in proptest::collection::vec(0_usize..13, 1..60), null in 0_usize..60,
    ) {
        let texts = golden().texts;
        let at = |row: &usize| texts[row % texts.len()].as_str();
        let mut among: Vec<Option<&str>> = rows.iter().map(|row| Some(at(row))).collect();
        if let Some(text) = among.get_mut(null) {
            *text = None;
        }
        for isa in Isa::available() {
            let engine =
                with_isa(&stored().join("model"), &settings(json!({})), isa).unwrap();
            let together = engine.run(&batch(among.clone())).unwrap();
            let reference = embedder(&stored().join("model"), &settings(json!({}))).unwrap();
            for (row, found) in vectors(&together).iter().enumerate() {
                let Some(text) = among[row] else {
                    prop_assert_eq!(together.rejects[0].row, row);
                    prop_assert_eq!(together.rejects[0].reason, RejectReason::MissingValue);
                    continue;
                };
                let alone = &vectors(&reference.run(&batch([Some(text)])).unwrap())[0];
                let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(found), bits(alone), "{} on {}", text, isa.name());
            }
        }
    }
}

#[test]
fn a_text_of_megabytes_is_its_beginning() {
    let engine = embedder(&stored().join("model"), &settings(json!({}))).unwrap();
    for word in ["late flight ", "夜班", "a, "] {
        let (long, short) = (word.repeat(1 << 18), word.repeat(100));
        let scored = engine.run(&batch([Some(long.as_str()), Some(&short)])).unwrap();
        let found = vectors(&scored);
        assert_eq!(found[0], found[1], "{word}");
    }
}

#[test]
fn numbers_are_texts_and_floats_are_refused() {
    let engine = embedder(&stored().join("model"), &settings(json!({}))).unwrap();
    let numbers: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![1, 2]));
    let scored = engine.run(&RecordBatch::try_from_iter([("body", numbers)]).unwrap()).unwrap();
    let texts = engine.run(&batch([Some("1"), Some("2")])).unwrap();
    assert_eq!(vectors(&scored), vectors(&texts));
    let floats: ArrayRef = Arc::new(arrow::array::Float64Array::from(vec![1.0]));
    let floats = RecordBatch::try_from_iter([("body", floats)]).unwrap();
    assert!(matches!(engine.run(&floats), Err(EngineError::WrongType { .. })));
    let other = RecordBatch::try_from_iter([("title", floats.column(0).clone())]).unwrap();
    assert!(matches!(engine.run(&other), Err(EngineError::MissingColumn { .. })));
    assert_eq!(scored.columns[0].null_count(), 0);
}

#[test]
fn embeddings_are_written_in_half_or_a_quarter_of_the_bytes() {
    let golden = golden();
    let texts = || golden.texts.iter().map(|text| Some(text.as_str()));
    let scored = |wanted| {
        let engine = embedder(&stored().join("model"), &settings(wanted)).unwrap();
        let scored = engine.run(&batch(texts())).unwrap();
        assert!(scored.rejects.is_empty());
        let fields = engine.output_fields().iter().map(|field| field.data_type().clone());
        let columns = scored.columns.iter().map(|column| column.data_type().clone());
        assert!(fields.eq(columns));
        scored.columns
    };
    let vectors = vectors(&Scored {
        columns: scored(json!({})),
        rejects: Vec::new(),
        text: crate::engine::TextCounts::default(),
    });
    let halves = scored(json!({"precision": "float16"}));
    for (list, wanted) in halves[0].as_fixed_size_list().iter().zip(&vectors) {
        let list = list.unwrap();
        let found = list.as_primitive::<Float16Type>().values();
        assert!(found.iter().zip(wanted).all(|(a, b)| *a == half::f16::from_f32(*b)));
    }
    let whole = scored(json!({"precision": "int8"}));
    let scales = whole[1].as_primitive::<Float32Type>().values();
    for ((list, scale), wanted) in whole[0].as_fixed_size_list().iter().zip(scales).zip(&vectors) {
        let list = list.unwrap();
        let found = list.as_primitive::<Int8Type>().values();
        assert_eq!(found.iter().map(|x| x.unsigned_abs()).max(), Some(127));
        let back: Vec<f32> = found.iter().map(|x| f32::from(*x) * scale).collect();
        assert!(cosine(&back, wanted) > 0.999_9, "{back:?} for {wanted:?}");
    }
    // What half a float cannot hold is a reject, not an infinity.
    let output = output::Output::Embedding(nightshift_core::plan::Precision::Float16);
    assert!(output.holds(65_504.0) && !output.holds(70_000.0) && !output.holds(f32::NAN));
}

/// The error of loading, with its sources, for a model that `change` spoilt.
fn refused(wanted: serde_json::Value, change: impl Fn(&Path)) -> String {
    let dir = copied();
    change(dir.path());
    let error: LoadError = embedder(dir.path(), &settings(wanted)).unwrap_err();
    nightshift_core::describe::describe(&error).replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn models_that_cannot_be_used_are_refused_with_the_remedy() {
    let cases: Vec<(String, &str)> = vec![
        (
            refused(json!({}), |dir| {
                set(dir, "config.json", "architectures", json!(["GPT2Model"]))
            }),
            "architectures is `GPT2Model`, and this engine supports `BertModel` and those of DistilBERT",
        ),
        (
            refused(json!({}), |dir| set(dir, "config.json", "num_hidden_layers", json!(3))),
            "tensor `encoder.layer.2",
        ),
        (
            refused(json!({}), |dir| set(dir, "config.json", "hidden_size", json!(1_000_000_000))),
            "hidden_size is 1000000000, expected 1 to 8192",
        ),
        (
            refused(json!({}), |dir| set(dir, "config.json", "vocab_size", json!(41))),
            "a token has the number 41, but the model has 41 tokens",
        ),
        (
            refused(json!({}), |dir| {
                set(dir, "1_Pooling/config.json", "pooling_mode_lasttoken", json!(true))
            }),
            "the mode of pooling is `mean and lasttoken`",
        ),
        (
            refused(json!({}), |dir| fs::remove_file(dir.join("1_Pooling/config.json")).unwrap()),
            "the model lacks DIR/1_Pooling/config.json",
        ),
        (
            refused(json!({}), |dir| {
                fs::rename(dir.join("model.safetensors"), dir.join("pytorch_model.bin")).unwrap();
            }),
            "safe_serialization=True",
        ),
        (
            refused(json!({}), |dir| {
                set(
                    dir,
                    "tokenizer.json",
                    "pre_tokenizer",
                    json!({"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": false}),
                );
            }),
            "pre_tokenizer is `Split`",
        ),
        (
            refused(json!({}), |dir| {
                set(dir, "tokenizer.json", "model", json!({"type": "WordPiece"}))
            }),
            "the tokenizer cannot be made",
        ),
        (
            refused(json!({"prompt": "title"}), |_| ()),
            "spec.task.prompt is `title`, and the model has passage, query",
        ),
        (
            refused(json!({"dimensions": 41}), |_| ()),
            "spec.task.dimensions is 41, and the model has 40",
        ),
        (
            refused(json!({"max_tokens": 33}), |_| ()),
            "spec.task.max_tokens is 33, and the model has 32",
        ),
        (
            refused(json!({"max_tokens": 2}), |_| ()),
            "texts are cut to 2 tokens, and the model adds 2",
        ),
    ];
    for (found, wanted) in cases {
        assert!(found.contains(wanted), "{found}\nlacks: {wanted}");
    }
}

/// Writes the weights again, with another header and other data.
fn change_weights(dir: &Path, change: impl Fn(&mut serde_json::Value, &mut Vec<u8>)) {
    let path = dir.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut data = bytes[8 + length..].to_vec();
    change(&mut header, &mut data);
    let header = header.to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend(data);
    fs::write(path, bytes).unwrap();
}

#[test]
fn weights_that_were_made_to_harm_are_refused_with_the_reason() {
    let words = "embeddings.word_embeddings.weight";
    let spoilt = |change: &dyn Fn(&mut serde_json::Value, &mut Vec<u8>)| {
        refused(json!({}), |dir| change_weights(dir, change))
    };
    for (found, wanted) in [
        (
            // Two tensors of the same bytes.
            spoilt(&|header, _| {
                let first = header[words]["data_offsets"].clone();
                let names: Vec<String> = header.as_object().unwrap().keys().cloned().collect();
                let other = names.iter().find(|name| *name != words && *name != "__metadata__");
                header[other.unwrap()]["data_offsets"] = first;
            }),
            "expected to begin at",
        ),
        (
            spoilt(&|header, _| {
                for at in 0..100_000 {
                    header[format!("t{at}")] =
                        json!({"dtype": "F32", "shape": [0], "data_offsets": [0, 0]});
                }
            }),
            "the most that a model has",
        ),
        (
            spoilt(&|header, _| header[words]["shape"] = json!([1_u64 << 40, 1_u64 << 40])),
            "has shape [1099511627776, 1099511627776]",
        ),
        (
            spoilt(&|header, data| {
                let at = header[words]["data_offsets"][0].as_u64().unwrap() as usize;
                data[at..at + 4].fill(0xff);
            }),
            "holds NaN at position 0",
        ),
        (
            spoilt(&|header, _| header[words]["dtype"] = json!("I64")),
            "has type I64: use F32, F16 or BF16",
        ),
        (spoilt(&|_, data| data.truncate(data.len() / 2)), "the file is damaged"),
    ] {
        assert!(found.contains(wanted), "{found}\nlacks: {wanted}");
    }
}

/// Cuts the weights into `files` files with an index, as transformers saves large models.
fn split_weights(dir: &Path, files: usize) {
    let path = dir.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut map = serde_json::Map::new();
    let mut own = vec![(serde_json::Map::new(), Vec::new()); files];
    let tensors = header.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__");
    for (at, (tensor, entry)) in tensors.enumerate() {
        let (header, data): &mut (_, Vec<u8>) = &mut own[at % files];
        let range = [0, 1].map(|end| entry["data_offsets"][end].as_u64().unwrap() as usize);
        let begin = data.len();
        data.extend(&bytes[8 + length..][range[0]..range[1]]);
        let mut entry = entry.clone();
        entry["data_offsets"] = json!([begin, data.len()]);
        header.insert(tensor.clone(), entry);
        map.insert(tensor.clone(), json!(format!("model-{}.safetensors", at % files)));
    }
    for (at, (header, data)) in own.into_iter().enumerate() {
        let header = serde_json::Value::from(header).to_string();
        let length = (header.len() as u64).to_le_bytes();
        let file = [&length[..], header.as_bytes(), &data].concat();
        fs::write(dir.join(format!("model-{at}.safetensors")), file).unwrap();
    }
    let index = json!({ "metadata": { "total_size": 1 }, "weight_map": map });
    fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

#[test]
fn weights_in_several_files_are_those_of_one() {
    let whole = copied();
    let texts = batch([Some("late flight"), Some("rain in the morning")]);
    let engine = embedder(whole.path(), &settings(json!({}))).unwrap();
    let wanted = vectors(&engine.run(&texts).unwrap());
    let split = copied();
    split_weights(split.path(), 3);
    let engine = embedder(split.path(), &settings(json!({}))).unwrap();
    assert_eq!(vectors(&engine.run(&texts).unwrap()), wanted);
    let names: Vec<&str> = engine.files().iter().map(|(name, _)| &**name).collect();
    for name in ["model.safetensors.index.json", "model-0.safetensors", "model-2.safetensors"] {
        assert!(names.contains(&name), "{names:?}");
    }
    // Where the whole is there too, it is what is read.
    fs::write(whole.path().join("model.safetensors.index.json"), "no JSON").unwrap();
    embedder(whole.path(), &settings(json!({}))).unwrap();
}

#[test]
fn what_is_wrong_with_several_files_is_named() {
    let spoilt = |change: &dyn Fn(&Path)| {
        refused(json!({}), |dir| {
            split_weights(dir, 3);
            change(dir);
        })
    };
    let index = "model.safetensors.index.json";
    let one = |file: &str| json!({ "embeddings.word_embeddings.weight": file });
    for (found, wanted) in [
        (
            spoilt(&|dir| fs::remove_file(dir.join("model-1.safetensors")).unwrap()),
            "the model lacks DIR/model-1.safetensors",
        ),
        (
            spoilt(&|dir| set(dir, index, "weight_map", one("../model-1.safetensors"))),
            "weight_map is `../model-1.safetensors`, and this engine supports files of safetensors",
        ),
        (
            spoilt(&|dir| set(dir, index, "weight_map", one("model.bin"))),
            "weight_map is `model.bin`",
        ),
        (
            spoilt(&|dir| set(dir, index, "weight_map", json!({}))),
            "files of weight_map is 0, expected 1 to 256",
        ),
        (
            spoilt(&|dir| set(dir, index, "weight_map", one("model-1.safetensors"))),
            "is missing: use the config.json and model.safetensors of one model",
        ),
        (
            spoilt(&|dir| {
                let from = dir.join("model-1.safetensors");
                fs::copy(from, dir.join("model-2.safetensors")).map(|_| ()).unwrap();
            }),
            "is in two files of the model",
        ),
        (
            spoilt(&|dir| {
                let bytes = fs::read(dir.join("model-2.safetensors")).unwrap();
                fs::write(dir.join("model-2.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
            }),
            "DIR/model-2.safetensors cannot be used",
        ),
    ] {
        assert!(found.contains(wanted), "{found}\nlacks: {wanted}");
    }
}

#[test]
fn no_damage_to_a_file_makes_loading_panic() {
    for file in [
        "config.json",
        "tokenizer.json",
        "modules.json",
        "1_Pooling/config.json",
        "model.safetensors",
    ] {
        let dir = copied();
        let path = dir.path().join(file);
        // Without white space at the end, which JSON can do without.
        let whole = fs::read(&path).unwrap();
        let whole = if file.ends_with(".json") { whole.trim_ascii_end() } else { &whole };
        let step = whole.len().min(4_000) / 60 + 1;
        for at in (0..whole.len().min(4_000)).step_by(step) {
            let mut damaged = whole.to_vec();
            damaged[at] ^= 1 << (at % 7);
            fs::write(&path, &damaged).unwrap();
            // Most are refused; a changed weight or word makes another model.
            let _ = embedder(dir.path(), &settings(json!({})));
            fs::write(&path, &whole[..at]).unwrap();
            embedder(dir.path(), &settings(json!({}))).unwrap_err();
        }
    }
}

#[test]
fn a_tokenizer_that_repeats_or_adds_nothing_harms_no_other_row() {
    for (template, empty) in [
        (
            json!([{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 1}}]),
            true,
        ),
        (json!([{"Sequence": {"id": "A", "type_id": 0}}]), true),
        (
            json!([{"SpecialToken": {"id": "[CLS]", "type_id": 1}}, {"Sequence": {"id": "A", "type_id": 0}}]),
            false,
        ),
    ] {
        let dir = copied();
        let path = dir.path().join("tokenizer.json");
        let mut json: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        json["post_processor"]["single"] = template;
        fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
        let engine = embedder(dir.path(), &settings(json!({}))).unwrap();
        let long = "late flight ".repeat(30);
        let scored = engine.run(&batch([Some(long.as_str()), Some(""), Some("rain")])).unwrap();
        let alone = engine.run(&batch([Some("rain")])).unwrap();
        assert_eq!(vectors(&scored)[2], vectors(&alone)[0]);
        assert_eq!(scored.rejects.iter().any(|reject| reject.row == 1), empty);
    }
}

mod device;
mod families;
mod labels;
