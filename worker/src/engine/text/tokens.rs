//! Text to tokens, as the model's `tokenizer.json` says.

use std::borrow::Cow;

use tokenizers::{
    EncodeInput, Encoding, Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy,
};

use super::TextError;
use super::settings::unsupported;
use crate::engine::tabular::clip;

mod charsmap;
pub(super) mod memory;
pub(super) mod parts;

use parts::Cut;

/// Bytes of a text for each token that is kept, in the first look at a long text.
const BYTES_PER_TOKEN: usize = 16;
/// Most bytes of a word: where tokens are merged of characters, a longer one is cut there.
const WORD_BYTES_MAX: usize = 64 << 10;

/// A tokenizer, and where it cuts texts.
pub(super) struct Tokens {
    tokenizer: Tokenizer,
    cut: Cut,
    max_tokens: usize,
    lower_case: bool,
    prompt: String,
    loading_bytes: u64,
}

/// The tokens of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sequence {
    /// Number of each token.
    pub(super) ids: Vec<u32>,
    /// Segment of each token.
    pub(super) segments: Vec<u32>,
    /// Whether tokens were cut off.
    pub(super) is_cut: bool,
}

impl Tokens {
    /// The tokenizer of the file `bytes`, for a model of `vocabulary` tokens and `segments`
    /// segments, and of pairs of texts or of single ones.
    ///
    /// Only parts that are known are taken: a file brings no regular expressions, so that it
    /// cannot make them slow, and a long text can be cut at a space beforehand.
    pub(super) fn new(
        bytes: &[u8],
        vocabulary: usize,
        segments: usize,
        max_tokens: usize,
        lower_case: bool,
        prompt: String,
        of_pairs: bool,
    ) -> Result<Self, TextError> {
        let cut = parts::check(bytes)?;
        let broken =
            |error: tokenizers::Error| TextError::Tokenizer { problem: clip(&error.to_string()) };
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(broken)?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(broken)?;
        let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
        if largest as usize >= vocabulary {
            return Err(TextError::Vocabulary { found: largest, tokens: vocabulary });
        }
        // One token, and what is added to every text.
        let probe = tokenizer.encode_fast("a", true).map_err(broken)?;
        if let Some(found) = probe.get_ids().iter().find(|id| **id as usize >= vocabulary) {
            return Err(TextError::Vocabulary { found: *found, tokens: vocabulary });
        }
        let pair = tokenizer.encode_fast(("a", "a"), true).map_err(broken)?;
        let probed = if of_pairs { &pair } else { &probe };
        let mut kinds = probed.get_type_ids().iter();
        if segments > 0 && kinds.any(|segment| *segment as usize >= segments) {
            return unsupported("post_processor", "another segment", "segments of the model");
        }
        let texts = if of_pairs { 2 } else { 1 };
        let added = probed.get_ids().len().saturating_sub(texts);
        if max_tokens < added + texts {
            return Err(TextError::NoRoom { wanted: max_tokens, added });
        }
        let truncation = TruncationParams {
            direction: TruncationDirection::Right,
            max_length: max_tokens,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
        };
        tokenizer.with_truncation(Some(truncation)).map_err(broken)?;
        let loading_bytes = memory::loading_bytes(bytes);
        Ok(Self { tokenizer, cut, max_tokens, lower_case, prompt, loading_bytes })
    }

    /// Bytes in memory, about.
    pub(super) fn bytes(&self) -> u64 {
        memory::bytes(&self.tokenizer)
    }

    /// Bytes beside those that were taken while it was loaded, about.
    pub(super) fn loading_bytes(&self) -> u64 {
        self.loading_bytes
    }

    /// The tokens of a query and a text, of which the longer one is cut first; an error in the
    /// tokenizer's words.
    ///
    /// Of two that are both too long each gets half of the room, and an odd token goes to the one
    /// that is longer, as far as it was looked at.
    pub(super) fn of_pair(&self, query: &str, text: &str) -> Result<Sequence, String> {
        let pair = (self.looked_at(query)?.0, self.looked_at(text)?.0);
        self.sequence(&self.encoded(pair)?)
    }

    /// The tokens of `text`, with the prompt before it and cut to what the model takes; an error
    /// in the tokenizer's words.
    pub(super) fn of(&self, text: &str) -> Result<Sequence, String> {
        let mut text = Cow::Borrowed(text);
        if !self.prompt.is_empty() {
            text = Cow::Owned(format!("{}{text}", self.prompt));
        }
        if self.lower_case {
            text = Cow::Owned(text.to_lowercase());
        }
        match self.looked_at(&text)? {
            (_, Some(encoded)) => self.sequence(&encoded),
            (whole, None) => self.sequence(&self.encoded(whole)?),
        }
    }

    fn encoded<'s>(&self, input: impl Into<EncodeInput<'s>>) -> Result<Encoding, String> {
        self.tokenizer.encode_fast(input, true).map_err(|error| clip(&error.to_string()))
    }

    fn sequence(&self, encoded: &Encoding) -> Result<Sequence, String> {
        let mut ids = encoded.get_ids().to_vec();
        if ids.is_empty() {
            return Err("it has no tokens".to_owned());
        }
        // A template may repeat a text after it was cut.
        ids.truncate(self.max_tokens);
        let is_cut = !encoded.get_overflowing().is_empty();
        Ok(Sequence { ids, segments: encoded.get_type_ids().to_vec(), is_cut })
    }

    /// As much of `text` as matters, and its tokens where they had to be looked at: of a long one
    /// only the beginning, if that has tokens enough.
    /// Its end is where the tokenizer would part words anyway, so the tokens before it are the
    /// same.
    fn looked_at<'t>(&self, text: &'t str) -> Result<(&'t str, Option<Encoding>), String> {
        let mut looked = self.max_tokens * BYTES_PER_TOKEN;
        loop {
            let begin = beginning(text, looked, self.cut);
            if begin.len() == text.len() {
                return Ok((text, None));
            }
            let encoded = self.encoded(begin)?;
            if !encoded.get_overflowing().is_empty() {
                return Ok((begin, Some(encoded)));
            }
            looked *= 4;
        }
    }
}

/// At least the first `bytes` bytes of `text`, up to the first place after them where `cut` lets
/// it be cut. A word of more than [`WORD_BYTES_MAX`] bytes is cut where it is that long, if tokens
/// are merged of its characters: that takes longer than its length tells.
fn beginning(text: &str, bytes: usize, cut: Cut) -> &str {
    let Some(start) = (bytes..=text.len()).find(|at| text.is_char_boundary(*at)) else {
        return text;
    };
    let is_ideograph = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    let (head, rest) = text.split_at(start);
    let mut before = head.chars().next_back();
    for (at, c) in rest.char_indices() {
        let is_place = match cut {
            Cut::Words => {
                c == ' ' || c == '\n' || is_ideograph(c) && before.is_some_and(is_ideograph)
            }
            Cut::Spaces => {
                c == ' ' && before.is_some_and(|before| !before.is_whitespace())
                    || at >= WORD_BYTES_MAX
            }
        };
        if is_place {
            return text.get(..start + at).unwrap_or(text);
        }
        before = Some(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::parts::Cut;
    use super::{WORD_BYTES_MAX, beginning};

    #[test]
    fn a_text_is_cut_where_words_part() {
        assert_eq!(beginning("late flight to", 2, Cut::Words), "late");
        assert_eq!(beginning("late flight to", 4, Cut::Words), "late");
        assert_eq!(beginning("late flight to", 5, Cut::Words), "late flight");
        assert_eq!(beginning("late", 9, Cut::Words), "late");
        assert_eq!(beginning("夜班飞机", 4, Cut::Words), "夜班");
        assert_eq!(beginning("ああああ", 4, Cut::Words), "ああああ");
        assert_eq!(beginning("é é", 1, Cut::Words), "é");
        // Where white space goes with what comes before it, a cut must not lie within it.
        assert_eq!(beginning("late  flight to", 3, Cut::Spaces), "late");
        assert_eq!(beginning("late  flight to", 5, Cut::Spaces), "late  flight");
        assert_eq!(beginning("late.\n\nflight to", 5, Cut::Spaces), "late.\n\nflight");
        assert_eq!(beginning("夜班飞机 a", 4, Cut::Spaces), "夜班飞机");
        let word = "é".repeat(WORD_BYTES_MAX);
        assert_eq!(beginning(&word, 9, Cut::Words), word);
        assert_eq!(beginning(&word, 9, Cut::Spaces).len(), WORD_BYTES_MAX + 10);
    }
}
