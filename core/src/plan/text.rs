//! Settings of tasks that read text.

use serde::{Deserialize, Serialize};

/// What a task of `kind: embed`, `classify` or `rerank` says: part of the plan and of its
/// fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSettings {
    /// The column of text.
    pub text: String,
    /// `rerank`: the column of queries, each of which goes before its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Tokens of a text that are used, with those that the model adds; what the model says if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Whether embeddings have length 1; what the model says if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// Numbers of an embedding that are kept, from the first; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// Name of a prompt of the model, which is put before each text; the model's own choice if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// `classify`: whether the scores of all labels are written, not the best one's alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_scores: bool,
    /// `spec.model.dtype`.
    #[serde(default, skip_serializing_if = "Dtype::is_f32")]
    pub dtype: Dtype,
}

/// Precision of the products of a model that reads text; sums are of more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// Floats of 32 bits.
    #[default]
    F32,
    /// Floats of 16 bits, with the range of those of 32.
    Bf16,
    /// Integers of 8 bits.
    Int8,
}

impl Dtype {
    fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// Its name in a spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }
}

impl TextSettings {
    /// The text of a column, as the model says in all else.
    pub fn of(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            query: None,
            max_tokens: None,
            normalize: None,
            dimensions: None,
            prompt: None,
            all_scores: false,
            dtype: Dtype::F32,
        }
    }

    /// The columns that are read, in the order in which the model sees them.
    pub fn columns(&self) -> Vec<String> {
        self.query.iter().chain([&self.text]).cloned().collect()
    }
}
