//! Which parts of tokenizers are taken.
//!
//! A `tokenizer.json` may come from anywhere. The parts below run in time that grows with a text
//! as its length does, and say where a long text can be cut beforehand. Regular expressions are
//! taken where they are one of those that model families share: a file cannot bring its own.

use serde_json::Value;

use super::charsmap;
use crate::engine::tabular::clip;
use crate::engine::text::TextError;
use crate::engine::text::settings::unsupported;

/// Where a long text may be cut, so that the tokens before the cut stay the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::text) enum Cut {
    /// Before white space, and between two common ideographs.
    Words,
    /// Before a space that follows something else.
    Spaces,
}

/// How Qwen2 and those after it part words.
pub(in crate::engine::text) const QWEN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// How Llama 3 parts words.
pub(in crate::engine::text) const LLAMA: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Several spaces.
const SPACES: &str = " {2,}";

/// Refuses a tokenizer of other parts than those of BERT, RoBERTa, XLM-RoBERTa and the families
/// after them, and says where it lets texts be cut.
pub(in crate::engine::text) fn check(bytes: &[u8]) -> Result<Cut, TextError> {
    let json: Value = serde_json::from_slice(bytes).map_err(|source| TextError::Json { source })?;
    let model = json.get("model").unwrap_or(&Value::Null);
    let cut = match kind(model) {
        "WordPiece" => {
            part(&json, "normalizer", "`BertNormalizer`", |own| kind(own) == "BertNormalizer")?;
            let supported = "`BertPreTokenizer`";
            part(&json, "pre_tokenizer", supported, |own| kind(own) == "BertPreTokenizer")?;
            check_unknown(model)?;
            Cut::Words
        }
        "BPE" => {
            part(&json, "normalizer", "none and `NFC`", |own| matches!(kind(own), "none" | "NFC"))?;
            let supported = "`ByteLevel`, with the pattern of GPT-2, SmolLM, Qwen2 or Llama 3";
            let splits = json.get("pre_tokenizer").unwrap_or(&Value::Null);
            if !is_byte_level(splits) {
                return unsupported("pre_tokenizer", &named(splits), supported);
            }
            if model.get("dropout").is_some_and(|dropout| !dropout.is_null()) {
                return unsupported("dropout", "on", "none: tokens must not be drawn by chance");
            }
            Cut::Spaces
        }
        "Unigram" => {
            let normalizer = json.get("normalizer").unwrap_or(&Value::Null);
            for own in parts(normalizer, "normalizers") {
                check_normalizer(own)?;
            }
            let splits = json.get("pre_tokenizer").unwrap_or(&Value::Null);
            let mut own = parts(splits, "pretokenizers").into_iter().map(kind).peekable();
            if own.peek().is_none()
                || own.any(|one| !["WhitespaceSplit", "Metaspace"].contains(&one))
            {
                let supported = "`WhitespaceSplit` and `Metaspace`";
                return unsupported("pre_tokenizer", &named(splits), supported);
            }
            if !model.get("unk_id").is_some_and(Value::is_u64) {
                let problem = "it has no `unk_id`, the token for unknown characters".to_owned();
                return Err(TextError::Tokenizer { problem });
            }
            Cut::Spaces
        }
        other => return unsupported("model", other, "`WordPiece`, `BPE` and `Unigram`"),
    };
    let after = json.get("post_processor").unwrap_or(&Value::Null);
    let known = ["TemplateProcessing", "BertProcessing", "RobertaProcessing", "ByteLevel"];
    let mut own = parts(after, "processors").into_iter().map(kind).peekable();
    // Models that write text need nothing around it.
    let may_be_none = kind(model) == "BPE";
    if own.peek().is_none() && !may_be_none || own.any(|one| !known.contains(&one)) {
        let supported =
            "`TemplateProcessing`, `BertProcessing`, `RobertaProcessing` and `ByteLevel`";
        return unsupported("post_processor", &named(after), supported);
    }
    check_added(&json, cut)?;
    Ok(cut)
}

/// The type of a part.
fn kind(part: &Value) -> &str {
    match part {
        Value::Null => "none",
        part => part.get("type").and_then(Value::as_str).unwrap_or("unknown"),
    }
}

/// What a message calls a part.
fn named(part: &Value) -> String {
    kind(part).to_owned()
}

/// Refuses a part that is not as it should be.
fn part(
    json: &Value,
    name: &'static str,
    supported: &'static str,
    is_known: impl Fn(&Value) -> bool,
) -> Result<(), TextError> {
    let own = json.get(name).unwrap_or(&Value::Null);
    if is_known(own) { Ok(()) } else { unsupported(name, kind(own), supported) }
}

/// The parts of a sequence, or the one part that there is; none of nothing.
fn parts<'a>(part: &'a Value, list: &str) -> Vec<&'a Value> {
    match (kind(part), part.get(list).and_then(Value::as_array)) {
        ("none", _) => Vec::new(),
        ("Sequence", Some(parts)) => parts.iter().collect(),
        _ => vec![part],
    }
}

fn is_byte_level(splits: &Value) -> bool {
    let is_bytes = |own: &Value, has_regex: bool| {
        let said = own.get("use_regex").and_then(Value::as_bool).unwrap_or(true);
        kind(own) == "ByteLevel" && said == has_regex
    };
    let is_shared = |own: &Value| {
        let pattern = own.get("pattern").and_then(|pattern| pattern.get("Regex"));
        let is_known = pattern.and_then(Value::as_str).is_some_and(|p| [QWEN, LLAMA].contains(&p));
        let is_isolated = own.get("behavior").and_then(Value::as_str) == Some("Isolated");
        let is_inverted = own.get("invert").and_then(Value::as_bool) == Some(true);
        kind(own) == "Split" && is_known && is_isolated && !is_inverted
    };
    let is_digits = |own: &Value| {
        kind(own) == "Digits" && own.get("individual_digits").and_then(Value::as_bool) == Some(true)
    };
    match parts(splits, "pretokenizers").as_slice() {
        [bytes] => is_bytes(bytes, true),
        [digits, bytes] if is_digits(digits) => is_bytes(bytes, true),
        [split, bytes] => is_shared(split) && is_bytes(bytes, false),
        _ => false,
    }
}

fn check_normalizer(own: &Value) -> Result<(), TextError> {
    match kind(own) {
        "NFC" | "NFKC" | "Strip" => Ok(()),
        "Precompiled" => charsmap::check(own.get("precompiled_charsmap")),
        "Replace" => {
            let pattern = own.get("pattern").and_then(|pattern| pattern.get("Regex"));
            match pattern.and_then(Value::as_str) {
                Some(SPACES) => Ok(()),
                _ => unsupported("the pattern of `Replace`", "another", "` {2,}`"),
            }
        }
        other => {
            unsupported("normalizer", other, "`Precompiled`, `NFC`, `NFKC`, `Strip` and `Replace`")
        }
    }
}

fn check_unknown(model: &Value) -> Result<(), TextError> {
    let unknown = model.get("unk_token").and_then(Value::as_str).unwrap_or("[UNK]");
    if model.get("vocab").and_then(|vocab| vocab.get(unknown)).is_none() {
        let problem = format!("`{}`, the token for unknown words, is not in it", clip(unknown));
        return Err(TextError::Tokenizer { problem });
    }
    Ok(())
}

/// A cut must not part a token that is found before words are parted.
fn check_added(json: &Value, cut: Cut) -> Result<(), TextError> {
    let added = json.get("added_tokens").and_then(Value::as_array);
    for token in added.into_iter().flatten() {
        let content = token.get("content").and_then(Value::as_str).unwrap_or_default();
        let is_on = |flag: &str| token.get(flag).and_then(Value::as_bool) == Some(true);
        // White space at the sides does not matter where a text is cut before all of it.
        let (is_whole, supported) = match cut {
            Cut::Words => (
                content.is_ascii()
                    && !content.contains(char::is_whitespace)
                    && !is_on("single_word"),
                "plain words of ASCII without `single_word`",
            ),
            Cut::Spaces => (
                !content.contains(char::is_whitespace) || content.trim().is_empty(),
                "words, or white space alone",
            ),
        };
        if content.is_empty() || !is_whole {
            return unsupported("added_tokens", content, supported);
        }
    }
    Ok(())
}
