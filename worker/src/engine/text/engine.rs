//! Embedding a batch: a column of text to a column of vectors.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use nightshift_core::ids::Digest;
use nightshift_core::plan::TextSettings;
use nightshift_kernels::Isa;

use super::bert::{Bert, Scratch};
use super::folder::{Folder, TOKENIZER_FILE};
use super::packing::passes;
use super::pooling::Pooling;
use super::settings::Settings;
use super::tokens::{Sequence, Tokens};
use super::weights::Weights;
use crate::engine::tabular::clip;
use crate::engine::{ColumnRole, Engine, EngineColumn, EngineError, LoadError, Scored};
use crate::reject::{RejectReason, RowReject};

/// The column of vectors.
const OUTPUT: &str = "embedding";
/// Rows that are tokenized at a time: enough to fill passes with rows of about one length.
const GROUP_ROWS: usize = 256;

/// A model that makes embeddings.
pub struct EmbedEngine {
    bert: Bert,
    tokens: Tokens,
    pooling: Pooling,
    columns: [EngineColumn; 1],
    fields: [FieldRef; 1],
    files: Vec<(&'static str, Digest)>,
}

impl EmbedEngine {
    /// Loads the model in directory `dir` for `wanted`.
    ///
    /// # Errors
    /// Whatever keeps the model from being used.
    pub fn load(dir: &Path, wanted: &TextSettings) -> Result<Self, LoadError> {
        Self::with_isa(dir, wanted, Isa::detect())
    }

    /// The same on instruction set `isa`.
    pub(super) fn with_isa(dir: &Path, wanted: &TextSettings, isa: Isa) -> Result<Self, LoadError> {
        let mut folder = Folder::open(dir)?;
        let settings = Settings::read(&mut folder, wanted)?;
        let Settings { shape, max_tokens, lower_case, prompt, pooling } = settings;
        let tokenizer = folder.tokenizer()?;
        let tokens = Tokens::new(
            &tokenizer,
            shape.vocabulary,
            shape.segments,
            max_tokens,
            lower_case,
            prompt,
        );
        let tokens = tokens.map_err(|source| folder.error(TOKENIZER_FILE, source))?;
        let bytes = folder.weights()?;
        let bert = Weights::parse(&bytes).and_then(|weights| Bert::new(shape, &weights, isa));
        let bert = bert.map_err(|source| folder.weights_error(source))?;
        let name: Arc<str> = wanted.text.as_str().into();
        let fields = [Arc::new(Field::new(OUTPUT, list_of(pooling.dimensions()), false))];
        Ok(Self {
            bert,
            tokens,
            pooling,
            columns: [EngineColumn { name, accepts: ColumnRole::Text }],
            fields,
            files: folder.into_files(),
        })
    }

    fn column(&self) -> &Arc<str> {
        let [column] = &self.columns;
        &column.name
    }

    /// The tokens of the text at `row`, or why there are none.
    fn sequence(&self, texts: &dyn Array, row: usize) -> Result<Sequence, RowReject> {
        let reject = |reason, detail: &str| {
            RowReject::new(row, reason, Some(Arc::clone(self.column())), detail)
        };
        if texts.is_null(row) {
            return Err(reject(RejectReason::MissingValue, "there is no text"));
        }
        let text = texts.as_string::<i64>().value(row);
        self.tokens.of(text).map_err(|problem| reject(RejectReason::BadValue, &problem))
    }
}

/// A list of so many floats.
fn list_of(dimensions: usize) -> DataType {
    let item = Field::new("item", DataType::Float32, false);
    DataType::FixedSizeList(Arc::new(item), dimensions as i32)
}

impl Engine for EmbedEngine {
    fn files(&self) -> &[(&'static str, Digest)] {
        &self.files
    }

    fn input_columns(&self) -> &[EngineColumn] {
        &self.columns
    }

    fn check_input(&self, schema: &Schema) -> Result<(), EngineError> {
        let column = self.column();
        let Ok(field) = schema.field_with_name(column) else {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let available = clip(&names.collect::<Vec<_>>().join(", "));
            return Err(EngineError::MissingColumn { column: column.to_string(), available });
        };
        let plain = match field.data_type() {
            DataType::Dictionary(_, values) => values,
            kind => kind,
        };
        match plain {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => Ok(()),
            // A CSV column of numbers is text that looks like numbers.
            kind if kind.is_integer() || *kind == DataType::Boolean => Ok(()),
            _ => Err(EngineError::WrongType {
                column: column.to_string(),
                found: field.data_type().to_string(),
                wanted: "text",
            }),
        }
    }

    fn output_fields(&self) -> &[FieldRef] {
        &self.fields
    }

    fn run(&self, batch: &RecordBatch) -> Result<Scored, EngineError> {
        self.check_input(batch.schema_ref())?;
        let rows = batch.num_rows();
        let kernel = |source| EngineError::Kernel { column: self.column().to_string(), source };
        let position = batch.schema_ref().index_of(self.column()).map_err(kernel)?;
        let texts = cast(batch.column(position), &DataType::LargeUtf8).map_err(kernel)?;
        let width = self.pooling.dimensions();
        let mut vectors: Vec<f32> = Vec::new();
        let room = rows.checked_mul(width).map(|numbers| vectors.try_reserve_exact(numbers));
        if !matches!(room, Some(Ok(()))) {
            return Err(EngineError::OutOfMemory { rows });
        }
        vectors.resize(rows * width, 0.0);
        let mut rejects = Vec::new();
        let (mut scratch, mut pooled) = (Scratch::default(), Vec::with_capacity(width));
        for first in (0..rows).step_by(GROUP_ROWS) {
            let (mut group, mut places) = (Vec::new(), Vec::new());
            for row in first..rows.min(first + GROUP_ROWS) {
                match self.sequence(&*texts, row) {
                    Ok(sequence) => {
                        group.push(sequence);
                        places.push(row);
                    }
                    Err(reject) => rejects.push(reject),
                }
            }
            let lengths: Vec<usize> = group.iter().map(|sequence| sequence.ids.len()).collect();
            for pass in passes(&lengths) {
                let sequences: Vec<&Sequence> =
                    pass.iter().filter_map(|at| group.get(*at)).collect();
                let hidden = self.bert.hidden();
                let mut states = self.bert.run(&mut scratch, &sequences);
                for (sequence, at) in sequences.iter().zip(&pass) {
                    let (own, rest) = states.split_at(sequence.ids.len() * hidden);
                    states = rest;
                    pooled.clear();
                    self.pooling.append(hidden, own, &mut pooled);
                    let Some(&row) = places.get(*at) else { continue };
                    if let Some(number) = pooled.iter().find(|number| !number.is_finite()) {
                        let detail = format!("{OUTPUT} holds {number}");
                        let reason = RejectReason::ResultNotFinite;
                        rejects.push(RowReject::new(row, reason, None, &detail));
                    } else if let Some(to) = vectors.get_mut(row * width..(row + 1) * width) {
                        to.copy_from_slice(&pooled);
                    }
                }
            }
        }
        rejects.sort_by_key(|reject| reject.row);
        let item = Arc::new(Field::new("item", DataType::Float32, false));
        let values: ArrayRef = Arc::new(Float32Array::from(vectors));
        let lists = FixedSizeListArray::try_new(item, width as i32, values, None);
        Ok(Scored { columns: vec![Arc::new(lists.map_err(kernel)?)], rejects })
    }

    fn weights_bytes(&self) -> u64 {
        self.bert.bytes() as u64
    }

    fn rows_per_batch_hint(&self) -> usize {
        GROUP_ROWS
    }
}

impl std::fmt::Debug for EmbedEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbedEngine").field("isa", &self.bert.isa().name()).finish_non_exhaustive()
    }
}
