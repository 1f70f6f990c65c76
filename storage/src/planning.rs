//! Planning a run: survey the input (facts), then make the plan (arithmetic).

use arrow::datatypes::{FieldRef, Schema};
use jiff::Timestamp;
use nightshift_core::decide::{FingerprintParts, run_id};
use nightshift_core::gates::GatePlan;
use nightshift_core::ids::{Generation, Partition};
use nightshift_core::plan::{
    Column, CutError, InputFile, InputFormat, Mark, ModelIdentity, Plan, Reporting, Sharding,
    TaskSettings, cut,
};
use nightshift_core::spec::{Spec, Workers};
use thiserror::Error;

use crate::input::{InputError, Inputs, discover_with, inspect_all_with, place_marks};

/// What the input of one partition is: its files with their versions, rows and columns.
#[derive(Debug)]
pub struct Survey {
    /// The files, in the order in which rows are counted.
    pub inputs: Vec<InputFile>,
    /// Columns that rows have; the same for every file.
    pub schema: Schema,
    /// Rows over all files.
    pub rows: u64,
    marks: Vec<Vec<Mark>>,
}

impl Survey {
    /// `reporting` with the columns that the run reads, where lineage asks for them.
    pub fn completed(&self, mut reporting: Reporting) -> Reporting {
        if let Some(lineage) = &mut reporting.lineage {
            let fields = self.schema.fields().iter().take(LINEAGE_COLUMNS_MAX);
            let column = |field: &FieldRef| Column {
                name: field.name().clone(),
                kind: field.data_type().to_string(),
            };
            lineage.columns = fields.map(column).collect();
        }
        reporting
    }
}

/// Why a plan cannot be made from a survey.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The rows cannot be cut as asked.
    #[error("spec.sharding: {0}")]
    Cut(#[from] CutError),
    /// A setting cannot be written as JSON.
    #[error("the settings of the run cannot be written down")]
    Settings(#[from] serde_json::Error),
}

/// The spec carries a column over that the input does not have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: the input has no column `{column}`; its columns are {columns}")]
pub struct NoSuchColumn {
    /// Where the spec names it.
    pub field: &'static str,
    /// The column.
    pub column: String,
    /// The columns that there are, the first of them.
    pub columns: String,
}

/// Columns that lineage names at most; a wider table is cut, so that an event stays a message.
const LINEAGE_COLUMNS_MAX: usize = 1_000;
/// Columns that an error names at most.
const COLUMNS_SHOWN: usize = 20;

/// Checks that the input has every column that the spec carries over.
///
/// # Errors
/// The first one that is missing.
pub fn check_carried(spec: &Spec, survey: &Survey) -> Result<(), NoSuchColumn> {
    // Without a single row there is nothing that could be wrong with a column.
    if survey.rows == 0 {
        return Ok(());
    }
    let carried = [("spec.input.id", &spec.input.id), ("spec.input.keep", &spec.input.keep)];
    for (field, names) in carried {
        for name in names {
            if survey.schema.field_with_name(name).is_err() {
                let columns = survey.schema.fields().iter().map(|found| found.name().as_str());
                let columns: Vec<&str> = columns.take(COLUMNS_SHOWN).collect();
                let (column, columns) = (name.clone(), columns.join(", "));
                return Err(NoSuchColumn { field, column, columns });
            }
        }
    }
    Ok(())
}

/// Looks at the input: blocks while it reads footers and counts rows of text files.
///
/// With `needed` empty all columns are taken, otherwise those named there.
///
/// # Errors
/// See [`InputError`].
pub fn survey(
    pattern: &str,
    format: Option<InputFormat>,
    needed: &[String],
) -> Result<Survey, InputError> {
    let inputs = Inputs::default();
    let found = discover_with(&inputs, pattern, format)?;
    let inspected = inspect_all_with(&inputs, &found, needed)?;
    let schema = inspected.first().map_or_else(Schema::empty, |first| first.schema.clone());
    let rows = inspected.iter().map(|one| one.file.rows).sum();
    let (inputs, marks) = inspected.into_iter().map(|one| (one.file, one.marks)).unzip();
    Ok(Survey { inputs, schema, rows, marks })
}

/// Makes the plan of generation 1 of `partition`; whoever opens the run sets its generation.
///
/// # Errors
/// See [`PlanError`].
pub fn make_plan(
    survey: Survey,
    spec: &Spec,
    sharding: Sharding,
    partition: Partition,
    model: ModelIdentity,
    now: Timestamp,
) -> Result<Plan, PlanError> {
    let Survey { inputs, rows, marks, .. } = survey;
    let file_rows: Vec<u64> = inputs.iter().map(|file| file.rows).collect();
    let mut shards = cut(&file_rows, sharding)?;
    place_marks(&mut shards, &marks);
    let task = TaskSettings {
        kind: spec.task.kind().to_owned(),
        id: spec.input.id.clone(),
        keep: spec.input.keep.clone(),
        output_format: spec.output.format,
        rejects_max_ratio: spec.retries.rejects_max_ratio,
        rejects_min: spec.retries.rejects_min,
        crash_budget: spec.retries.crashes,
        onnx: spec.task.onnx().cloned(),
        text: spec.task.text().cloned(),
        generate: spec.task.generate().cloned(),
    };
    let fingerprint =
        FingerprintParts { inputs: &inputs, model: model.digest, task: &task }.digest()?;
    Ok(Plan {
        version: Plan::VERSION,
        run: run_id(&spec.name, partition, Generation::FIRST),
        planned_at: now,
        fingerprint,
        model,
        task,
        inputs,
        rows,
        shards,
        inherits: None,
        // Which run to compare with, the output says when the run is opened.
        gate: spec.gates.clone().map(|rules| GatePlan { rules, reference: None }),
        workers: (spec.workers != Workers::default()).then(|| spec.workers.clone()),
        window: spec.window.clone(),
        reporting: None,
    })
}
