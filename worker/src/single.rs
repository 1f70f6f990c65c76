//! One file to another, without a run: how people first try a model.
//!
//! The same reading, scoring and writing as for a shard. The output appears under its name only
//! when it is complete and on disk; nothing else is kept, so that there is nothing to resume.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use nightshift_core::exit::Exit;
use nightshift_core::plan::{InputFile, OutputFormat, Slice};
use nightshift_core::spec::{Spec, SpecError, Task};
use nightshift_storage::input::InputError;
use nightshift_storage::planning::survey;
use thiserror::Error;

use crate::drain::Drain;
use crate::engine::{self, Engine, EngineError, LoadError};
use crate::read::{ReadBatch, ReadError, Reader};
use crate::score::{BATCH_ROWS, InferError, infer, output_batch, read_columns};
use crate::session::engine_exit;
use crate::write::{RejectsWriter, RowWriter, WriteError, without_rejected};

/// Rejects that are always allowed, and the share that is allowed beyond; as in a spec.
const REJECTS_MIN: u64 = 10;
const REJECTS_MAX_RATIO: f64 = 0.001;

/// What to score, with what, into what.
#[derive(Debug, Clone)]
pub struct Single {
    /// Model directory on this host.
    pub model: String,
    /// Input file, folder or glob.
    pub input: String,
    /// Output file; its extension says the format.
    pub output: String,
    /// What the model is for.
    pub task: Task,
    /// Columns to carry over; all if empty.
    pub carry: Vec<String>,
}

/// The task that `text` is: what a spec has under `task`, as `kind: embed, text: body`, with or
/// without braces. `output` is where it is written.
///
/// # Errors
/// What is wrong with it, as of a spec.
pub fn task_of(text: &str, output: &str) -> Result<Task, SpecError> {
    let text = text.trim();
    let text = match (text.starts_with('{'), text.contains(':')) {
        (true, _) => text.to_owned(),
        (false, true) => format!("{{{text}}}"),
        (false, false) => format!("{{kind: {text}}}"),
    };
    let format = format_of(output).unwrap_or(OutputFormat::Parquet).extension();
    // Of the rest of the spec nothing is used.
    let spec = format!(
        "spec: {{task: {text}, input: {{uri: in, id: [_]}}, model: {{uri: in}}, output: {{uri: out, format: {format}}}}}\n\
         apiVersion: nightshift.dev/v1\nkind: BatchInference\nmetadata: {{name: file}}\n"
    );
    Spec::parse("--task", &spec).map(|spec| spec.task)
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Rows read.
    pub rows_in: u64,
    /// Rows in the output.
    pub rows_out: u64,
    /// Rows in the rejects file beside the output, if there are any.
    pub rows_rejected: u64,
}

/// Why a file could not be scored.
#[derive(Debug, Error)]
pub enum SingleError {
    /// The model cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The input is missing or damaged.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The input does not have the model's columns.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The rows cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The results cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The columns do not make a table.
    #[error("the output columns do not fit together")]
    Columns(#[from] ArrowError),
    /// The name of the output says no format.
    #[error(
        "cannot tell the format of the output {path}; let its name end in .parquet, .jsonl or .csv"
    )]
    Format {
        /// The output.
        path: String,
    },
    /// A column to carry over does not exist, or has the name of a result.
    #[error("--id {column}: {problem}")]
    Carry {
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The output would replace an input.
    #[error("the output {path} is the input; choose another name")]
    OutputIsInput {
        /// The output.
        path: String,
    },
    /// The output file cannot be made.
    #[error("cannot write {path}; check the folder and its rights")]
    Output {
        /// The output.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Somebody wanted the process to end; nothing was written.
    #[error("drained: nothing was written; run the same command again")]
    Drained,
    /// Too many rows were rejected; nothing was written.
    #[error(
        "{rejected} of {rows} rows were rejected, {allowed} are allowed; nothing was written; the first: {example}"
    )]
    OverBudget {
        /// Rows rejected.
        rejected: u64,
        /// Rows read.
        rows: u64,
        /// Rows that may be rejected.
        allowed: u64,
        /// The first reject.
        example: String,
    },
}

impl From<InferError> for SingleError {
    fn from(error: InferError) -> Self {
        match error {
            InferError::Engine(EngineError::LeftOff) => Self::Drained,
            InferError::Engine(error) => Self::Engine(error),
            InferError::Join(error) => Self::Columns(error),
        }
    }
}

impl SingleError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Load(error) => engine_exit(error.class()),
            Self::Engine(error) => engine_exit(error.class()),
            Self::Input(error) => error.exit(),
            Self::Read(ReadError::Io { .. }) | Self::Write(WriteError::Io { .. }) => Exit::Io,
            Self::Read(_) | Self::OverBudget { .. } => Exit::Data,
            Self::Output { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Exit::Permission,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Exit::Io,
                _ => Exit::CannotCreate,
            },
            Self::Write(_) | Self::Columns(_) => Exit::Config,
            Self::Drained => Exit::Temporary,
            Self::Format { .. } | Self::Carry { .. } | Self::OutputIsInput { .. } => Exit::Usage,
        }
    }
}

/// Scores one file, or several as one, into one output file, until `drain` is requested. Blocks.
///
/// # Errors
/// See [`SingleError`]; the output is as it was before.
pub fn score_file(single: &Single, drain: &Drain) -> Result<Done, SingleError> {
    let format = format_of(&single.output)?;
    let engine = engine::load(Path::new(&single.model), &single.task)?;
    let survey = survey(&absolute(&single.input), None, &[])?;
    engine.check_input(&survey.schema)?;
    if survey.inputs.iter().any(|file| Path::new(&file.uri) == Path::new(&absolute(&single.output)))
    {
        return Err(SingleError::OutputIsInput { path: single.output.clone() });
    }
    let carried = carried(single, &survey.schema, &*engine)?;
    let requests = read_columns(&carried, &*engine);
    let job = Job {
        engine: &*engine,
        reader: Reader::new(requests, BATCH_ROWS),
        carried: carried.len(),
        format,
        output: Replacement::begin(&single.output)?,
        rejects: Replacement::begin(&format!("{}.rejects.jsonl", single.output))?,
    };
    job.run(&survey.inputs, drain)
}

/// Columns to carry over, checked.
fn carried(
    single: &Single,
    schema: &Schema,
    engine: &dyn Engine,
) -> Result<Vec<String>, SingleError> {
    let wanted: Vec<String> = match single.carry.is_empty() {
        true => schema.fields().iter().map(|field| field.name().clone()).collect(),
        false => single.carry.clone(),
    };
    for column in &wanted {
        let problem = if schema.field_with_name(column).is_err() {
            "the input has no such column"
        } else if engine.output_fields().iter().any(|field| field.name() == column) {
            "the model writes a column of this name; name the columns to carry over with --id"
        } else {
            continue;
        };
        return Err(SingleError::Carry { column: column.clone(), problem });
    }
    Ok(wanted)
}

struct Job<'a> {
    engine: &'a dyn Engine,
    reader: Reader,
    carried: usize,
    format: OutputFormat,
    output: Replacement,
    rejects: Replacement,
}

impl Job<'_> {
    fn run(self, inputs: &[InputFile], drain: &Drain) -> Result<Done, SingleError> {
        let mut writer: Option<RowWriter<&File>> = None;
        let mut rejects = RejectsWriter::create(&self.rejects.file);
        let mut rows_in = 0;
        let mut example = None;
        for (input, file) in inputs.iter().enumerate().filter(|(_, file)| file.rows > 0) {
            let slice = Slice { input: input as u32, start: 0, rows: file.rows, seek: None };
            for read in self.reader.open_within(file, &slice, self.engine.batch_rows())? {
                if drain.is_requested() {
                    return Err(SingleError::Drained);
                }
                let ReadBatch { first_row, batch, rejects: unreadable } = read?;
                rows_in += batch.num_rows() as u64;
                let scored = infer(self.engine, &self.reader, &batch, &|| !drain.is_requested())?;
                let bad = crate::reject::merge(unreadable, scored.rejects);
                if let (None, Some(bad)) = (&example, bad.first()) {
                    let column = bad.column.as_deref().unwrap_or("row");
                    // Not what the row holds, which is for the rejects file alone.
                    example = Some(format!("{} in {column}", bad.reason));
                }
                rejects.write(&file.uri, first_row, &batch, &self.id(), &bad)?;
                let out = without_rejected(
                    &output_batch(&batch, self.carried, self.engine, scored.columns)?,
                    &bad,
                )?;
                let open = match writer.take() {
                    Some(open) => open,
                    None => RowWriter::create(self.format, out.schema(), &[], &self.output.file)?,
                };
                writer.insert(open).write(&out)?;
            }
        }
        let (_, rows_rejected) = rejects.finish()?;
        let allowed = REJECTS_MIN.max((rows_in as f64 * REJECTS_MAX_RATIO) as u64);
        if rows_rejected > allowed {
            let example = example.unwrap_or_default();
            return Err(SingleError::OverBudget {
                rejected: rows_rejected,
                rows: rows_in,
                allowed,
                example,
            });
        }
        let rows_out = match writer {
            Some(writer) => writer.finish()?.1,
            None => 0,
        };
        self.output.put()?;
        if rows_rejected > 0 {
            self.rejects.put()?;
        }
        Ok(Done { rows_in, rows_out, rows_rejected })
    }

    /// Columns that name a row in the rejects file.
    fn id(&self) -> Vec<usize> {
        (0..self.carried).collect()
    }
}

/// A file that takes the place of another when it is complete; removed if it never is.
struct Replacement {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
}

impl Replacement {
    fn begin(target: &str) -> Result<Self, SingleError> {
        let target = PathBuf::from(absolute(target));
        let failed = |source| SingleError::Output { path: target.display().to_string(), source };
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let unique = ulid::Ulid::generate();
        let temporary = target.with_file_name(format!(".{name}.{unique}.tmp"));
        let file = File::create_new(&temporary).map_err(failed)?;
        Ok(Self { file, temporary, target })
    }

    fn put(&self) -> Result<(), SingleError> {
        let put = || {
            self.file.sync_all()?;
            std::fs::rename(&self.temporary, &self.target)?;
            match self.target.parent() {
                Some(folder) => File::open(folder)?.sync_all(),
                None => Ok(()),
            }
        };
        put().map_err(|source| SingleError::Output {
            path: self.target.display().to_string(),
            source,
        })
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // After a put the temporary name is gone already.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

fn format_of(output: &str) -> Result<OutputFormat, SingleError> {
    let extension = Path::new(output).extension().and_then(|extension| extension.to_str());
    match extension {
        Some("parquet") => Ok(OutputFormat::Parquet),
        Some("jsonl" | "ndjson") => Ok(OutputFormat::Jsonl),
        Some("csv") => Ok(OutputFormat::Csv),
        _ => Err(SingleError::Format { path: output.to_owned() }),
    }
}

/// The path as seen from the current folder.
fn absolute(path: &str) -> String {
    let path = path.strip_prefix("file://").unwrap_or(path);
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}
