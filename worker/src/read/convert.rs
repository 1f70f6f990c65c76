//! From columns as a file stores them to columns as the run wants them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow::compute::kernels::cmp::neq;
use arrow::compute::{CastOptions, can_cast_types, cast, cast_with_options, nullif};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use nightshift_core::plan::InputFile;

use super::cursor::Rows;
use super::{ColumnRequest, ReadError};
use crate::reject::{RejectReason, RowReject};

/// What Hive writes as the directory of rows whose partition column is null.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Where rows come from, for messages and rejects.
pub(super) struct Origin<'a> {
    pub(super) input: &'a InputFile,
    pub(super) columns: &'a [ColumnRequest],
}

/// How the requested columns come about from those that a decoder makes.
#[derive(Debug)]
pub(super) struct Conversion {
    schema: SchemaRef,
    steps: Vec<Step>,
}

/// One requested column.
#[derive(Debug)]
struct Step {
    from: From,
    /// The column's name, for rejects.
    name: Arc<str>,
    wanted: DataType,
}

#[derive(Debug)]
enum From {
    /// A decoded column, by its position.
    Column(usize),
    /// The same text in every row; none is null.
    Path(Option<String>),
}

impl Conversion {
    /// Plans the conversion; `find` gives position and type of a decoded column, and `views`
    /// says whether text is decoded as views.
    pub(super) fn new(
        input: &InputFile,
        columns: &[ColumnRequest],
        views: bool,
        find: impl Fn(&str) -> Option<(usize, DataType)>,
    ) -> Result<Self, ReadError> {
        let mut steps = Vec::with_capacity(columns.len());
        for column in columns {
            let mut partitions = input.partition_columns.iter();
            let partition = partitions.find(|partition| partition.name == column.name);
            let (from, found) = match (find(&column.name), partition) {
                (Some((position, found)), _) => (From::Column(position), found),
                (None, Some(partition)) => {
                    let value = Some(partition.value.clone()).filter(|value| value != HIVE_NULL);
                    (From::Path(value), DataType::Utf8)
                }
                (None, None) => {
                    let (uri, column) = (input.uri.clone(), column.name.clone());
                    return Err(ReadError::MissingColumn { uri, column });
                }
            };
            let decoded_as_views = matches!(from, From::Column(_)) && views;
            let wanted = match (&column.as_type, &found) {
                (Some(wanted), _) => wanted.clone(),
                (None, DataType::Utf8) if column.views && decoded_as_views => DataType::Utf8View,
                (None, found) => found.clone(),
            };
            if wanted != found && !can_cast_types(&found, &wanted) {
                return Err(ReadError::WrongType {
                    uri: input.uri.clone(),
                    column: column.name.clone(),
                    found: found.to_string(),
                    wanted: wanted.to_string(),
                });
            }
            steps.push(Step { from, name: Arc::from(column.name.as_str()), wanted });
        }
        let fields = steps.iter().map(|step| Field::new(&*step.name, step.wanted.clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(Self { schema, steps })
    }

    /// Converts `rows` decoded rows; `rejects` are those that the decoder has found already.
    pub(super) fn apply(
        &self,
        origin: &Origin<'_>,
        decoded: &[ArrayRef],
        rows: usize,
        mut rejects: Vec<RowReject>,
    ) -> Result<Rows, ReadError> {
        let failed = |source| ReadError::Batch { uri: origin.input.uri.clone(), source };
        let mut arrays = Vec::with_capacity(self.steps.len());
        for (step, column) in self.steps.iter().zip(origin.columns) {
            let array = match &step.from {
                From::Column(position) => {
                    let array = decoded.get(*position).cloned();
                    array.unwrap_or_else(|| new_null_array(&step.wanted, rows))
                }
                From::Path(None) => new_null_array(&step.wanted, rows),
                From::Path(Some(value)) => {
                    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, rows)))
                }
            };
            // Without a wish the column keeps its type; only the layout of text may change.
            let strict = column.as_type.is_some();
            arrays.push(step.convert(array, strict, &mut rejects).map_err(failed)?);
        }
        // At most one entry a row: the first column at fault, in the order of the request.
        rejects.sort_by_key(|reject| reject.row);
        rejects.dedup_by_key(|reject| reject.row);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options);
        Ok((batch.map_err(failed)?, rejects))
    }
}

impl Step {
    fn convert(
        &self,
        array: ArrayRef,
        strict: bool,
        rejects: &mut Vec<RowReject>,
    ) -> Result<ArrayRef, ArrowError> {
        if *array.data_type() == self.wanted {
            return Ok(array);
        }
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let mut converted = cast_with_options(&array, &self.wanted, &options)?;
        if strict && array.data_type().is_floating() && self.wanted.is_integer() {
            // A cast drops the fraction; a fraction is not an integer.
            let back = cast(&converted, array.data_type())?;
            converted = nullif(&converted, &neq(&array, &back)?)?;
        }
        if converted.null_count() > array.null_count() {
            let formatter = ArrayFormatter::try_new(&array, &FormatOptions::default())?;
            let lost =
                (0..array.len()).filter(|&row| array.is_valid(row) && converted.is_null(row));
            rejects.extend(lost.map(|row| {
                let value = formatter.value(row).try_to_string().unwrap_or_default();
                let shown: String = value.chars().take(80).collect();
                let detail = format!("`{shown}` is not a value of type {}", self.wanted);
                RowReject::new(row, RejectReason::BadValue, Some(Arc::clone(&self.name)), &detail)
            }));
        }
        Ok(converted)
    }
}
