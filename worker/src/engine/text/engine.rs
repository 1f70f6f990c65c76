//! Scoring a batch: columns of text to columns of vectors, labels or scores.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{FieldRef, Schema};
use nightshift_core::plan::{Dtype, TextSettings};
use nightshift_core::spec::Task;
use nightshift_kernels::matrix::Precision;
use nightshift_kernels::{Isa, tiles};

use super::columns;
use super::folder::{Folder, TOKENIZER_FILE};
use super::head::{Head, HeadScratch, Labels};
use super::layers::{Layers, Processor};
use super::output::Output;
use super::packing::passes;
use super::settings::{End, Settings};
use super::shape::Segments;
use super::tokens::{Sequence, Tokens};
use super::transformer::Scratch;
use super::weights::Weights;
use crate::engine::files::joined;
use crate::engine::{
    ColumnRole, Engine, EngineColumn, EngineError, LoadError, ReadFile, Scored, TextCounts,
};
use crate::reject::{RejectReason, RowReject};

/// A model that reads text.
pub struct TextEngine {
    isa: Isa,
    pub(super) layers: Layers,
    tokens: Tokens,
    head: Head,
    output: Output,
    columns: Vec<EngineColumn>,
    fields: Vec<FieldRef>,
    files: Vec<ReadFile>,
    batch_rows: usize,
}

impl TextEngine {
    /// Loads the model in directory `dir` for a task that reads text.
    ///
    /// # Errors
    /// Whatever keeps the model from being used.
    pub fn load(dir: &Path, task: &Task, wanted: &TextSettings) -> Result<Self, LoadError> {
        let engine = Self::with_isa(dir, task, wanted, Isa::detect())?;
        tell_instructions(wanted.dtype);
        Ok(engine)
    }

    /// The same on instruction set `isa`.
    pub(super) fn with_isa(
        dir: &Path,
        task: &Task,
        wanted: &TextSettings,
        isa: Isa,
    ) -> Result<Self, LoadError> {
        // Before the files are read: whether there is a GPU takes no time to see.
        let processor = Processor::of(wanted.device, isa)?;
        Self::on(dir, task, wanted, &processor, isa)
    }

    /// The same on `processor`; what comes before and after the layers is on instruction set
    /// `isa`.
    pub(super) fn on(
        dir: &Path,
        task: &Task,
        wanted: &TextSettings,
        processor: &Processor,
        isa: Isa,
    ) -> Result<Self, LoadError> {
        let mut folder = Folder::open(dir)?;
        let settings = Settings::read(&mut folder, task, wanted)?;
        let Settings { shape, max_tokens, lower_case, prompt, end } = settings;
        let tokenizer = folder.tokenizer()?;
        // Where the model is not told, what the tokenizer says of segments does not matter.
        let segments = if let Segments::Told(segments) = shape.segments { segments } else { 0 };
        let (vocabulary, of_pairs) = (shape.vocabulary, wanted.query.is_some());
        let files = folder.weights()?;
        let longest_row = shape.products(max_tokens as u64);
        let load = || {
            let weights = Weights::of_files(&files, &shape.family.names)?;
            let (head, output) = match end {
                End::Embed(pooling) => (Head::Embed(pooling), Output::Embedding(wanted.precision)),
                End::Labels { labels, activation, head } => {
                    let head = Labels::new(head, &shape, labels.len(), activation, &weights);
                    let head = head.map_err(|source| weights.refused(source))?;
                    let output = match task {
                        Task::Rerank(_) => Output::Score,
                        _ => Output::Label { labels, all_scores: wanted.all_scores },
                    };
                    (Head::Labels(head), output)
                }
            };
            let layers = Layers::new(processor, shape, max_tokens, &weights, wanted.dtype)?;
            Ok((layers, head, output))
        };
        // Side by side: a model of a hundred megabytes is ready before anybody notices.
        let (tokens, loaded) = thread::scope(|scope| {
            let tokens = scope.spawn(|| {
                Tokens::new(
                    &tokenizer, vocabulary, segments, max_tokens, lower_case, prompt, of_pairs,
                )
            });
            let loaded = folder.hashed(&files, load);
            (joined(tokens.join()), loaded)
        });
        let tokens = tokens.map_err(|source| folder.error(TOKENIZER_FILE, source))?;
        let (layers, head, output) = loaded?;
        let column = |name: String| EngineColumn { name: name.into(), accepts: ColumnRole::Prose };
        Ok(Self {
            fields: output.fields(head.width()),
            columns: wanted.columns().into_iter().map(column).collect(),
            batch_rows: layers.batch_rows(longest_row),
            isa,
            layers,
            tokens,
            head,
            output,
            files: folder.into_files(),
        })
    }

    /// The tokens of what is at `row` of the columns, or why there are none.
    fn sequence(&self, texts: &[ArrayRef], row: usize) -> Result<Sequence, RowReject> {
        let reject = |at: usize, reason, detail: &str| {
            let column = self.columns.get(at).map(|column| Arc::clone(&column.name));
            RowReject::new(row, reason, column, detail)
        };
        if let Some(at) = texts.iter().position(|texts| texts.is_null(row)) {
            return Err(reject(at, RejectReason::MissingValue, "there is no text"));
        }
        fn at(texts: &ArrayRef, row: usize) -> &str {
            texts.as_string::<i64>().value(row)
        }
        let tokens = match texts {
            [query, texts] => self.tokens.of_pair(at(query, row), at(texts, row)),
            _ => self.tokens.of(texts.first().map_or("", |texts| at(texts, row))),
        };
        // Of a pair the text is named: queries are short.
        tokens.map_err(|problem| reject(texts.len() - 1, RejectReason::BadValue, &problem))
    }
}

/// What the products of a model are made of.
pub(super) fn precision(dtype: Dtype) -> Precision {
    match dtype {
        Dtype::F32 => Precision::F32,
        Dtype::Bf16 => Precision::Bf16,
        Dtype::Int8 => Precision::Int8,
    }
}

/// Logs what computes the products of a model that was loaded. Where AMX is there and wanted but
/// cannot be used, that is a warning: the scores are right, but take longer.
pub(super) fn tell_instructions(dtype: Dtype) {
    let (instructions, dtype_name) = (Isa::detect().name(), dtype.as_str());
    tracing::info!(instructions, dtype = dtype_name, "text model loaded");
    if let Some(reason) = tiles::missing().filter(tiles::NoTiles::is_odd)
        && dtype != Dtype::F32
    {
        tracing::warn!(reason = %reason, "AMX is not used");
    }
}

impl Engine for TextEngine {
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
        let texts = columns::texts(&self.columns, batch)?;
        let rows = batch.num_rows();
        let kernel =
            |column: &str, source| EngineError::Kernel { column: column.to_owned(), source };
        let width = self.head.width();
        let mut numbers: Vec<f32> = Vec::new();
        let room = rows.checked_mul(width).map(|room| numbers.try_reserve_exact(room));
        if !matches!(room, Some(Ok(()))) {
            return Err(EngineError::OutOfMemory { rows });
        }
        numbers.resize(rows * width, 0.0);
        let mut rejects = Vec::new();
        let mut memory = Memory {
            layers: self.layers.scratch(),
            head: HeadScratch::default(),
            numbers: Vec::new(),
        };
        let mut text = TextCounts::default();
        let group_rows = self.layers.group_rows();
        for first in (0..rows).step_by(group_rows) {
            let (mut group, mut places) = (Vec::new(), Vec::new());
            for row in first..rows.min(first + group_rows) {
                match self.sequence(&texts, row) {
                    Ok(sequence) => {
                        text += TextCounts {
                            tokens: sequence.ids.len() as u64,
                            cut_rows: sequence.is_cut.into(),
                        };
                        group.push(sequence);
                        places.push(row);
                    }
                    Err(reject) => rejects.push(reject),
                }
            }
            self.score(&group, &places, &mut memory, &mut numbers, &mut rejects)?;
        }
        rejects.sort_by_key(|reject| reject.row);
        let columns =
            self.output.columns(numbers, width).map_err(|e| kernel(self.output.name(), e))?;
        Ok(Scored { columns, rejects, text })
    }

    fn weights_bytes(&self) -> u64 {
        self.layers.bytes() + self.head.bytes() as u64 + self.tokens.bytes()
    }

    fn loading_bytes(&self) -> u64 {
        self.layers.loading_bytes() + self.tokens.loading_bytes()
    }

    fn thread_bytes(&self) -> u64 {
        self.layers.thread_bytes()
    }

    fn batch_rows(&self) -> usize {
        self.batch_rows
    }
}

/// Memory of a thread, used for pass after pass.
struct Memory {
    layers: Scratch,
    head: HeadScratch,
    numbers: Vec<f32>,
}

impl TextEngine {
    /// Puts the numbers of the texts of a group, whose rows are `places`, into their rows of
    /// `numbers`.
    fn score(
        &self,
        group: &[Sequence],
        places: &[usize],
        memory: &mut Memory,
        numbers: &mut [f32],
        rejects: &mut Vec<RowReject>,
    ) -> Result<(), EngineError> {
        let (hidden, width) = (self.layers.hidden(), self.head.width());
        let Memory { layers: scratch, head, numbers: own_numbers } = memory;
        let lengths: Vec<usize> = group.iter().map(|sequence| sequence.ids.len()).collect();
        for pass in passes(&lengths, self.layers.packing()) {
            let sequences: Vec<&Sequence> = pass.iter().filter_map(|at| group.get(*at)).collect();
            let mut states = self.layers.run(scratch, &sequences)?;
            for (sequence, at) in sequences.iter().zip(&pass) {
                let (own, rest) = states.split_at(sequence.ids.len() * hidden);
                states = rest;
                self.head.of_text(self.isa, head, hidden, own, own_numbers);
                let Some(&row) = places.get(*at) else { continue };
                if let Some(number) = own_numbers.iter().find(|number| !self.output.holds(**number))
                {
                    let name = self.fields.first().map_or("", |field| field.name().as_str());
                    let detail = format!("{name} holds {number}");
                    let reason = RejectReason::ResultNotFinite;
                    rejects.push(RowReject::new(row, reason, None, &detail));
                } else if let Some(to) = numbers.get_mut(row * width..(row + 1) * width) {
                    to.copy_from_slice(own_numbers);
                }
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for TextEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextEngine").field("isa", &self.isa.name()).finish_non_exhaustive()
    }
}
