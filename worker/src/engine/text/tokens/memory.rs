//! What a tokenizer takes of memory. The library does not say, so that it is an estimate by its
//! kind: bytes of a token in tables of 30,000 to 250,000 random words, measured from outside with
//! tokenizers 0.23 (384 and 343 for WordPiece, 643 and 1,048 for BPE with its merges, 1,614 and
//! 1,747 for Unigram, whose tree has a table for each letter).

use tokenizers::{ModelWrapper, Tokenizer};

const WORD_PIECE_TOKEN_BYTES: usize = 400;
const BPE_TOKEN_BYTES: usize = 1_050;
const UNIGRAM_TOKEN_BYTES: usize = 1_750;
/// Copies of `tokenizer.json` while it is read: as text, as values that are checked, as parts.
const LOADING_COPIES: usize = 8;

/// Bytes of a tokenizer.
pub(in crate::engine::text) fn bytes(tokenizer: &Tokenizer) -> u64 {
    let each = match tokenizer.get_model() {
        ModelWrapper::Unigram(_) => UNIGRAM_TOKEN_BYTES,
        ModelWrapper::BPE(_) => BPE_TOKEN_BYTES,
        ModelWrapper::WordPiece(_) | ModelWrapper::WordLevel(_) => WORD_PIECE_TOKEN_BYTES,
    };
    (each * tokenizer.get_vocab_size(true)) as u64
}

/// Bytes beside those while the file `json` is read.
pub(in crate::engine::text) fn loading_bytes(json: &[u8]) -> u64 {
    (LOADING_COPIES * json.len()) as u64
}
