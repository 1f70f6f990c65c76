//! From a spec as it travelled to a plan: which rows, of which files, with which model.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use nightshift_core::ids::Partition;
use nightshift_core::plan::{ModelIdentity, Plan};
use nightshift_core::spec::{Bound, Overrides, Spec, Task, Template};
use nightshift_proto::runs::{SpecOverrides, SpecSource};
use nightshift_storage::model::{Models, Resolved, feature_columns, graph_columns};
use nightshift_storage::planning::{check_carried, make_plan, survey};

use crate::refusal::Refusal;

/// A checked spec, bound to one partition.
#[derive(Debug, Clone)]
pub struct Order {
    /// The spec.
    pub spec: Arc<Spec>,
    /// Its places for the partition.
    pub bound: Bound,
    /// The date, or `all`.
    pub partition: Partition,
}

impl Order {
    /// Reads and checks a spec.
    ///
    /// # Errors
    /// What is wrong with the spec, an override, or the partition.
    pub fn new(source: &SpecSource, partition: Partition) -> Result<Self, Refusal> {
        let file = match source.file_name.as_str() {
            "" => "the spec",
            name => name,
        };
        let spec = overridden(Spec::parse(file, &source.yaml)?, &source.overrides)?;
        if !spec.accepts(partition) {
            let remedy = if spec.is_dated() {
                "its input has {date}, so name a date"
            } else {
                "its input has no {date}, so its only partition is `all`"
            };
            return Err(Refusal::Partition { name: spec.name, partition, remedy });
        }
        let bound = spec.bind(file, &source.base, partition)?;
        Ok(Self { spec: Arc::new(spec), bound, partition })
    }

    /// Plans the partition as generation 1: finds model and input, and cuts the rows.
    ///
    /// # Errors
    /// What is wrong with the model or the input.
    pub async fn plan(&self, models: &Models, now: Timestamp) -> Result<Plan, Refusal> {
        let Resolved { identity: model, folder } = self.model(models).await?;
        let needed = self.needed_columns(&folder).await?;
        let order = self.clone();
        // Footers are read and rows counted by blocking calls.
        let planned = tokio::task::spawn_blocking(move || order.cut(model, &needed, now));
        planned.await.map_err(|_| Refusal::Bug { what: "planning" })?
    }

    /// Finds the model, and checks it against the pin.
    ///
    /// # Errors
    /// If it is missing, or not the pinned one.
    pub async fn model(&self, models: &Models) -> Result<Resolved, Refusal> {
        let version = self.spec.model.version.as_deref();
        let model = models.resolve(&self.bound.model, version).await?;
        match self.spec.model.sha256 {
            Some(pinned) if pinned != model.identity.digest => Err(Refusal::ModelPin {
                uri: model.identity.uri,
                pinned: pinned.to_string(),
                found: model.identity.digest.to_string(),
            }),
            _ => Ok(model),
        }
    }

    /// Names of the columns that the run reads: the same as an engine would name, so that the
    /// same date has the same fingerprint whoever plans it.
    async fn needed_columns(&self, model: &Path) -> Result<Vec<String>, Refusal> {
        let features = match &self.spec.task {
            Task::Tabular => feature_columns(model).await?,
            Task::Onnx(settings) => graph_columns(model, &settings.columns).await?,
            Task::Embed(text) | Task::Classify(text) | Task::Rerank(text) => text.columns(),
            Task::Generate(settings) => settings.columns(),
        };
        let mut needed: Vec<String> = Vec::new();
        for name in self.spec.input.id.iter().chain(&self.spec.input.keep).chain(&features) {
            if !needed.contains(name) {
                needed.push(name.clone());
            }
        }
        Ok(needed)
    }

    fn cut(
        &self,
        model: ModelIdentity,
        needed: &[String],
        now: Timestamp,
    ) -> Result<Plan, Refusal> {
        let Self { spec, bound, partition } = self;
        let found = survey(&bound.input, spec.input.format, needed)?;
        check_carried(spec, &found)?;
        let reporting = bound.reporting.clone().map(|reporting| found.completed(reporting));
        let plan = make_plan(found, spec, spec.sharding, *partition, model, now)?;
        Ok(Plan { reporting, ..plan })
    }
}

fn overridden(mut spec: Spec, overrides: &SpecOverrides) -> Result<Spec, Refusal> {
    let refused = |flag, text: &str, problem: &str| Refusal::Override {
        flag,
        text: text.chars().take(80).collect(),
        problem: problem.to_owned(),
    };
    if let Some(version) = &overrides.model_version {
        spec = spec
            .with_model_version(version)
            .map_err(|remedy| refused("model version", version, remedy))?;
    }
    let place = |flag, text: &Option<String>| -> Result<Option<Template>, Refusal> {
        let Some(text) = text else { return Ok(None) };
        let template = Template::parse(text)
            .map_err(|error| refused(flag, text, &format!("{error}; {}", error.remedy())))?;
        if flag != "input" && template.has_date() {
            return Err(refused(flag, text, "it cannot depend on the date; remove {date}"));
        }
        Ok(Some(template))
    };
    Ok(spec.with(Overrides {
        input: place("input", &overrides.input)?,
        model: place("model", &overrides.model)?,
        output: place("output", &overrides.output)?,
    }))
}
