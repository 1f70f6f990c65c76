//! Settings of tasks that read text.

use serde::{Deserialize, Serialize};

/// What `task: { kind: embed, … }` says: part of the plan and of its fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSettings {
    /// The column of text.
    pub text: String,
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
}
