//! Writing the texts of a batch.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use nightshift_core::plan::{Ask, BODY, GenerateSettings};
use nightshift_kernels::Isa;

use super::asking::{Asking, Request};
use super::decode::{Asked, Decoder, PAST_BYTES_MAX, SLOTS};
use super::openai;
use super::source::Source;
use super::writing::{Finish, Written};
use crate::engine::text::engine::{precision, tell_instructions};
use crate::engine::text::folder::Folder;
use crate::engine::text::{TextError, columns};
use crate::engine::{
    ColumnRole, Engine, EngineColumn, EngineError, LoadError, ReadFile, Scored, TextCounts,
};
use crate::reject::{RejectReason, RowReject};
use crate::write::json_field;

/// The column of what was written.
const TEXT: &str = "text";
/// The column of why it ended.
const FINISH: &str = "finish_reason";
/// The column of how many tokens it has.
const TOKENS: &str = "tokens";
/// The column of an answer in the shape of OpenAI's Batch API.
const RESPONSE: &str = "response";
/// Multiplications of a batch whose texts are all as long as they may be, beyond the rows that are
/// written side by side.
const BATCH_PRODUCTS: u64 = 75_000_000_000;
/// Most rows of a batch.
const BATCH_ROWS_MAX: u64 = 128;

/// A model that writes text.
pub struct GenerateEngine {
    pub(super) decoder: Decoder,
    asking: Asking,
    /// Tokens of a prompt at most.
    most_tokens: usize,
    /// Tokens that are written at most.
    most_new: usize,
    columns: Vec<EngineColumn>,
    fields: Vec<FieldRef>,
    files: Vec<ReadFile>,
    batch_rows: usize,
}

impl GenerateEngine {
    /// Loads the model in directory `dir`.
    ///
    /// # Errors
    /// Whatever keeps the model from being used.
    pub fn load(dir: &Path, wanted: &GenerateSettings) -> Result<Self, LoadError> {
        let engine = Self::with_isa(dir, wanted, Isa::detect())?;
        tell_instructions(wanted.dtype);
        Ok(engine)
    }

    /// The same on instruction set `isa`.
    pub(super) fn with_isa(
        dir: &Path,
        wanted: &GenerateSettings,
        isa: Isa,
    ) -> Result<Self, LoadError> {
        let mut folder = Folder::open(dir)?;
        let source = Source::read(&mut folder, Asking::chats(wanted))?;
        let (most_tokens, places) = lengths(source.shape.places.most(), wanted)
            .map_err(|source| folder.error("", source))?;
        let precision = precision(wanted.dtype);
        let (layers, head) = source.layers(&mut folder, places, precision, isa)?;
        let step = source.shape.products(1) + (head.columns() * source.shape.hidden) as u64;
        let row = step.saturating_mul(u64::from(wanted.max_new_tokens)).max(1);
        let batch_rows = (BATCH_PRODUCTS / row).clamp(SLOTS as u64, BATCH_ROWS_MAX) as usize;
        let column = |name: String| {
            let is_body = matches!(wanted.ask, Ask::OpenaiBatch) && name == BODY;
            let accepts = if is_body { ColumnRole::Json } else { ColumnRole::Prose };
            EngineColumn { name: name.into(), accepts }
        };
        let Source { words, form, ends, .. } = source;
        let field = |name: &str, kind| Arc::new(Field::new(name, kind, false));
        let asking = Asking::new(wanted, form);
        let response = asking.is_batch().then(|| json_field(RESPONSE));
        let usual = [
            field(TEXT, DataType::Utf8),
            field(FINISH, DataType::Utf8),
            field(TOKENS, DataType::Int32),
        ];
        Ok(Self {
            decoder: Decoder { layers, head, words, ends },
            asking,
            most_tokens,
            most_new: wanted.max_new_tokens as usize,
            columns: wanted.columns().into_iter().map(column).collect(),
            fields: usual.into_iter().chain(response).collect(),
            files: folder.into_files(),
            batch_rows,
        })
    }

    /// What the row at `row` of the columns asks, with its tokens, or why it is no question.
    pub(super) fn asked(&self, texts: &[ArrayRef], row: usize) -> Result<Asked, RowReject> {
        let reject = |at: usize, reason, detail: &str| {
            let column = self.columns.get(at).map(|column| Arc::clone(&column.name));
            RowReject::new(row, reason, column, detail)
        };
        if let Some(at) = texts.iter().position(|texts| texts.is_null(row)) {
            return Err(reject(at, RejectReason::MissingValue, "there is no text"));
        }
        // What is too long is so because of the columns together: the last one is named.
        let bad =
            |detail: &str| reject(texts.len().saturating_sub(1), RejectReason::BadValue, detail);
        let value = |at: usize| texts.get(at).map_or("", |own| own.as_string::<i64>().value(row));
        let request: Request = self.asking.request(value).map_err(|problem| bad(&problem))?;
        let most = self.most_tokens;
        let tokens = self.decoder.words.tokens(&request.prompt, request.is_whole, most);
        match tokens.map_err(|problem| bad(&problem))? {
            Some(tokens) if tokens.is_empty() => Err(bad("the prompt has no tokens")),
            Some(tokens) if tokens.len() <= most => Ok(Asked { row, tokens, request }),
            Some(tokens) => {
                Err(bad(&format!("the prompt has {} tokens, the most are {most}", tokens.len())))
            }
            None => Err(bad(&format!("the prompt has far more than {most} tokens"))),
        }
    }
}

/// Tokens of a prompt at most, and of prompt and text together, for a model of so many `places`.
fn lengths(places: usize, wanted: &GenerateSettings) -> Result<(usize, usize), TextError> {
    let new = wanted.max_new_tokens as usize;
    if new >= places {
        let (field, most) = ("spec.task.max_new_tokens", places.saturating_sub(1));
        return Err(TextError::Setting { field, wanted: new, most });
    }
    let most = wanted.max_tokens.map_or(places - new, |most| most as usize);
    if most > places - new {
        let field = "spec.task.max_tokens";
        return Err(TextError::Setting { field, wanted: most, most: places - new });
    }
    Ok((most, most + new))
}

impl Engine for GenerateEngine {
    fn files(&self) -> &[ReadFile] {
        &self.files
    }

    fn input_columns(&self) -> &[EngineColumn] {
        &self.columns
    }

    fn check_input(&self, schema: &Schema) -> Result<(), EngineError> {
        columns::check(&self.columns, schema)
    }

    fn output_fields(&self) -> &[FieldRef] {
        &self.fields
    }

    fn run(&self, batch: &RecordBatch) -> Result<Scored, EngineError> {
        self.run_while(batch, &|| true)
    }

    fn run_while(
        &self,
        batch: &RecordBatch,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Scored, EngineError> {
        let texts = columns::texts(&self.columns, batch)?;
        let (mut asked, mut rejects, mut text) = (Vec::new(), Vec::new(), TextCounts::default());
        let mut lengths = vec![0; batch.num_rows()];
        for row in 0..batch.num_rows() {
            match self.asked(&texts, row) {
                Ok(own) => {
                    text.tokens += own.tokens.len() as u64;
                    if let Some(length) = lengths.get_mut(row) {
                        *length = own.tokens.len();
                    }
                    asked.push(own);
                }
                Err(reject) => rejects.push(reject),
            }
        }
        let empty = || Written { text: String::new(), finish: Finish::Stop, ids: Vec::new() };
        let mut written: Vec<Written> = (0..batch.num_rows()).map(|_| empty()).collect();
        let is_whole = self.decoder.write(asked, goes_on, |row, result| {
            match (result, written.get_mut(row)) {
                (Ok(own), Some(to)) => {
                    text.tokens += own.ids.len() as u64;
                    *to = own;
                }
                (Err(odd), _) => {
                    let (reason, detail) =
                        (RejectReason::ResultNotFinite, format!("a score is {odd}"));
                    rejects.push(RowReject::new(row, reason, None, &detail));
                }
                (Ok(_), None) => {}
            }
        });
        if !is_whole {
            return Err(EngineError::LeftOff);
        }
        rejects.sort_by_key(|reject| reject.row);
        let texts = StringArray::from_iter_values(written.iter().map(|own| &own.text));
        let ends = StringArray::from_iter_values(written.iter().map(|own| own.finish.as_str()));
        let tokens = Int32Array::from_iter_values(written.iter().map(|own| own.ids.len() as i32));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(texts), Arc::new(ends), Arc::new(tokens)];
        if self.asking.is_batch() {
            let answers = written.iter().zip(&lengths).map(|(own, length)| {
                // A row without an answer is a reject.
                if own.ids.is_empty() { String::new() } else { openai::response(*length, own) }
            });
            columns.push(Arc::new(StringArray::from_iter_values(answers)));
        }
        Ok(Scored { columns, rejects, text })
    }

    fn weights_bytes(&self) -> u64 {
        let matrices = self.decoder.layers.bytes() + self.decoder.head.bytes();
        matrices as u64 + self.decoder.words.bytes()
    }

    fn loading_bytes(&self) -> u64 {
        self.decoder.loading_bytes() as u64 + self.decoder.words.loading_bytes()
    }

    fn thread_bytes(&self) -> u64 {
        // Keys and values of the rows side by side, or of one row of the longest.
        let layers = &self.decoder.layers;
        let row = layers.past_bytes(self.most_tokens + self.most_new);
        let pasts = row.max(PAST_BYTES_MAX.min(row.saturating_mul(SLOTS)));
        // The prompts of as many rows as begin together, whose pasts have the same room.
        let tokens = PAST_BYTES_MAX / layers.past_bytes(1).max(1);
        let tokens = tokens.min(self.most_tokens.saturating_mul(SLOTS)).max(self.most_tokens);
        (pasts + layers.scratch_bytes(tokens)) as u64
    }

    fn batch_rows(&self) -> usize {
        self.batch_rows
    }
}

impl std::fmt::Debug for GenerateEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GenerateEngine")
            .field("isa", &self.decoder.layers.isa().name())
            .finish_non_exhaustive()
    }
}
