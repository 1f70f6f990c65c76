//! What a GGUF file says about a model and its tokenizer, in the words of transformers.

use serde_json::{Map, Value as Json, json};

use super::Gguf;
use super::header::{GgufError, Header, Value};
use crate::engine::tabular::{TensorSpec, clip};

/// How words are parted, by the name that llama.cpp has for it.
const SPLITS: &str = "`smollm`, `gpt-2`, `qwen2` and `llama-bpe`";
/// The tokens that a text may not spell out by itself: those of control.
const CONTROL: i64 = 3;
/// Tokens that a user added.
const ADDED: i64 = 4;

/// A model as transformers describes it.
pub(in crate::engine::text::generate) struct Described {
    /// `config.json`.
    pub(in crate::engine::text::generate) config: Json,
    /// `tokenizer.json`.
    pub(in crate::engine::text::generate) tokenizer: Vec<u8>,
    /// The template of chats, if there is one.
    pub(in crate::engine::text::generate) chat: Option<String>,
    /// Tokens that end a text.
    pub(in crate::engine::text::generate) ends: Vec<u32>,
}

impl Described {
    /// What `gguf` says.
    pub(in crate::engine::text::generate) fn of(gguf: &Gguf) -> Result<Self, GgufError> {
        let header = &gguf.header;
        let chat = match header.get("tokenizer.chat_template") {
            Some(Value::Text(template)) => Some(template.clone()),
            _ => None,
        };
        let ends = ["eos", "eot", "eom"].iter().filter_map(|name| {
            header.optional_count(&format!("tokenizer.ggml.{name}_token_id")).transpose()
        });
        let ends = ends.map(|end| end.map(|end| end as u32)).collect::<Result<_, _>>()?;
        let tokens = texts(header, "tokenizer.ggml.tokens")?;
        Ok(Self {
            config: config(gguf, tokens.len())?,
            tokenizer: tokenizer(header, tokens)?,
            chat,
            ends,
        })
    }
}

fn texts<'a>(header: &'a Header, key: &str) -> Result<&'a [String], GgufError> {
    match header.get(key) {
        Some(Value::Texts(texts)) => Ok(texts),
        Some(_) => Err(GgufError::Value { key: key.to_owned(), expected: "a list of texts" }),
        None => Err(GgufError::Missing { key: key.to_owned() }),
    }
}

/// `config.json` of a model of so many tokens.
fn config(gguf: &Gguf, tokens: usize) -> Result<Json, GgufError> {
    let header = &gguf.header;
    let family = header.text("general.architecture")?;
    let architecture = match family {
        "llama" => "LlamaForCausalLM",
        "qwen2" => "Qwen2ForCausalLM",
        "qwen3" => "Qwen3ForCausalLM",
        other => {
            let supported = "`llama`, `qwen2` and `qwen3`";
            let (key, found) = ("general.architecture", clip(other));
            return Err(GgufError::Unsupported { key, found, supported });
        }
    };
    let count = |name: &str| header.count(&format!("{family}.{name}"));
    let optional = |name: &str| header.optional_count(&format!("{family}.{name}"));
    let float = |name: &str| match header.get(&format!("{family}.{name}")) {
        Some(Value::Float(number)) => Ok(Some(*number)),
        Some(_) => {
            let key = format!("{family}.{name}");
            Err(GgufError::Value { key, expected: "a number" })
        }
        None => Ok(None),
    };
    if optional("expert_count")?.is_some_and(|experts| experts > 0) {
        let (key, found) = ("expert_count", "above 0".to_owned());
        return Err(GgufError::Unsupported { key, found, supported: "models without experts" });
    }
    let (hidden, heads) = (count("embedding_length")?, count("attention.head_count")?);
    let width = optional("attention.key_length")?.unwrap_or(hidden / heads.max(1));
    if let Some(turned) = optional("rope.dimension_count")?.filter(|turned| *turned != width) {
        let (key, found) = ("rope.dimension_count", turned.to_string());
        return Err(GgufError::Unsupported { key, found, supported: "the width of a head" });
    }
    let theta = float("rope.freq_base")?.unwrap_or(10_000.0);
    let rotations = rotations(gguf, family, theta, width)?;
    let has_bias = gguf.has("layers.0.self_attn.q_proj.bias");
    Ok(json!({
        "architectures": [architecture],
        "hidden_size": hidden,
        "num_hidden_layers": count("block_count")?,
        "num_attention_heads": heads,
        "num_key_value_heads": optional("attention.head_count_kv")?,
        "head_dim": width,
        "intermediate_size": count("feed_forward_length")?,
        "vocab_size": tokens,
        "max_position_embeddings": count("context_length")?,
        // As numbers of 32 bits are written, so that the same decimals come back.
        "rms_norm_eps": float("attention.layer_norm_rms_epsilon")?,
        "rope_parameters": rotations,
        "hidden_act": "silu",
        "attention_bias": has_bias && family != "qwen2",
        "tie_word_embeddings": !gguf.has("lm_head.weight"),
    }))
}

/// `rope_parameters`: scaled by one factor, or by one for each pair, which lie in a tensor.
fn rotations(gguf: &Gguf, family: &str, theta: f64, width: usize) -> Result<Json, GgufError> {
    let header = &gguf.header;
    let kind = match header.get(&format!("{family}.rope.scaling.type")) {
        Some(Value::Text(kind)) => kind.as_str(),
        _ => "none",
    };
    if header.tensor("rope_freqs.weight").is_some() {
        let spec = TensorSpec { name: "rope_freqs.weight".to_owned(), shape: vec![width / 2] };
        let Ok(factors) = gguf.tensor(&spec) else {
            let key = spec.name;
            return Err(GgufError::Value { key, expected: "a number for each pair of a head" });
        };
        return Ok(json!({ "rope_type": "factors", "rope_theta": theta, "factors": factors }));
    }
    match (kind, header.get(&format!("{family}.rope.scaling.factor"))) {
        ("none", _) => Ok(json!({ "rope_theta": theta })),
        ("linear", Some(Value::Float(factor))) => {
            Ok(json!({ "rope_type": "linear", "rope_theta": theta, "factor": factor }))
        }
        (other, _) => {
            let (key, supported) = ("rope.scaling.type", "`none`, and `linear` with its factor");
            Err(GgufError::Unsupported { key, found: clip(other), supported })
        }
    }
}

/// `tokenizer.json`.
fn tokenizer(header: &Header, tokens: &[String]) -> Result<Vec<u8>, GgufError> {
    match header.text("tokenizer.ggml.model")? {
        "gpt2" => {}
        other => {
            let (key, found) = ("tokenizer.ggml.model", clip(other));
            return Err(GgufError::Unsupported { key, found, supported: "`gpt2`" });
        }
    }
    let mut vocabulary = Map::new();
    for (at, token) in tokens.iter().enumerate() {
        if vocabulary.insert(token.clone(), at.into()).is_some() {
            return Err(GgufError::Twice { name: clip(token) });
        }
    }
    let key = "tokenizer.ggml.token_type";
    let kinds: &[i64] = match header.get(key) {
        Some(Value::Wholes(kinds)) if kinds.len() == tokens.len() => kinds,
        None => &[],
        Some(_) => {
            let expected = "a number for each token";
            return Err(GgufError::Value { key: key.to_owned(), expected });
        }
    };
    let is_added = |(_, (_, kind)): &(usize, (&String, &i64))| [CONTROL, ADDED].contains(kind);
    let added = tokens.iter().zip(kinds).enumerate().filter(is_added);
    let added = added.map(|(id, (content, kind))| {
        json!({
            "id": id, "content": content, "special": *kind == CONTROL, "normalized": false,
            "single_word": false, "lstrip": false, "rstrip": false,
        })
    });
    let added: Vec<Json> = added.collect();
    let pre = match header.get("tokenizer.ggml.pre") {
        Some(Value::Text(pre)) => pre.as_str(),
        _ => "none",
    };
    let bytes = |has_regex: bool| {
        json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
            "use_regex": has_regex,
        })
    };
    let sequence =
        |first: Json, second: Json| json!({"type": "Sequence", "pretokenizers": [first, second]});
    let split = |pattern: &str| {
        let pattern = json!({"Regex": pattern});
        json!({"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false})
    };
    use crate::engine::text::tokens::parts::{LLAMA, QWEN};
    let splits = match pre {
        "smollm" => sequence(json!({"type": "Digits", "individual_digits": true}), bytes(true)),
        "gpt-2" => bytes(true),
        "qwen2" => sequence(split(QWEN), bytes(false)),
        "llama-bpe" | "llama3" => sequence(split(LLAMA), bytes(false)),
        other => {
            let (key, found) = ("tokenizer.ggml.pre", clip(other));
            return Err(GgufError::Unsupported { key, found, supported: SPLITS });
        }
    };
    let is_llama = matches!(pre, "llama-bpe" | "llama3");
    let json = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": if pre == "qwen2" { json!({"type": "NFC"}) } else { Json::Null },
        "pre_tokenizer": splits,
        "post_processor": first_token(header, tokens, is_llama)?,
        "decoder": bytes(true),
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false,
            "byte_fallback": false, "ignore_merges": is_llama, "vocab": vocabulary,
            "merges": texts(header, "tokenizer.ggml.merges")?,
        },
    });
    Ok(json.to_string().into_bytes())
}

/// What puts the first token before each text, where the model has one; `usual` is whether it has
/// if the file does not say.
fn first_token(header: &Header, tokens: &[String], usual: bool) -> Result<Json, GgufError> {
    let has = match header.get("tokenizer.ggml.add_bos_token") {
        Some(Value::Bool(has)) => *has,
        _ => usual,
    };
    if !has {
        return Ok(Json::Null);
    }
    let key = "tokenizer.ggml.bos_token_id";
    let id = header.count(key)?;
    let wrong = || GgufError::Value { key: key.to_owned(), expected: "a token of the vocabulary" };
    let token = tokens.get(id).ok_or_else(wrong)?;
    let first = json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    Ok(json!({
        "type": "TemplateProcessing",
        "single": [first, text("A")],
        "pair": [first, text("A"), text("B")],
        "special_tokens": {(token.as_str()): {"id": token, "ids": [id], "tokens": [token]}},
    }))
}
