//! `spec.task`.

use serde_saphyr::{Location, Spanned};

mod onnx;

use super::{Checker, clip};
use crate::plan::{Device, Dtype, OutputFormat, Precision, TextSettings};
use crate::spec::{SpecError, Task, raw};

/// Most tokens of a text: more than any model has places for.
const TOKENS_MAX: i64 = 65_536;
/// Most numbers of an embedding.
const DIMENSIONS_MAX: i64 = 65_536;

/// What a task of each kind may say besides.
const SETTINGS: [(&str, &[&str]); 6] = [
    ("tabular", &[]),
    ("embed", &["text", "max_tokens", "normalize", "dimensions", "prompt", "precision"]),
    ("classify", &["text", "max_tokens", "all_scores"]),
    ("rerank", &["query", "text", "max_tokens"]),
    ("onnx", &["columns", "outputs"]),
    (
        "generate",
        &[
            "prompt",
            "shape",
            "chat",
            "system",
            "max_tokens",
            "max_new_tokens",
            "stop",
            "temperature",
            "top_p",
            "seed",
        ],
    ),
];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Tabular,
    Embed,
    Classify,
    Rerank,
    Onnx,
    Generate,
}

impl Checker<'_> {
    /// The task; `output` says in which format its columns are written.
    pub(super) fn task(
        &self,
        raw: &raw::Task,
        model: &raw::Model,
        output: &raw::Output,
    ) -> Result<Task, SpecError> {
        let kinds = [
            ("tabular", Kind::Tabular),
            ("embed", Kind::Embed),
            ("classify", Kind::Classify),
            ("rerank", Kind::Rerank),
            ("onnx", Kind::Onnx),
            ("generate", Kind::Generate),
        ];
        let kind = self.one_of(&raw.kind, "spec.task.kind", &kinds)?;
        self.without_others(raw)?;
        let dtype = self.dtype(model, kind)?;
        let on = (dtype, self.device(model, raw, kind, dtype)?);
        let task = match kind {
            Kind::Tabular => return Ok(Task::Tabular),
            Kind::Onnx => return Ok(Task::Onnx(self.onnx(raw)?)),
            Kind::Embed => Task::Embed(self.text(raw, kind, on)?),
            Kind::Classify => Task::Classify(self.text(raw, kind, on)?),
            Kind::Rerank => Task::Rerank(self.text(raw, kind, on)?),
            Kind::Generate => Task::Generate(self.generate(raw, dtype)?),
        };
        let lists = match &task {
            Task::Embed(_) => Some("embeddings"),
            Task::Classify(settings) if settings.all_scores => Some("the scores of all labels"),
            _ => None,
        };
        if let (Some(lists), Some(OutputFormat::Csv)) = (lists, output.format) {
            let problem = format!("CSV has no place for {lists}, which are lists");
            let remedy = "write `format: parquet` or `format: jsonl`";
            let at = raw.kind.referenced;
            return Err(self.error(at, "spec.output.format", &problem, remedy));
        }
        Ok(task)
    }

    /// Refuses settings that tasks of this kind do not have.
    fn without_others(&self, raw: &raw::Task) -> Result<(), SpecError> {
        fn place<T>(value: &Option<Spanned<T>>) -> Option<Location> {
            value.as_ref().map(|value| value.referenced)
        }
        let kind = raw.kind.value.as_str();
        let known = SETTINGS.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, own)| own);
        let settings = [
            ("spec.task.query", place(&raw.query)),
            ("spec.task.text", place(&raw.text)),
            ("spec.task.max_tokens", place(&raw.max_tokens)),
            ("spec.task.normalize", place(&raw.normalize)),
            ("spec.task.dimensions", place(&raw.dimensions)),
            ("spec.task.prompt", place(&raw.prompt)),
            ("spec.task.precision", place(&raw.precision)),
            ("spec.task.all_scores", place(&raw.all_scores)),
            ("spec.task.columns", place(&raw.columns)),
            ("spec.task.outputs", place(&raw.outputs)),
            ("spec.task.shape", place(&raw.shape)),
            ("spec.task.chat", place(&raw.chat)),
            ("spec.task.system", place(&raw.system)),
            ("spec.task.max_new_tokens", place(&raw.max_new_tokens)),
            ("spec.task.stop", place(&raw.stop)),
            ("spec.task.temperature", place(&raw.temperature)),
            ("spec.task.top_p", place(&raw.top_p)),
            ("spec.task.seed", place(&raw.seed)),
        ];
        for (field, at) in settings {
            let is_known = known.iter().any(|name| field.ends_with(&format!(".{name}")));
            if let (Some(at), false) = (at, is_known) {
                let problem = format!("`kind: {kind}` has no such setting");
                return Err(self.error(at, field, &problem, "remove it, or write another kind"));
            }
        }
        Ok(())
    }

    /// The name of a column that a task of this kind reads.
    fn column(
        &self,
        raw: &raw::Task,
        value: &Option<Spanned<String>>,
        field: &'static str,
        what: &str,
    ) -> Result<String, SpecError> {
        let key = field.rsplit('.').next().unwrap_or(field);
        let Some(value) = value else {
            let problem = format!("`kind: {}` reads a column of {what}", clip(&raw.kind.value));
            let remedy = format!("add `{key}:` with the name of the column");
            return Err(self.error(raw.kind.referenced, field, &problem, &remedy));
        };
        if value.value.is_empty() {
            let remedy = "write the name of the column";
            return Err(self.error(value.referenced, field, "the name is empty", remedy));
        }
        Ok(value.value.clone())
    }

    /// The precision of the products.
    fn dtype(&self, raw: &raw::Model, kind: Kind) -> Result<Dtype, SpecError> {
        let Some(raw) = &raw.dtype else { return Ok(Dtype::F32) };
        let all = [Dtype::F32, Dtype::Bf16, Dtype::Int8].map(|dtype| (dtype.as_str(), dtype));
        // A table has so few products that packing them would take what it gives.
        let possible =
            if matches!(kind, Kind::Tabular | Kind::Onnx) { &all[..1] } else { &all[..] };
        self.one_of(raw, "spec.model.dtype", possible)
    }

    /// What computes the products.
    fn device(
        &self,
        model: &raw::Model,
        task: &raw::Task,
        kind: Kind,
        dtype: Dtype,
    ) -> Result<Device, SpecError> {
        let Some(raw) = &model.device else { return Ok(Device::Cpu) };
        // By its letters it is nearer to `cpu` than to what is meant.
        if raw.value == "gpu" {
            let (problem, remedy) = ("`gpu` is not possible here", "use `cpu` or `cuda`");
            return Err(self.error(raw.referenced, "spec.model.device", problem, remedy));
        }
        let all = [Device::Cpu, Device::Cuda].map(|device| (device.as_str(), device));
        let device = self.one_of(raw, "spec.model.device", &all)?;
        let (problem, remedy) = match (device, kind, dtype) {
            (Device::Cuda, Kind::Tabular | Kind::Onnx | Kind::Generate, _) => (
                format!("`kind: {}` is not computed on a GPU", clip(&task.kind.value)),
                "remove it, or write `cpu`; a GPU computes `embed`, `classify` and `rerank`",
            ),
            (Device::Cuda, _, Dtype::Int8) => (
                "`dtype: int8` is not computed on a GPU".to_owned(),
                "write `dtype: bf16` or `dtype: f32`",
            ),
            _ => return Ok(device),
        };
        Err(self.error(raw.referenced, "spec.model.device", &problem, remedy))
    }

    fn text(
        &self,
        raw: &raw::Task,
        kind: Kind,
        (dtype, device): (Dtype, Device),
    ) -> Result<TextSettings, SpecError> {
        let text = self.column(raw, &raw.text, "spec.task.text", "text")?;
        let query = match kind {
            Kind::Rerank => Some(self.column(raw, &raw.query, "spec.task.query", "queries")?),
            _ => None,
        };
        if let (Some(at), true) = (&raw.query, query.as_ref() == Some(&text)) {
            let problem = "queries and texts are the same column";
            let remedy = "write the names of two columns";
            return Err(self.error(at.referenced, "spec.task.query", problem, remedy));
        }
        let number = |raw: &Option<Spanned<i64>>, field, max| match raw {
            None => Ok(None),
            some => self.or_within(some, field, max, 1, max).map(|number| Some(number as u32)),
        };
        let precisions = [
            ("float32", Precision::Float32),
            ("float16", Precision::Float16),
            ("int8", Precision::Int8),
        ];
        let precision = match &raw.precision {
            Some(precision) => self.one_of(precision, "spec.task.precision", &precisions)?,
            None => Precision::default(),
        };
        Ok(TextSettings {
            text,
            query,
            max_tokens: number(&raw.max_tokens, "spec.task.max_tokens", TOKENS_MAX)?,
            normalize: raw.normalize.as_ref().map(|normalize| normalize.value),
            dimensions: number(&raw.dimensions, "spec.task.dimensions", DIMENSIONS_MAX)?,
            prompt: raw.prompt.as_ref().map(|prompt| prompt.value.clone()),
            precision,
            all_scores: raw.all_scores.as_ref().is_some_and(|all| all.value),
            dtype,
            device,
        })
    }
}
