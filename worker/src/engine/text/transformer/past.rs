//! What is kept of tokens that were read, so that those after them need not read them again.

use nightshift_kernels::attention::Cache;

use crate::engine::text::tokens::Sequence;

/// Keys and values of the tokens of a sequence, in all layers.
pub(in crate::engine::text) struct Past {
    /// Tokens that went through all layers.
    pub(super) tokens: usize,
    pub(super) layers: Vec<Cache>,
}

/// Which tokens go through the layers, and what they see besides one another.
pub(super) enum Texts<'a, 'b, 'c> {
    /// Whole texts.
    Whole(&'a [&'b Sequence]),
    /// Whole texts, of which is kept what later tokens look at.
    Kept(&'a [&'b Sequence], &'a mut [&'c mut Past]),
    /// The next token of each text.
    Next(&'a mut [&'c mut Past]),
}

impl Texts<'_, '_, '_> {
    /// The place of each token.
    pub(super) fn places(&self) -> Vec<usize> {
        match self {
            Self::Whole(sequences) | Self::Kept(sequences, _) => {
                sequences.iter().flat_map(|sequence| 0..sequence.ids.len()).collect()
            }
            Self::Next(pasts) => pasts.iter().map(|past| past.tokens).collect(),
        }
    }
}
