//! The spec as YAML spells it: shapes only, each value with its place.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::check::RawGates;
use crate::plan::{InputFormat, OutputFormat};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(rename = "apiVersion")]
    pub(super) api_version: Spanned<String>,
    pub(super) kind: Spanned<String>,
    pub(super) metadata: Metadata,
    pub(super) spec: Body,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metadata {
    pub(super) name: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    pub(super) input: Input,
    pub(super) model: Model,
    pub(super) task: Task,
    pub(super) output: Output,
    pub(super) sharding: Option<Spanned<Sharding>>,
    #[serde(default)]
    pub(super) retries: Retries,
    #[serde(default)]
    pub(super) backfill: Backfill,
    #[serde(default)]
    pub(super) workers: Workers,
    #[serde(default)]
    pub(super) retention: Retention,
    pub(super) window: Option<Spanned<String>>,
    pub(super) gates: Option<RawGates>,
    #[serde(default)]
    pub(super) report: Report,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    pub(super) uri: Spanned<String>,
    pub(super) format: Option<InputFormat>,
    pub(super) id: Spanned<Vec<String>>,
    pub(super) keep: Option<Spanned<Vec<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    pub(super) uri: Spanned<String>,
    pub(super) version: Option<Spanned<String>>,
    pub(super) sha256: Option<Spanned<String>>,
    pub(super) dtype: Option<Spanned<String>>,
    pub(super) device: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Task {
    pub(super) kind: Spanned<String>,
    pub(super) text: Option<Spanned<String>>,
    pub(super) max_tokens: Option<Spanned<i64>>,
    pub(super) normalize: Option<Spanned<bool>>,
    pub(super) dimensions: Option<Spanned<i64>>,
    pub(super) prompt: Option<Spanned<String>>,
    pub(super) precision: Option<Spanned<String>>,
    pub(super) query: Option<Spanned<String>>,
    pub(super) all_scores: Option<Spanned<bool>>,
    pub(super) columns: Option<Spanned<Vec<String>>>,
    pub(super) outputs: Option<Spanned<Vec<String>>>,
    pub(super) shape: Option<Spanned<String>>,
    pub(super) chat: Option<Spanned<bool>>,
    pub(super) system: Option<Spanned<String>>,
    pub(super) max_new_tokens: Option<Spanned<i64>>,
    pub(super) stop: Option<Spanned<Vec<String>>>,
    pub(super) temperature: Option<Spanned<f64>>,
    pub(super) top_p: Option<Spanned<f64>>,
    pub(super) seed: Option<Spanned<i64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Output {
    pub(super) uri: Spanned<String>,
    pub(super) format: Option<OutputFormat>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sharding {
    pub(super) rows: Option<Spanned<i64>>,
    pub(super) count: Option<Spanned<i64>>,
    pub(super) by: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retries {
    pub(super) crashes: Option<Spanned<i64>>,
    #[serde(default)]
    pub(super) rejects: Rejects,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rejects {
    pub(super) max_ratio: Option<Spanned<f64>>,
    pub(super) min: Option<Spanned<i64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backfill {
    pub(super) window: Option<Spanned<String>>,
    pub(super) order: Option<Spanned<String>>,
    pub(super) timezone: Option<Spanned<String>>,
    pub(super) reprocess: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workers {
    pub(super) parallelism: Option<Spanned<i64>>,
    pub(super) image: Option<String>,
    pub(super) resources: Option<BTreeMap<String, Value>>,
    #[serde(rename = "podTemplate")]
    pub(super) pod_template: Option<BTreeMap<String, Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retention {
    pub(super) succeeded: Option<Spanned<i64>>,
    pub(super) failed: Option<Spanned<i64>>,
    pub(super) superseded: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    pub(super) uri: Option<Spanned<String>>,
    pub(super) webhook: Option<Webhook>,
    pub(super) lineage: Option<Spanned<Lineage>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    pub(super) url: Spanned<String>,
    pub(super) secret_env: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lineage {
    pub(super) uri: Option<Spanned<String>>,
    pub(super) url: Option<Spanned<String>>,
    pub(super) namespace: Option<Spanned<String>>,
}
