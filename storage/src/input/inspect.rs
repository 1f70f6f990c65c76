//! What is in a file: rows, columns, version.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arrow::datatypes::{DataType, Field, Schema};
use nightshift_core::plan::{ColumnKind, InferredColumn, InputFile, InputFormat, Mark};

use super::{Evidence, Found, InputError, Inputs, parquet, text, unify};

/// Most files inspected at the same time; more would only queue at the device.
const INSPECT_THREADS_MAX: usize = 8;

/// Columns named in a message about a column that is missing.
const PRESENT_SHOWN: usize = 12;

/// What planning knows about one file.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The entry for the plan.
    pub file: InputFile,
    /// The columns that rows of this file have, those of its path last, with the types in which
    /// the worker hands them on: the columns asked for, or all.
    pub schema: Schema,
    /// Places where rows begin, for plain text files; see [`super::place_marks`].
    pub marks: Vec<Mark>,
    /// What the sample showed, for text formats.
    pub(super) evidence: Vec<(String, Evidence)>,
}

/// Reads what planning needs to know about one file.
///
/// Parquet: the footer only. Text: the whole file once, streaming, counting rows; the first
/// [`super::SAMPLE_ROWS`] decide the types of the columns. With `needed` empty all columns are
/// taken, otherwise those named there. Types of several files are made one by [`unify`].
///
/// # Errors
/// See [`InputError`]. A needed column that a JSON lines file does not show is left to [`unify`],
/// since another file may show it.
pub fn inspect(found: &Found, needed: &[String]) -> Result<Inspected, InputError> {
    inspect_with(&Inputs::default(), found, needed)
}

/// As [`inspect`], by the connections of `inputs`.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_with(
    inputs: &Inputs,
    found: &Found,
    needed: &[String],
) -> Result<Inspected, InputError> {
    let object = Arc::new(inputs.open(&found.uri)?);
    let mut file = InputFile {
        uri: found.uri.clone(),
        format: found.format,
        compression: found.compression,
        pin: object.pin().clone(),
        rows: 0,
        partition_columns: found.partition_columns.clone(),
        columns: Vec::new(),
    };
    let mut inspected = match found.format {
        InputFormat::Parquet => {
            let metadata = parquet::read_footer(&object, false)?;
            file.rows = metadata.file_metadata().num_rows().unsigned_abs();
            let schema = parquet::plain_schema(&found.uri, &metadata)?;
            Inspected { file, schema, marks: Vec::new(), evidence: Vec::new() }
        }
        InputFormat::Csv => from_facts(file, text::count_csv(&object, found)?),
        InputFormat::Jsonl => from_facts(file, text::count_jsonl(&object, found, needed)?),
    };
    object.check(&inspected.file.pin)?;
    inspected.add_partition_columns();
    inspected.narrow(needed)?;
    Ok(inspected)
}

fn from_facts(mut file: InputFile, facts: text::Facts) -> Inspected {
    file.rows = facts.rows;
    let mut inspected =
        Inspected { file, schema: Schema::empty(), marks: facts.marks, evidence: facts.columns };
    inspected.settle_kinds();
    inspected
}

impl Inspected {
    /// Types of the columns follow from the evidence.
    pub(super) fn settle_kinds(&mut self) {
        let columns = self
            .evidence
            .iter()
            .map(|(name, evidence)| InferredColumn { name: name.clone(), kind: evidence.kind() });
        self.file.columns = columns.collect();
        let typed = self.file.columns.iter();
        let fields = typed.map(|column| Field::new(&column.name, arrow_type(column.kind), true));
        let partitions = self.schema.fields().iter().skip_while(|field| !self.is_partition(field));
        let fields: Vec<_> = fields.map(Arc::new).chain(partitions.cloned()).collect();
        self.schema = Schema::new(fields);
    }

    fn is_partition(&self, field: &Field) -> bool {
        self.file.partition_columns.iter().any(|column| column.name == *field.name())
    }

    /// A column of the file wins over one of the path.
    fn add_partition_columns(&mut self) {
        let schema = &self.schema;
        self.file.partition_columns.retain(|column| schema.index_of(&column.name).is_err());
        let added = self.file.partition_columns.iter();
        let added = added.map(|column| Arc::new(Field::new(&column.name, DataType::Utf8, true)));
        let fields: Vec<_> = self.schema.fields().iter().cloned().chain(added).collect();
        self.schema = Schema::new(fields);
    }

    fn narrow(&mut self, needed: &[String]) -> Result<(), InputError> {
        if needed.is_empty() {
            return Ok(());
        }
        if let Some(column) = needed.iter().find(|name| self.schema.index_of(name).is_err()) {
            return Err(missing_column(&self.file.uri, column, &self.schema));
        }
        let keep = |name: &String| needed.contains(name);
        self.evidence.retain(|(name, _)| keep(name));
        self.file.columns.retain(|column| keep(&column.name));
        self.file.partition_columns.retain(|column| keep(&column.name));
        let fields = self.schema.fields().iter().filter(|field| keep(field.name()));
        self.schema = Schema::new(fields.cloned().collect::<Vec<_>>());
        Ok(())
    }
}

pub(super) fn missing_column(uri: &str, column: &str, schema: &Schema) -> InputError {
    let names =
        schema.fields().iter().map(|field| field.name().as_str()).filter(|&name| name != column);
    let mut present = names.clone().take(PRESENT_SHOWN).collect::<Vec<_>>().join(", ");
    match names.count() {
        0 => present = "none".to_owned(),
        count if count > PRESENT_SHOWN => {
            present.push_str(&format!(" and {} more", count - PRESENT_SHOWN))
        }
        _ => {}
    }
    InputError::MissingColumn { uri: uri.to_owned(), column: column.to_owned(), present }
}

/// Inspects many files at once, on as many threads as there are processors (at most 8), and
/// makes them agree ([`unify`]).
///
/// # Errors
/// The first one in the order of `found`.
pub fn inspect_all(found: &[Found], needed: &[String]) -> Result<Vec<Inspected>, InputError> {
    inspect_all_with(&Inputs::default(), found, needed)
}

/// As [`inspect_all`], by the connections of `inputs`.
///
/// # Errors
/// As [`inspect_all`].
pub fn inspect_all_with(
    inputs: &Inputs,
    found: &[Found],
    needed: &[String],
) -> Result<Vec<Inspected>, InputError> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = threads.min(INSPECT_THREADS_MAX).min(found.len());
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(found.len()));
    let failed = AtomicUsize::new(usize::MAX);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    // Files before the failed one are still looked at: the first error is told.
                    if at > failed.load(Ordering::Relaxed) {
                        return;
                    }
                    let Some(file) = found.get(at) else { return };
                    let result = inspect_with(inputs, file, needed);
                    if result.is_err() {
                        failed.fetch_min(at, Ordering::Relaxed);
                    }
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|&(at, _)| at);
    let mut inspected =
        done.into_iter().map(|(_, result)| result).collect::<Result<Vec<_>, _>>()?;
    unify(&mut inspected)?;
    Ok(inspected)
}

/// The Arrow type of a column of a text format.
pub(super) fn arrow_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Int => DataType::Int64,
        ColumnKind::Float => DataType::Float64,
        ColumnKind::Bool => DataType::Boolean,
        ColumnKind::Text => DataType::Utf8,
    }
}

/// The type in which a stored column is handed on: text is `Utf8` and bytes are `Binary`,
/// however the file lays them out; all other types stay.
pub fn plain_type(stored: &DataType) -> DataType {
    match stored {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
