//! Labels and scores of pairs against transformers and sentence-transformers
//! (`tests/text/reference.py`).

use std::collections::BTreeMap;

use arrow::array::Float32Array;

use super::*;

#[derive(Deserialize)]
struct Labelled {
    texts: Vec<String>,
    cases: Vec<LabelledCase>,
}

#[derive(Deserialize)]
struct LabelledCase {
    problem_type: Option<String>,
    scores: Vec<BTreeMap<String, f32>>,
}

#[derive(Deserialize)]
struct Paired {
    queries: Vec<String>,
    texts: Vec<String>,
    cases: Vec<PairedCase>,
}

#[derive(Deserialize)]
struct PairedCase {
    activation: Option<String>,
    scores: Vec<f32>,
}

#[derive(Deserialize)]
struct Embedded {
    texts: Vec<String>,
    embeddings: Vec<Vec<f32>>,
}

pub(super) fn references() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/text/tiny")
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&fs::read(references().join(name)).unwrap()).unwrap()
}

/// A copy of a stored model that a test may change.
fn copy(name: &str) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(references().join(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

fn classifier(dir: &Path) -> Result<TextEngine, LoadError> {
    let wanted = TextSettings { all_scores: true, ..TextSettings::of("body") };
    TextEngine::load(dir, &Task::Classify(wanted.clone()), &wanted)
}

fn ranker(dir: &Path) -> Result<TextEngine, LoadError> {
    let wanted = TextSettings { query: Some("q".to_owned()), ..TextSettings::of("body") };
    TextEngine::load(dir, &Task::Rerank(wanted.clone()), &wanted)
}

pub(super) fn pairs(queries: &[String], texts: &[String]) -> RecordBatch {
    let column = |texts: &[String]| -> ArrayRef { Arc::new(StringArray::from_iter_values(texts)) };
    // In another order than the model reads them.
    RecordBatch::try_from_iter([("body", column(texts)), ("q", column(queries))]).unwrap()
}

fn floats(column: &ArrayRef) -> Vec<f32> {
    column.as_primitive::<Float32Type>().values().to_vec()
}

#[test]
fn labels_are_those_of_transformers() {
    for model in ["classify", "distil_classify"] {
        let Labelled { texts, cases } = read(&format!("{model}.json"));
        for LabelledCase { problem_type, scores } in cases {
            let dir = copy(model);
            set(dir.path(), "config.json", "problem_type", json!(problem_type));
            let engine = classifier(dir.path()).unwrap();
            let scored = engine.run(&batch(texts.iter().map(|text| Some(text.as_str())))).unwrap();
            assert!(scored.rejects.is_empty());
            let labels = scored.columns[0].as_string::<i32>();
            let best = floats(&scored.columns[1]);
            let all = scored.columns[2].as_fixed_size_list();
            for (row, wanted) in scores.iter().enumerate() {
                let found = floats(&all.value(row));
                let names = ["on time", "late", "cancelled"];
                for (name, found) in names.iter().zip(&found) {
                    let near = (found - wanted[*name]).abs() < 2e-5 * (1.0 + wanted[*name].abs());
                    assert!(near, "{model} {problem_type:?} {:?}: {found} {wanted:?}", texts[row]);
                }
                let most = wanted.values().copied().fold(f32::NEG_INFINITY, f32::max);
                assert!((wanted[labels.value(row)] - most).abs() < 2e-5, "{wanted:?}");
                assert_eq!(best[row], found.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            }
        }
    }
}

#[test]
fn scores_of_pairs_are_those_of_a_cross_encoder() {
    let Paired { queries, texts, cases } = read("rerank.json");
    assert_eq!(cases.len(), 3);
    for PairedCase { activation, scores } in cases {
        let dir = copy("rerank");
        if let Some(activation) = &activation {
            let named = json!({ "activation_fn": activation });
            set(dir.path(), "config.json", "sentence_transformers", named);
        }
        let engine = ranker(dir.path()).unwrap();
        let scored = engine.run(&pairs(&queries, &texts)).unwrap();
        assert!(scored.rejects.is_empty());
        assert!(scored.text.cut_rows > 0, "no pair of the reference is too long");
        for ((found, wanted), text) in floats(&scored.columns[0]).iter().zip(&scores).zip(&texts) {
            let near = (found - wanted).abs() < 2e-5 * (1.0 + wanted.abs());
            assert!(near, "{activation:?} {text:?}: {found}, not {wanted}");
        }
        // Alone: the same bits, also of a text that is cut at the edge of what is looked at.
        for at in 0..texts.len() {
            let alone = engine.run(&pairs(&queries[at..=at], &texts[at..=at])).unwrap();
            let bits = |column: &ArrayRef, at: usize| floats(column)[at].to_bits();
            assert_eq!(bits(&alone.columns[0], 0), bits(&scored.columns[0], at));
        }
    }
}

#[test]
fn a_long_pair_is_cut_as_a_whole_one_would_be() {
    let engine = ranker(&references().join("rerank")).unwrap();
    let words = "late flight to new york ".repeat(100_000);
    let begin = "late flight to new york ".repeat(100);
    let score = |query: &str, text: &str| {
        let scored = engine.run(&pairs(&[query.to_owned()], &[text.to_owned()])).unwrap();
        let scores: &Float32Array = scored.columns[0].as_primitive();
        (scores.value(0).to_bits(), scored.text.cut_rows)
    };
    assert_eq!(score("snow", &words), score("snow", &begin));
    assert_eq!(score(&words, "snow"), score(&begin, "snow"));
    assert_eq!(score(&words, &words), score(&begin, &begin));
    assert_eq!(score("snow", "storm").1, 0);
}

#[test]
fn embeddings_of_distilbert_are_those_of_sentence_transformers() {
    let Embedded { texts, embeddings } = read("distil_embed.json");
    let engine = embedder(&references().join("distil_embed"), &settings(json!({}))).unwrap();
    let scored = engine.run(&batch(texts.iter().map(|text| Some(text.as_str())))).unwrap();
    for ((found, wanted), text) in vectors(&scored).iter().zip(&embeddings).zip(&texts) {
        let near = found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 2e-5 * (1.0 + b.abs()));
        assert!(near && found.len() == wanted.len(), "{text:?}: {found:?} for {wanted:?}");
    }
}

#[test]
fn a_row_without_query_or_text_is_a_reject_that_names_the_column() {
    let engine = ranker(&references().join("rerank")).unwrap();
    let column = |texts: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
    let queries = column(vec![Some("late"), None, Some("snow"), None]);
    let texts = column(vec![Some("flight"), Some("storm"), None, None]);
    let batch =
        RecordBatch::try_from_iter_with_nullable([("q", queries, true), ("body", texts, true)]);
    let scored = engine.run(&batch.unwrap()).unwrap();
    let found: Vec<(usize, &str)> =
        scored.rejects.iter().map(|r| (r.row, r.column.as_deref().unwrap())).collect();
    assert_eq!(found, [(1, "q"), (2, "body"), (3, "q")]);
    assert!(scored.rejects.iter().all(|r| r.reason == RejectReason::MissingValue));
}

#[test]
fn models_that_do_not_fit_the_task_are_refused() {
    let dir = copy("classify");
    let text = |error: LoadError| crate::describe(&error);
    let refused = text(ranker(dir.path()).unwrap_err());
    assert!(refused.contains("the number of labels is 3, expected 1"), "{refused}");
    let refused = text(embedder(dir.path(), &settings(json!({}))).unwrap_err());
    assert!(
        refused.contains("this engine supports `BertModel` and those of DistilBERT"),
        "{refused}"
    );
    let refused = text(classifier(&stored().join("model")).unwrap_err());
    assert!(refused.contains("`BertForSequenceClassification`"), "{refused}");
    for (field, value, says) in [
        ("id2label", json!({"0": "a", "2": "b", "3": "c"}), "labels 0, 1, 2"),
        ("id2label", json!({"0": "a", "1": "b"}), "classifier.weight"),
        ("id2label", json!({}), "id2label is 0"),
        ("problem_type", json!("other"), "problem_type is `other`"),
    ] {
        let dir = copy("classify");
        set(dir.path(), "config.json", field, value);
        let refused = text(classifier(dir.path()).unwrap_err());
        assert!(refused.contains(says), "{field}: {refused}");
    }
    let dir = copy("rerank");
    let named = json!({ "activation_fn": "torch.nn.modules.activation.Tanh" });
    set(dir.path(), "config.json", "sentence_transformers", named);
    let refused = text(ranker(dir.path()).unwrap_err());
    assert!(refused.contains("activation_fn is `Tanh`"), "{refused}");
}
