//! Writing: batches of results to one output file, and rejected rows beside it.
//!
//! A writer takes any sink and gives it back when it is finished, so that staging decides where
//! bytes go and when they are durable. Nothing is complete before [`RowWriter::finish`].
//!
//! Memory: text formats are streamed; Parquet holds one row group ([`ROW_GROUP_BYTES_MAX`]
//! encoded, or a single batch if that is larger).

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::csv;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json;
use nightshift_core::plan::OutputFormat;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use thiserror::Error;

mod filter;
mod json_text;
mod rejects;
mod settings;

pub use filter::without_rejected;
pub use json_text::json_field;
pub use rejects::RejectsWriter;
pub use settings::{ROW_GROUP_BYTES_MAX, ROW_GROUP_ROWS_MAX, parquet_properties};

/// Bytes of text gathered before they go to the sink.
const BUFFER_BYTES: usize = 64 << 10;

/// Why an output file cannot be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The sink failed: no space, no permission, a broken device.
    #[error("cannot write the output; check that the output volume is writable and has space")]
    Io {
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The format has no place for a column.
    #[error(
        "column `{column}` of type {found} cannot be written as {format}; use format: {remedy}"
    )]
    Unsupported {
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// The format that was asked for.
        format: &'static str,
        /// The formats that can hold it.
        remedy: &'static str,
    },
    /// A batch has other columns than the file.
    #[error("a batch has the columns {found} where the output has {wanted}")]
    OtherColumns {
        /// Columns of the batch.
        found: String,
        /// Columns of the file.
        wanted: String,
    },
    /// Arrow cannot encode a batch.
    #[error("cannot encode a batch of the output")]
    Encode {
        /// What Arrow said.
        #[source]
        source: ArrowError,
    },
    /// Parquet cannot encode a batch.
    #[error("cannot encode a batch of the output as Parquet")]
    EncodeParquet {
        /// What the encoder said.
        #[source]
        source: ParquetError,
    },
}

/// Writes batches of one schema to one file.
pub struct RowWriter<W: Write + Send> {
    encoder: Encoder<W>,
    schema: SchemaRef,
    rows: u64,
    fault: Fault,
}

enum Encoder<W: Write + Send> {
    Parquet(Box<ArrowWriter<Sink<W>>>),
    Jsonl(json::LineDelimitedWriter<BufWriter<Sink<W>>>),
    Csv(Box<csv::Writer<BufWriter<Sink<W>>>>),
}

impl<W: Write + Send> RowWriter<W> {
    /// Begins a file of `format` with the columns of `schema`.
    ///
    /// Parquet: `metadata` goes into the footer as key-value pairs; the other formats have no
    /// place for it. JSON lines: every object has all keys; missing values and numbers that are
    /// not finite are null; dates and times are ISO 8601; JSON is there as it is. CSV: a header even without rows, RFC
    /// 4180 quoting, missing values are empty.
    ///
    /// # Errors
    /// [`WriteError::Unsupported`] for lists and structs in CSV; [`WriteError::Io`] if the sink
    /// fails at once.
    pub fn create(
        format: OutputFormat,
        schema: SchemaRef,
        metadata: &[(String, String)],
        sink: W,
    ) -> Result<Self, WriteError> {
        let fault = Fault::default();
        let sink = Sink { inner: sink, fault: fault.clone() };
        let encoder = match format {
            OutputFormat::Parquet => {
                let properties = parquet_properties(&schema, metadata);
                let writer = ArrowWriter::try_new(sink, Arc::clone(&schema), Some(properties));
                Encoder::Parquet(Box::new(writer.map_err(|source| fault.or_parquet(source))?))
            }
            OutputFormat::Jsonl => {
                let sink = BufWriter::with_capacity(BUFFER_BYTES, sink);
                let builder = json::WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .with_encoder_factory(Arc::new(json_text::AsItIs));
                Encoder::Jsonl(builder.build(sink))
            }
            OutputFormat::Csv => {
                refuse_nested(&schema)?;
                let sink = BufWriter::with_capacity(BUFFER_BYTES, sink);
                let mut writer = csv::WriterBuilder::new().with_header(true).build(sink);
                let header = writer.write(&RecordBatch::new_empty(Arc::clone(&schema)));
                header.map_err(|source| fault.or_arrow(source))?;
                Encoder::Csv(Box::new(writer))
            }
        };
        Ok(Self { encoder, schema, rows: 0, fault })
    }

    /// Appends the rows of `batch`, whose columns have the names and types of the file's.
    ///
    /// # Errors
    /// See [`WriteError`]. The file is useless afterwards.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        if !same_columns(&batch.schema(), &self.schema) {
            return Err(WriteError::OtherColumns {
                found: describe(&batch.schema()),
                wanted: describe(&self.schema),
            });
        }
        let fault = &self.fault;
        match &mut self.encoder {
            Encoder::Parquet(writer) => {
                writer.write(batch).map_err(|source| fault.or_parquet(source))?;
            }
            Encoder::Jsonl(writer) => {
                writer.write(batch).map_err(|source| fault.or_arrow(source))?
            }
            Encoder::Csv(writer) => writer.write(batch).map_err(|source| fault.or_arrow(source))?,
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Completes the file; gives the sink back, with every byte handed to it, and the number of rows.
    ///
    /// # Errors
    /// See [`WriteError`]. The file is incomplete then.
    pub fn finish(self) -> Result<(W, u64), WriteError> {
        let fault = self.fault;
        let sink = match self.encoder {
            Encoder::Parquet(writer) => {
                writer.into_inner().map_err(|source| fault.or_parquet(source))?
            }
            Encoder::Jsonl(mut writer) => {
                writer.finish().map_err(|source| fault.or_arrow(source))?;
                unbuffer(writer.into_inner())?
            }
            // Each write has flushed the encoder's own buffer, or the error was returned there.
            Encoder::Csv(writer) => unbuffer(writer.into_inner())?,
        };
        Ok((sink.inner, self.rows))
    }
}

fn unbuffer<W: Write>(buffered: BufWriter<W>) -> Result<W, WriteError> {
    buffered.into_inner().map_err(|error| WriteError::Io { source: error.into_error() })
}

/// Whether names and types agree; nullability may differ, since a batch without nulls fits both.
fn same_columns(batch: &Schema, file: &Schema) -> bool {
    let (left, right) = (batch.fields(), file.fields());
    let pairs = left.iter().zip(right);
    left.len() == right.len()
        && pairs.into_iter().all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type())
}

fn describe(schema: &Schema) -> String {
    /// Columns that a message names.
    const SHOWN: usize = 20;
    let fields = schema.fields().iter().take(SHOWN);
    let named = fields.map(|field| format!("{} {}", field.name(), field.data_type()));
    named.collect::<Vec<_>>().join(", ")
}

fn refuse_nested(schema: &Schema) -> Result<(), WriteError> {
    match schema.fields().iter().find(|field| field.data_type().is_nested()) {
        None => Ok(()),
        Some(field) => Err(WriteError::Unsupported {
            column: field.name().clone(),
            found: field.data_type().to_string(),
            format: "csv",
            remedy: "parquet or jsonl",
        }),
    }
}

/// The last failure of the sink. Encoders turn it into their own error type and often into text;
/// this keeps a full disk apart from a batch that cannot be encoded.
#[derive(Debug, Clone, Default)]
struct Fault(Arc<Mutex<Option<io::Error>>>);

impl Fault {
    fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn or_arrow(&self, source: ArrowError) -> WriteError {
        match self.take() {
            Some(source) => WriteError::Io { source },
            None => WriteError::Encode { source },
        }
    }

    fn or_parquet(&self, source: ParquetError) -> WriteError {
        match self.take() {
            Some(source) => WriteError::Io { source },
            None => WriteError::EncodeParquet { source },
        }
    }
}

/// The caller's sink, its failures remembered.
struct Sink<W> {
    inner: W,
    fault: Fault,
}

impl<W> Sink<W> {
    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let told = io::Error::new(error.kind(), error.to_string());
            if error.kind() != io::ErrorKind::Interrupted {
                *self.fault.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
            told
        })
    }
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.noted(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.noted(flushed)
    }
}

#[cfg(test)]
mod tests;
