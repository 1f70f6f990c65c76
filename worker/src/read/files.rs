//! Input files held open, with what their footers and headers say.

use std::sync::{Arc, Mutex, PoisonError};

use nightshift_core::plan::{InputFile, InputFormat};
use nightshift_storage::input::{InputObject, Inputs};

use super::csv::CsvLayout;
use super::jsonl::JsonlLayout;
use super::parquet::ParquetLayout;
use super::{ColumnRequest, ReadError};

/// Most files held open: shards come in order, so few are in use at a time, and a process may
/// have 1,024 descriptors.
const FILES_MAX: usize = 64;

/// Most memory for footers, as the decoder counts it.
pub(crate) const FOOTERS_BYTES_MAX: usize = 64 << 20;

/// One open file of one version, with what is known about its columns.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) input: InputFile,
    pub(super) object: Arc<InputObject>,
    pub(super) layout: Layout,
}

/// Where the requested columns are.
#[derive(Debug)]
pub(super) enum Layout {
    Parquet(ParquetLayout),
    Csv(CsvLayout),
    Jsonl(JsonlLayout),
}

impl Layout {
    fn memory_bytes(&self) -> usize {
        match self {
            Self::Parquet(layout) => layout.memory_bytes(),
            Self::Csv(_) | Self::Jsonl(_) => 0,
        }
    }
}

impl OpenFile {
    fn open(
        inputs: &Inputs,
        input: &InputFile,
        columns: &[ColumnRequest],
    ) -> Result<Self, ReadError> {
        let failed = |error| ReadError::from_input(&input.uri, &input.pin, error);
        let object = Arc::new(inputs.open(&input.uri).map_err(failed)?);
        // Before the content is looked at: of another version anything may be wrong.
        object.check(&input.pin).map_err(failed)?;
        let layout = match input.format {
            InputFormat::Parquet => Layout::Parquet(ParquetLayout::read(input, &object, columns)?),
            InputFormat::Csv => Layout::Csv(CsvLayout::read(input, &object, columns)?),
            InputFormat::Jsonl => Layout::Jsonl(JsonlLayout::new(input, columns)?),
        };
        Ok(Self { input: input.clone(), object, layout })
    }

    /// Refuses if the open file is not, or no longer, the planned version.
    pub(super) fn check(&self) -> Result<(), ReadError> {
        let failed = |error| ReadError::from_input(&self.input.uri, &self.input.pin, error);
        self.object.check(&self.input.pin).map_err(failed)
    }
}

/// The files opened last, the most recent one at the end.
#[derive(Debug, Default)]
pub(super) struct Files {
    inputs: Inputs,
    open: Mutex<Vec<Arc<OpenFile>>>,
}

impl Files {
    /// The open file for `input`, opened now if need be. Two threads that ask for a new file at
    /// the same moment may both open it; one copy is kept.
    pub(super) fn open(
        &self,
        input: &InputFile,
        columns: &[ColumnRequest],
    ) -> Result<Arc<OpenFile>, ReadError> {
        if let Some(known) = self.known(input) {
            return Ok(known);
        }
        let file = Arc::new(OpenFile::open(&self.inputs, input, columns)?);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = open.iter().find(|known| known.input == *input) {
            return Ok(Arc::clone(known));
        }
        open.push(Arc::clone(&file));
        let mut bytes: usize = open.iter().map(|file| file.layout.memory_bytes()).sum();
        while open.len() > 1 && (open.len() > FILES_MAX || bytes > FOOTERS_BYTES_MAX) {
            bytes -= open.remove(0).layout.memory_bytes();
        }
        Ok(file)
    }

    fn known(&self, input: &InputFile) -> Option<Arc<OpenFile>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().rposition(|known| known.input == *input)?;
        let file = open.remove(at);
        open.push(Arc::clone(&file));
        Some(file)
    }
}
