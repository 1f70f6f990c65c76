//! What a run will take of a worker's memory, before it begins.
//!
//! [`weigh`] looks at the footers of the input and at the loaded model; what follows from that is
//! arithmetic ([`Footprint`](nightshift_core::footprint::Footprint)). No row is read.

use std::sync::Arc;

use arrow::datatypes::DataType;
use nightshift_core::footprint::Facts;
use nightshift_core::plan::{Compression, InputFile, InputFormat, OutputFormat, Plan};
use nightshift_storage::input::parquet::read_footer;
use nightshift_storage::input::{InputError, Inputs};

use crate::engine::Engine;
use crate::pool::COMMITS_MAX;
use crate::read::{BATCH_BYTES, FOOTERS_BYTES_MAX};
use crate::score::{BATCH_ROWS, read_columns};
use crate::write::ROW_GROUP_BYTES_MAX;

mod parquet;

/// A reader of text: blocks read ahead (128 KiB) and in a decompressor, one row, and the columns
/// that grow by doubling while they are filled. Measured: 8 MiB for flights as CSV.
const TEXT_READER_BYTES: u64 = 8 << 20;

/// Window of a zstd stream: that of `zstd -19`. Files made with `--long` take up to 128 MiB.
const ZSTD_WINDOW_BYTES: u64 = 8 << 20;

/// Bytes of a value in a batch: a number of 64 bits, or where text begins and ends.
const VALUE_BYTES: u64 = 8;

/// What decoding one file takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Weight {
    /// Bytes of it that are held, if it is in a bucket.
    held_bytes: u64,
    /// Its decoded footer.
    footer_bytes: u64,
    /// Pages, dictionaries and blocks of one decoder.
    decoder_bytes: u64,
    /// Its largest batch.
    batch_bytes: u64,
    /// A row of the columns that are carried over.
    carried_row_bytes: u64,
}

/// The facts of `plan` for the engine that scores it; reads every footer once more.
///
/// # Errors
/// If a file cannot be looked at any more.
pub fn weigh(plan: &Plan, engine: &dyn Engine) -> Result<Facts, InputError> {
    let carried: Vec<&str> =
        plan.task.id.iter().chain(&plan.task.keep).map(String::as_str).collect();
    let columns = read_columns(plan.task.id.iter().chain(&plan.task.keep), engine);
    let columns: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let shard_rows = plan.shards.iter().map(|shard| shard.rows()).max().unwrap_or(0);
    let batch_rows = shard_rows.min(BATCH_ROWS as u64).max(1);
    let (mut heaviest, mut footer_bytes) = (Weight::default(), 0_u64);
    let mut held_bytes = 0_u64;
    let inputs = Inputs::default();
    for file in &plan.inputs {
        let weight = weight(&inputs, file, &columns, &carried, batch_rows)?;
        footer_bytes += weight.footer_bytes;
        held_bytes += weight.held_bytes;
        heaviest.footer_bytes = heaviest.footer_bytes.max(weight.footer_bytes);
        heaviest.decoder_bytes = heaviest.decoder_bytes.max(weight.decoder_bytes);
        heaviest.batch_bytes = heaviest.batch_bytes.max(weight.batch_bytes);
        heaviest.carried_row_bytes = heaviest.carried_row_bytes.max(weight.carried_row_bytes);
    }
    let output_row_bytes = heaviest.carried_row_bytes + scores_bytes(engine);
    let held_rows = match plan.task.output_format {
        OutputFormat::Parquet => shard_rows,
        // Text formats hold a batch while it is encoded, with names and digits.
        OutputFormat::Jsonl | OutputFormat::Csv => batch_rows * 2,
    };
    Ok(Facts {
        weights_bytes: engine.weights_bytes(),
        loading_bytes: engine.loading_bytes(),
        shards: plan.shards.len() as u64,
        shard_rows,
        // The reader keeps some, and always the one that it works with.
        footer_bytes: footer_bytes.min(heaviest.footer_bytes.max(FOOTERS_BYTES_MAX as u64)),
        held_bytes: held_bytes.min(Inputs::HELD_BYTES_MAX),
        decoder_bytes: heaviest.decoder_bytes,
        batch_bytes: heaviest.batch_bytes + batch_rows * scores_bytes(engine),
        output_bytes: held_rows.saturating_mul(output_row_bytes).min(ROW_GROUP_BYTES_MAX as u64),
        commits: (plan.shards.len() as u64).min(u64::from(COMMITS_MAX)),
        engine_bytes: engine.thread_bytes(),
    })
}

/// Bytes of a row of what the engine returns.
fn scores_bytes(engine: &dyn Engine) -> u64 {
    let width = |kind: &DataType| match kind {
        DataType::FixedSizeList(item, count) => {
            item.data_type().primitive_width().unwrap_or(0) as u64 * count.unsigned_abs() as u64
        }
        kind => kind.primitive_width().map_or(4 * VALUE_BYTES, |it| it as u64),
    };
    engine.output_fields().iter().map(|field| width(field.data_type())).sum()
}

fn weight(
    inputs: &Inputs,
    file: &InputFile,
    columns: &[&str],
    carried: &[&str],
    batch_rows: u64,
) -> Result<Weight, InputError> {
    let object = Arc::new(inputs.open(&file.uri)?);
    if file.format == InputFormat::Parquet {
        let metadata = read_footer(&object, true)?;
        let held_bytes = object.held_bytes_max();
        let weight = parquet::weight(&metadata, columns, carried, batch_rows);
        return Ok(Weight { held_bytes, ..weight });
    }
    let plain_row_bytes = object.size_bytes() / file.rows.max(1);
    let (row_bytes, window) = match file.compression {
        Compression::None => (plain_row_bytes, 0),
        // How long rows are is not known before they are read: as long as a batch takes.
        Compression::Gzip => (BATCH_BYTES as u64 / batch_rows, 0),
        Compression::Zstd => (BATCH_BYTES as u64 / batch_rows, ZSTD_WINDOW_BYTES),
    };
    let text = row_bytes.saturating_mul(batch_rows).min(BATCH_BYTES as u64 + row_bytes);
    Ok(Weight {
        held_bytes: object.held_bytes_max(),
        footer_bytes: 0,
        decoder_bytes: TEXT_READER_BYTES + row_bytes + window,
        batch_bytes: text + batch_rows * columns.len() as u64 * VALUE_BYTES,
        carried_row_bytes: row_bytes + carried.len() as u64 * VALUE_BYTES,
    })
}
