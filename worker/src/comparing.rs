//! Comparing two models: the same rows through both, and nothing written anywhere.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use nightshift_core::agreement::{Labels, Numbers, Vectors, cosine};
use nightshift_core::exit::Exit;
use nightshift_core::ids::{Partition, ShardIndex};
use nightshift_core::model::ModelUri;
use nightshift_core::plan::{ModelIdentity, Plan, Sharding, sample_shards};
use nightshift_storage::planning::{make_plan, survey};
use serde::Serialize;
use thiserror::Error;

use crate::engine::{Engine, EngineError};
use crate::read::{ColumnRequest, ReadError, Reader};
use crate::score::read_columns;
use crate::session::{RunError, Session, Task, engine_exit};
use crate::write::without_rejected;

/// Rows that are read and scored at a time.
const BATCH_ROWS: usize = 8_192;
/// Most rows of a sample: their scores are kept until the end, 16 bytes a row and output.
pub const ROWS_MAX: u64 = 2_000_000;

/// What to compare.
#[derive(Debug, Clone)]
pub struct Compare {
    /// The first model, the one that is in use; a folder is an absolute path.
    pub model_a: ModelUri,
    /// The second one.
    pub model_b: ModelUri,
    /// Shards to draw.
    pub shards: u32,
    /// The largest difference that still counts as agreement.
    pub tolerance: f64,
    /// The border between two decisions; see [`Numbers::compare`].
    pub threshold: Option<f64>,
}

/// What two models made of the same rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The date, or `all`.
    pub partition: Partition,
    /// The first model.
    pub model_a: ModelIdentity,
    /// The second model.
    pub model_b: ModelIdentity,
    /// What the shards were drawn by; the same seed draws the same ones.
    pub seed: String,
    /// Shards that there are.
    pub shards: u32,
    /// Shards that were drawn.
    pub sample: Vec<ShardIndex>,
    /// Rows read.
    pub rows: u64,
    /// Of these, rows that the first model rejected.
    pub rejected_a: u64,
    /// Rows that the second model rejected.
    pub rejected_b: u64,
    /// The outputs that both models have.
    pub outputs: Vec<Compared>,
    /// Outputs that one of the two lacks.
    pub unmatched: Vec<String>,
}

/// One output of both models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Its name.
    pub output: String,
    /// How far they agree.
    #[serde(flatten)]
    pub agreement: Agreement,
}

/// How far two models agree about one output.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// Both give numbers.
    Numbers(Box<Numbers>),
    /// Both give labels.
    Labels(Labels),
    /// Both give lists of numbers.
    Vectors(Vectors),
    /// No row could be compared.
    Nothing,
}

/// Why two models could not be compared.
#[derive(Debug, Error)]
pub enum CompareError {
    /// A model, the spec or the input is wrong.
    #[error(transparent)]
    Run(Box<RunError>),
    /// A model cannot be used with this input.
    #[error("model {which} cannot score this input")]
    Engine {
        /// Which of the two.
        which: &'static str,
        /// Why.
        #[source]
        source: EngineError,
    },
    /// Rows cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Columns cannot be handled.
    #[error("the scores cannot be compared")]
    Columns(#[from] ArrowError),
    /// The sample is too large.
    #[error("{shards} shards have {rows} rows; at most {ROWS_MAX} are compared; draw fewer")]
    TooManyRows {
        /// Shards drawn.
        shards: usize,
        /// Their rows.
        rows: u64,
    },
}

impl From<RunError> for CompareError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

impl CompareError {
    /// The exit code of a process that ends with this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Run(error) => error.exit(),
            Self::Engine { source, .. } => engine_exit(source.class()),
            Self::Read(ReadError::Io { .. }) => Exit::Io,
            Self::Read(_) => Exit::Data,
            Self::Columns(_) => Exit::Software,
            Self::TooManyRows { .. } => Exit::Usage,
        }
    }
}

/// Scores a sample of the shards of `task` with both models. Blocks.
///
/// # Errors
/// See [`CompareError`].
pub fn compare(session: &Session, task: &Task, how: &Compare) -> Result<Comparison, CompareError> {
    let kind = &task.spec.task;
    let (a, b) = (session.load_at(&how.model_a, kind)?, session.load_at(&how.model_b, kind)?);
    let columns = columns(&*a.engine, &*b.engine);
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let surveyed = survey(&task.bound.input, task.spec.input.format, &names);
    let surveyed = surveyed.map_err(RunError::from)?;
    for (which, loaded) in [("A", &a), ("B", &b)] {
        let fits = loaded.engine.check_input(&surveyed.schema);
        fits.map_err(|source| CompareError::Engine { which, source })?;
    }
    let sharding = task.shards.map_or(task.spec.sharding, Sharding::Count);
    let (partition, identity) = (task.partition, a.identity.clone());
    let plan = make_plan(surveyed, &task.spec, sharding, partition, identity, session.who.now());
    let plan = plan.map_err(RunError::from)?;
    let seed = format!("{} {partition}", task.spec.name);
    let sample = sample_shards(&seed, plan.shard_count(), how.shards);
    let rows = sample.iter().filter_map(|shard| plan.shard(*shard)).map(|shard| shard.rows());
    let rows = rows.fold(0, u64::saturating_add);
    if rows > ROWS_MAX {
        return Err(CompareError::TooManyRows { shards: sample.len(), rows });
    }
    let mut both = Both::new(&*a.engine, &*b.engine);
    let rows_at_once = [&a, &b].map(|loaded| loaded.engine.batch_rows());
    let rows_at_once = rows_at_once.into_iter().fold(BATCH_ROWS, usize::min);
    both.score(&plan, &sample, &Reader::new(columns, rows_at_once))?;
    let (rejected_a, rejected_b) = (both.rejected_a, both.rejected_b);
    let (outputs, unmatched) = both.compared(how);
    Ok(Comparison {
        partition,
        model_a: a.identity,
        model_b: b.identity,
        seed,
        shards: plan.shard_count(),
        sample,
        rows,
        rejected_a,
        rejected_b,
        outputs,
        unmatched,
    })
}

/// What either of the two reads, each column once.
fn columns(a: &dyn Engine, b: &dyn Engine) -> Vec<ColumnRequest> {
    let mut columns = read_columns([], a);
    for column in read_columns([], b) {
        if columns.iter().all(|known| known.name != column.name) {
            columns.push(column);
        }
    }
    columns
}

/// The scores of two engines for the same rows.
struct Both<'a> {
    a: &'a dyn Engine,
    b: &'a dyn Engine,
    outputs: Vec<Collected>,
    unmatched: Vec<String>,
    rejected_a: u64,
    rejected_b: u64,
}

/// The values of one output of both engines.
struct Collected {
    name: String,
    /// Its position in the columns of each engine.
    at: (usize, usize),
    values: Values,
}

enum Values {
    Numbers(Vec<f64>, Vec<f64>),
    Labels(Vec<String>, Vec<String>),
    /// The cosine of each row, where there is one.
    Vectors(Vec<Option<f64>>),
}

impl<'a> Both<'a> {
    fn new(a: &'a dyn Engine, b: &'a dyn Engine) -> Self {
        let mut outputs = Vec::new();
        let mut unmatched = Vec::new();
        for (at_a, field) in a.output_fields().iter().enumerate() {
            let mut others = b.output_fields().iter().enumerate();
            let found = others.find(|(_, other)| other.name() == field.name());
            let Some((at_b, other)) = found else {
                unmatched.push(format!("{} (model A only)", field.name()));
                continue;
            };
            let is_number = |kind: &DataType| kind.is_integer() || kind.is_floating();
            let is_list = |kind: &DataType| matches!(kind, DataType::FixedSizeList(_, _));
            let kinds = [field.data_type(), other.data_type()];
            let values = if kinds.into_iter().all(is_number) {
                Values::Numbers(Vec::new(), Vec::new())
            } else if kinds.into_iter().all(is_list) {
                Values::Vectors(Vec::new())
            } else if kinds.into_iter().any(is_list) {
                unmatched.push(format!("{} (a list in one model only)", field.name()));
                continue;
            } else {
                Values::Labels(Vec::new(), Vec::new())
            };
            outputs.push(Collected { name: field.name().clone(), at: (at_a, at_b), values });
        }
        for field in b.output_fields() {
            if a.output_fields().iter().all(|other| other.name() != field.name()) {
                unmatched.push(format!("{} (model B only)", field.name()));
            }
        }
        Self { a, b, outputs, unmatched, rejected_a: 0, rejected_b: 0 }
    }

    fn score(
        &mut self,
        plan: &Plan,
        sample: &[ShardIndex],
        reader: &Reader,
    ) -> Result<(), CompareError> {
        for shard in sample.iter().filter_map(|shard| plan.shard(*shard)) {
            for slice in &shard.slices {
                let Some(file) = plan.inputs.get(slice.input as usize) else { continue };
                for read in reader.open(file, slice)? {
                    let read = read?;
                    // A row that nobody can read says nothing about the models.
                    self.batch(&without_rejected(&read.batch, &read.rejects)?)?;
                }
            }
        }
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), CompareError> {
        let refused = |which| move |source| CompareError::Engine { which, source };
        let a = self.a.run(batch).map_err(refused("A"))?;
        let b = self.b.run(batch).map_err(refused("B"))?;
        self.rejected_a += a.rejects.len() as u64;
        self.rejected_b += b.rejects.len() as u64;
        let mut compared = vec![true; batch.num_rows()];
        for reject in a.rejects.iter().chain(&b.rejects) {
            if let Some(compared) = compared.get_mut(reject.row) {
                *compared = false;
            }
        }
        for output in &mut self.outputs {
            let (Some(a), Some(b)) = (a.columns.get(output.at.0), b.columns.get(output.at.1))
            else {
                continue;
            };
            match &mut output.values {
                Values::Numbers(in_a, in_b) => {
                    in_a.extend(kept(numbers(a)?, &compared));
                    in_b.extend(kept(numbers(b)?, &compared));
                }
                Values::Labels(in_a, in_b) => {
                    in_a.extend(kept(labels(a)?, &compared));
                    in_b.extend(kept(labels(b)?, &compared));
                }
                Values::Vectors(cosines) => {
                    let pairs = vectors(a)?.into_iter().zip(vectors(b)?).collect();
                    cosines.extend(kept(pairs, &compared).map(|(a, b)| cosine(&a, &b)));
                }
            }
        }
        Ok(())
    }

    fn compared(self, how: &Compare) -> (Vec<Compared>, Vec<String>) {
        let told = |output: Collected| {
            let agreement = match output.values {
                Values::Numbers(a, b) => {
                    match Numbers::compare(&a, &b, how.tolerance, how.threshold) {
                        Some(numbers) => Agreement::Numbers(Box::new(numbers)),
                        None => Agreement::Nothing,
                    }
                }
                Values::Labels(a, b) => Agreement::Labels(Labels::compare(&a, &b)),
                Values::Vectors(cosines) => match Vectors::of(&cosines) {
                    Some(vectors) => Agreement::Vectors(vectors),
                    None => Agreement::Nothing,
                },
            };
            Compared { output: output.name, agreement }
        };
        (self.outputs.into_iter().map(told).collect(), self.unmatched)
    }
}

/// The values of rows that both engines scored.
fn kept<T>(values: Vec<T>, compared: &[bool]) -> impl Iterator<Item = T> {
    values.into_iter().zip(compared).filter(|(_, kept)| **kept).map(|(value, _)| value)
}

fn numbers(column: &dyn Array) -> Result<Vec<f64>, ArrowError> {
    let floats = cast(column, &DataType::Float64)?;
    Ok(floats.as_primitive::<Float64Type>().iter().map(|v| v.unwrap_or(f64::NAN)).collect())
}

/// The list of each row.
fn vectors(column: &dyn Array) -> Result<Vec<Vec<f64>>, ArrowError> {
    let lists = column.as_fixed_size_list().iter();
    lists.map(|list| list.map_or(Ok(Vec::new()), |list| numbers(&list))).collect()
}

fn labels(column: &dyn Array) -> Result<Vec<String>, ArrowError> {
    let text = cast(column, &DataType::Utf8)?;
    let text = text.as_string::<i32>().iter();
    Ok(text.map(|label| label.unwrap_or_default().to_owned()).collect())
}
