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
    /// `embed`: what the numbers of an embedding are written as.
    #[serde(default, skip_serializing_if = "Precision::is_usual")]
    pub precision: Precision,
    /// `classify`: whether the scores of all labels are written, not the best one's alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_scores: bool,
    /// `spec.model.dtype`.
    #[serde(default, skip_serializing_if = "Dtype::is_f32")]
    pub dtype: Dtype,
    /// `spec.model.device`.
    #[serde(default, skip_serializing_if = "Device::is_cpu")]
    pub device: Device,
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
    pub(super) fn is_f32(&self) -> bool {
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

/// What computes a model that reads text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU of NVIDIA, through CUDA.
    Cuda,
}

impl Device {
    /// Whether a plan need not say it.
    fn is_cpu(&self) -> bool {
        *self == Self::Cpu
    }

    /// Its name in a spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

/// What the numbers of an embedding are written as; they are computed as 32-bit floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As they are.
    #[default]
    Float32,
    /// Half of that.
    Float16,
    /// Whole numbers from -127 to 127, and a factor for each embedding.
    Int8,
}

impl Precision {
    /// Whether a plan need not say it.
    fn is_usual(&self) -> bool {
        *self == Self::Float32
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
            precision: Precision::Float32,
            all_scores: false,
            dtype: Dtype::F32,
            device: Device::Cpu,
        }
    }

    /// The columns that are read, in the order in which the model sees them.
    pub fn columns(&self) -> Vec<String> {
        self.query.iter().chain([&self.text]).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_that_were_made_before_text_was_read_are_read() {
        let old = r#"{"kind":"tabular","id":["id"],"keep":[],"output_format":"parquet",
            "rejects_max_ratio":0.01,"rejects_min":5,"crash_budget":3}"#;
        let task: crate::plan::TaskSettings = serde_json::from_str(old).unwrap();
        assert_eq!((task.text.as_ref(), task.task()), (None, crate::spec::Task::Tabular));
        let written = serde_json::to_value(&task).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(old).unwrap());
    }

    #[test]
    fn settings_of_earlier_releases_are_read_and_written_as_they_were() {
        for old in [
            r#"{"text":"body"}"#,
            r#"{"text":"body","max_tokens":128,"normalize":true,"dimensions":64,"prompt":"query"}"#,
            r#"{"text":"body","query":"q"}"#,
            r#"{"text":"body","all_scores":true}"#,
        ] {
            let settings: TextSettings = serde_json::from_str(old).unwrap();
            assert_eq!(settings.precision, Precision::Float32);
            let written: serde_json::Value = serde_json::to_value(&settings).unwrap();
            assert_eq!(written, serde_json::from_str::<serde_json::Value>(old).unwrap());
        }
        let settings = TextSettings { precision: Precision::Int8, ..TextSettings::of("body") };
        let written = serde_json::to_string(&settings).unwrap();
        assert_eq!(written, r#"{"text":"body","precision":"int8"}"#);
        let settings = TextSettings { device: Device::Cuda, ..TextSettings::of("body") };
        let written = serde_json::to_string(&settings).unwrap();
        assert_eq!(written, r#"{"text":"body","device":"cuda"}"#);
    }
}
