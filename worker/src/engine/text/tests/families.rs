//! Every family against sentence-transformers and transformers (`tests/text/families.py`).

use super::*;
use crate::engine::TextCounts;

pub(super) const EMBEDDERS: [&str; 7] = [
    "roberta_embed",
    "xlmr_embed",
    "mpnet_embed",
    "modernbert_embed",
    "qwen3_embed",
    "qwen2_embed",
    "llama_embed",
];

#[derive(Deserialize)]
struct Reference<C> {
    #[serde(default)]
    texts: Vec<String>,
    #[serde(default)]
    queries: Vec<String>,
    cases: Vec<C>,
}

#[derive(Deserialize)]
struct Embedded {
    settings: serde_json::Value,
    embeddings: Vec<Vec<f32>>,
    tokens: u64,
    cut_rows: u64,
}

#[derive(Deserialize)]
struct Labelled {
    config: serde_json::Map<String, serde_json::Value>,
    scores: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Paired {
    scores: Vec<f32>,
}

pub(super) fn families() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/text/families")
}

fn read<C: serde::de::DeserializeOwned>(name: &str) -> Reference<C> {
    serde_json::from_slice(&fs::read(families().join(format!("{name}.json"))).unwrap()).unwrap()
}

pub(super) fn texts() -> Vec<String> {
    read::<()>("texts").texts
}

/// A copy of a stored model that a test may change.
fn copy(name: &str) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    let from = families().join(name);
    for folder in ["", "1_Pooling"].map(|folder| from.join(folder)) {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let to = to.path().join(folder.strip_prefix(&from).unwrap());
        fs::create_dir_all(&to).unwrap();
        for path in entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
    to
}

fn near(found: f32, wanted: f32) -> bool {
    (found - wanted).abs() < 2e-5 * (1.0 + wanted.abs())
}

fn floats(column: &ArrayRef) -> Vec<f32> {
    column.as_primitive::<Float32Type>().values().to_vec()
}

fn classifier(dir: &Path) -> Result<TextEngine, LoadError> {
    let wanted = TextSettings { all_scores: true, ..TextSettings::of("body") };
    TextEngine::load(dir, &Task::Classify(wanted.clone()), &wanted)
}

#[test]
fn embeddings_of_all_families_are_those_of_sentence_transformers() {
    let texts = texts();
    for model in EMBEDDERS {
        let Reference { cases, .. } = read::<Embedded>(model);
        for Embedded { settings: wanted, embeddings, tokens, cut_rows } in cases {
            let engine = embedder(&families().join(model), &settings(wanted.clone())).unwrap();
            let scored = engine.run(&batch(texts.iter().map(|text| Some(text.as_str())))).unwrap();
            // A text without tokens has no last one.
            let empty = embeddings.iter().filter(|own| own.is_empty()).count();
            let rejects = &scored.rejects;
            assert!(rejects.len() <= empty, "{model}: {rejects:?}");
            assert!(cut_rows > 0, "{model}: the reference cuts nothing");
            if empty == 0 {
                assert_eq!(scored.text, TextCounts { tokens, cut_rows }, "{model} {wanted}");
            }
            let found = vectors(&scored);
            assert_eq!(found.len(), embeddings.len());
            for ((found, wanted), text) in found.iter().zip(&embeddings).zip(&texts) {
                if wanted.is_empty() {
                    continue;
                }
                let close = cosine(found, wanted);
                assert!(
                    found.len() == wanted.len()
                        && found.iter().zip(wanted).all(|(a, b)| near(*a, *b))
                        && close > 0.999_99,
                    "{model} {text:?}: cosine {close}, {found:?} for {wanted:?}"
                );
            }
        }
    }
}

#[test]
fn labels_of_all_families_are_those_of_transformers() {
    let texts = texts();
    for model in ["roberta_classify", "mpnet_classify", "modernbert_classify"] {
        let Reference { cases, .. } = read::<Labelled>(model);
        for Labelled { config, scores } in cases {
            let dir = copy(model);
            for (field, value) in &config {
                set(dir.path(), "config.json", field, value.clone());
            }
            let engine = classifier(dir.path()).unwrap();
            let scored = engine.run(&batch(texts.iter().map(|text| Some(text.as_str())))).unwrap();
            assert!(scored.rejects.is_empty(), "{model}: {:?}", scored.rejects);
            let all = scored.columns[2].as_fixed_size_list();
            for (row, wanted) in scores.iter().enumerate() {
                let found = floats(&all.value(row));
                assert!(
                    found.iter().zip(wanted).all(|(a, b)| near(*a, *b)),
                    "{model} {config:?} {:?}: {found:?} for {wanted:?}",
                    texts[row]
                );
            }
        }
    }
}

#[test]
fn scores_of_pairs_of_xlm_roberta_are_those_of_a_cross_encoder() {
    let texts = texts();
    let Reference { queries, cases, .. } = read::<Paired>("xlmr_rerank");
    let wanted = TextSettings { query: Some("q".to_owned()), ..TextSettings::of("body") };
    let dir = families().join("xlmr_rerank");
    let engine = TextEngine::load(&dir, &Task::Rerank(wanted.clone()), &wanted).unwrap();
    let column = |texts: &[String]| -> ArrayRef { Arc::new(StringArray::from_iter_values(texts)) };
    let pairs = RecordBatch::try_from_iter([("q", column(&queries)), ("body", column(&texts))]);
    let scored = engine.run(&pairs.unwrap()).unwrap();
    assert!(scored.rejects.is_empty() && scored.text.cut_rows > 3);
    for ((found, wanted), text) in
        floats(&scored.columns[0]).iter().zip(&cases[0].scores).zip(texts)
    {
        assert!(near(*found, *wanted), "{text:?}: {found} for {wanted}");
    }
}

#[test]
fn a_row_of_any_family_has_the_same_bits_alone_and_on_any_instruction_set() {
    let texts = texts();
    let some: Vec<&str> = texts.iter().step_by(3).map(String::as_str).collect();
    for model in EMBEDDERS {
        let dir = families().join(model);
        let alone = embedder(&dir, &settings(json!({}))).unwrap();
        for isa in Isa::available() {
            let engine = with_isa(&dir, &settings(json!({})), isa).unwrap();
            let together = vectors(&engine.run(&batch(some.iter().copied().map(Some))).unwrap());
            for (text, found) in some.iter().zip(together) {
                let wanted = vectors(&alone.run(&batch([Some(*text)])).unwrap()).remove(0);
                let same = found.iter().zip(&wanted).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{model} on {}: {text:?}", isa.name());
            }
        }
    }
}

#[test]
fn a_text_of_megabytes_is_its_beginning_in_any_family() {
    for model in EMBEDDERS {
        let engine = embedder(&families().join(model), &settings(json!({}))).unwrap();
        for word in ["late flight ", "夜班 ", "a, ", "\n\n7 ", "I'll\u{3000}", "x"] {
            let (long, short) = (word.repeat(3 << 16), word.repeat(3_000));
            let scored = engine.run(&batch([Some(long.as_str()), Some(&short)])).unwrap();
            assert!(scored.rejects.is_empty(), "{model} {word:?}: {:?}", scored.rejects);
            let found = vectors(&scored);
            assert_eq!(found[0], found[1], "{model} {word:?}");
        }
    }
}

/// The error of loading, with its sources, for a model that `change` spoilt.
fn refused(model: &str, change: impl Fn(&Path)) -> String {
    let dir = copy(model);
    change(dir.path());
    let loaded = match model.ends_with("_classify") {
        true => classifier(dir.path()),
        false => embedder(dir.path(), &settings(json!({}))),
    };
    crate::describe(&loaded.unwrap_err())
}

#[test]
fn models_of_other_shapes_are_refused_with_the_remedy() {
    let regex = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
    ]});
    let charsmap = json!({"type": "Precompiled", "precompiled_charsmap": "/////w=="});
    let rope = json!({"rope_type": "yarn", "rope_theta": 10000.0});
    let cases = [
        ("roberta_embed", "config.json", "pad_token_id", json!(65), "pad_token_id is `65`"),
        ("roberta_embed", "config.json", "pad_token_id", json!(-1), "pad_token_id is `-1`"),
        ("roberta_embed", "config.json", "is_decoder", json!(true), "is_decoder is `true`"),
        ("roberta_embed", "config.json", "type_vocab_size", json!(2), "token_type_embeddings"),
        ("roberta_embed", "tokenizer.json", "pre_tokenizer", regex.clone(), "`Sequence`"),
        ("roberta_classify", "config.json", "hidden_size", json!(32), "tensor `classifier.dense"),
        (
            "xlmr_embed",
            "tokenizer.json",
            "normalizer",
            charsmap,
            "`precompiled_charsmap` is damaged",
        ),
        ("xlmr_embed", "tokenizer.json", "pre_tokenizer", json!(null), "pre_tokenizer is `none`"),
        (
            "mpnet_embed",
            "config.json",
            "relative_attention_num_buckets",
            json!(30),
            "relative_attention_num_buckets is 30, expected a multiple of 4",
        ),
        (
            "mpnet_embed",
            "config.json",
            "relative_attention_num_buckets",
            json!(64),
            "encoder.relative_attention_bias.weight",
        ),
        (
            "modernbert_embed",
            "config.json",
            "layer_types",
            json!(["full_attention"]),
            "layer_types is 1",
        ),
        (
            "modernbert_embed",
            "config.json",
            "layer_types",
            json!(["odd", "odd", "odd", "odd"]),
            "layer_types is `odd`",
        ),
        ("modernbert_embed", "config.json", "local_attention", json!(0), "local_attention is 0"),
        ("modernbert_embed", "config.json", "norm_bias", json!(true), "mlp_norm.bias"),
        ("modernbert_embed", "config.json", "hidden_activation", json!("mish"), "is `mish`"),
        ("modernbert_classify", "config.json", "classifier_pooling", json!("max"), "is `max`"),
        ("modernbert_classify", "config.json", "classifier_bias", json!(true), "head.dense.bias"),
        ("qwen3_embed", "config.json", "head_dim", json!(1_000_000), "expected 1 to 512"),
        ("qwen3_embed", "config.json", "head_dim", json!(15), "head_dim is 15, expected an even"),
        (
            "qwen3_embed",
            "config.json",
            "num_key_value_heads",
            json!(3),
            "num_key_value_heads is 3, expected a divisor of the 4 heads",
        ),
        ("qwen3_embed", "config.json", "num_key_value_heads", json!(1), "self_attn.k_proj.weight"),
        ("qwen3_embed", "config.json", "rope_parameters", rope, "rope_type is `yarn`"),
        (
            "qwen3_embed",
            "config.json",
            "rope_parameters",
            json!({"rope_theta": -1.0}),
            "rope_theta is `-1`",
        ),
        ("qwen3_embed", "config.json", "use_sliding_window", json!(true), "use_sliding_window"),
        ("qwen2_embed", "config.json", "is_causal", json!(false), "is_causal is `false`"),
        ("llama_embed", "config.json", "attention_bias", json!(true), "self_attn.q_proj.bias"),
        ("llama_embed", "tokenizer.json", "pre_tokenizer", regex, "pre_tokenizer is `Sequence`"),
    ];
    let mut others = Vec::new();
    for (model, file, field, value, says) in cases {
        let found = refused(model, |dir| set(dir, file, field, value.clone()));
        if !found.contains(says) {
            others.push(format!("{model} {field}: {found}\nlacks: {says}"));
        }
    }
    assert!(others.is_empty(), "{others:#?}");
    let classify = classifier(&families().join("qwen3_embed")).unwrap_err();
    assert!(crate::describe(&classify).contains("architectures is `Qwen3Model`"));
}

#[test]
fn no_damage_to_a_file_of_any_family_makes_loading_panic() {
    for model in EMBEDDERS {
        let dir = copy(model);
        for file in ["config.json", "tokenizer.json", "model.safetensors"] {
            let path = dir.path().join(file);
            let whole = fs::read(&path).unwrap();
            let step = whole.len().min(9_000) / 40 + 1;
            for at in (0..whole.len().min(9_000)).step_by(step) {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << (at % 7);
                fs::write(&path, &damaged).unwrap();
                // Most are refused; a changed weight or word makes another model.
                if let Ok(engine) = embedder(dir.path(), &settings(json!({}))) {
                    let _ = engine.run(&batch([Some("late ﬁ flight\u{3000}夜")]));
                }
            }
            fs::write(&path, &whole).unwrap();
        }
    }
}
