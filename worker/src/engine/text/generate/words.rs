//! Text to tokens, and tokens to bytes.

use std::collections::HashMap;

use tokenizers::Tokenizer;

use crate::engine::tabular::clip;
use crate::engine::text::TextError;
use crate::engine::text::settings::unsupported;
use crate::engine::text::tokens::memory;
use crate::engine::text::tokens::parts::{self, Cut};

/// A tokenizer of byte pairs.
pub(super) struct Words {
    tokenizer: Tokenizer,
    /// The bytes of all tokens, one after the other.
    bytes: Vec<u8>,
    /// For each token, where its bytes end.
    ends: Vec<usize>,
    /// Bytes of the longest token: a text of more than that many times so many tokens has more.
    longest: usize,
    loading_bytes: u64,
}

impl Words {
    /// The tokenizer of the file `json`, for a model of `vocabulary` tokens.
    pub(super) fn new(json: &[u8], vocabulary: usize) -> Result<Self, TextError> {
        let broken =
            |error: tokenizers::Error| TextError::Tokenizer { problem: clip(&error.to_string()) };
        let is_pairs = parts::check(json)? == Cut::Spaces;
        let mut tokenizer = Tokenizer::from_bytes(json).map_err(broken)?;
        if !is_pairs || !matches!(tokenizer.get_model(), tokenizers::ModelWrapper::BPE(_)) {
            return unsupported("model", "another", "`BPE` of bytes, to write text");
        }
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(broken)?;
        let known = tokenizer.get_vocab(true);
        let largest = known.values().copied().max().unwrap_or(0);
        if largest as usize >= vocabulary {
            return Err(TextError::Vocabulary { found: largest, tokens: vocabulary });
        }
        let probe = tokenizer.encode_fast("a", true).map_err(broken)?;
        if let Some(found) = probe.get_ids().iter().find(|id| **id as usize >= vocabulary) {
            return Err(TextError::Vocabulary { found: *found, tokens: vocabulary });
        }
        let own = byte_of_char();
        let mut pieces = vec![Vec::new(); vocabulary];
        let mut longest = 1;
        for (token, id) in known {
            longest = longest.max(token.len());
            let is_special =
                tokenizer.get_added_tokens_decoder().get(&id).is_some_and(|added| added.special);
            if let (false, Some(piece)) = (is_special, pieces.get_mut(id as usize)) {
                let bytes: Option<Vec<u8>> = token.chars().map(|c| own.get(&c).copied()).collect();
                // What was added by hand may hold characters that stand for no byte.
                *piece = bytes.unwrap_or_else(|| token.into_bytes());
            }
        }
        let mut ends = Vec::with_capacity(vocabulary);
        let mut bytes = Vec::new();
        for piece in pieces {
            bytes.extend(piece);
            ends.push(bytes.len());
        }
        let loading_bytes = memory::loading_bytes(json);
        Ok(Self { tokenizer, bytes, ends, longest, loading_bytes })
    }

    /// Bytes in memory, about.
    pub(super) fn bytes(&self) -> u64 {
        let pieces = self.bytes.len() + size_of_val(self.ends.as_slice());
        memory::bytes(&self.tokenizer) + pieces as u64
    }

    /// Bytes beside those that were taken while it was loaded, about.
    pub(super) fn loading_bytes(&self) -> u64 {
        self.loading_bytes
    }

    /// The tokens of `text`, with those that the tokenizer puts around a text if `whole`: `None`
    /// where they are certainly more than `most`; an error in the tokenizer's words.
    pub(super) fn tokens(
        &self,
        text: &str,
        whole: bool,
        most: usize,
    ) -> Result<Option<Vec<u32>>, String> {
        // Normalizers make of a character no less than a third of its bytes.
        if text.len() / 3 > most.saturating_mul(self.longest) {
            return Ok(None);
        }
        let encoded = self.tokenizer.encode_fast(text, whole).map_err(|e| clip(&e.to_string()))?;
        Ok(Some(encoded.get_ids().to_vec()))
    }

    /// What a token adds to a text: nothing if it is a special one.
    pub(super) fn piece(&self, id: u32) -> &[u8] {
        let at = id as usize;
        let start = at.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        let range = start.zip(self.ends.get(at).copied());
        range.and_then(|(start, end)| self.bytes.get(start..end)).unwrap_or_default()
    }

    /// The number of a token that the model was taught by name.
    pub(super) fn named(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }
}

/// The byte for which each character of a token stands (`bytes_to_unicode` of GPT-2).
fn byte_of_char() -> HashMap<char, u8> {
    let mut others = 0_u32;
    let pairs = (0..=u8::MAX).filter_map(|byte| {
        let is_plain = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        let code = if is_plain {
            u32::from(byte)
        } else {
            others += 1;
            255 + others
        };
        char::from_u32(code).map(|c| (c, byte))
    });
    pairs.collect()
}
