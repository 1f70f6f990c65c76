//! Statistics of a file that another program has written.

use std::error::Error;
use std::path::Path;

use arrow::datatypes::DataType;
use nightshift_core::plan::{Compression, Plan, Slice};
use nightshift_core::scores::{ColumnScores, Scores};
use nightshift_storage::input::{Found, inspect};

use crate::read::{ColumnRequest, Reader};
use crate::score::Statistics;

/// Rows that are read at a time.
const BATCH_ROWS: usize = 8_192;

/// Statistics of the numeric columns of `path`, which has `rows` rows; without those that the plan
/// carries over. None if there are no such columns, or if the file cannot be read row by row: it
/// is a result all the same, which a publish gate then withholds.
pub(super) fn statistics(plan: &Plan, path: &Path, rows: u64) -> Option<Scores> {
    match read(plan, path) {
        // A blank line may be a row for one reader and none for another.
        Ok(scores) => scores.filter(|scores| scores.columns().iter().all(has(rows))),
        Err(error) => {
            let reason = crate::describe(&*error);
            tracing::warn!(path = %path.display(), reason, "no statistics of this output");
            None
        }
    }
}

fn has(rows: u64) -> impl Fn(&ColumnScores) -> bool {
    move |column| column.rows() == rows
}

fn read(plan: &Plan, path: &Path) -> Result<Option<Scores>, Box<dyn Error>> {
    let found = Found {
        uri: std::path::absolute(path)?.display().to_string(),
        format: plan.task.output_format.into(),
        compression: Compression::None,
        partition_columns: Vec::new(),
    };
    let inspected = inspect(&found, &[])?;
    let is_carried = |name: &str| plan.task.id.iter().chain(&plan.task.keep).any(|own| own == name);
    let statistics = Statistics::of(&inspected.schema, |_, name| is_carried(name));
    let wanted: Vec<String> = statistics.names().map(str::to_owned).collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    // As floats, since the first rows of a text file may all be whole numbers by chance.
    let requests = wanted.iter().map(|name| ColumnRequest::typed(name, DataType::Float64));
    let reader = Reader::new(requests.collect(), BATCH_ROWS);
    let whole = Slice { input: 0, start: 0, rows: inspected.file.rows, seek: None };
    let mut statistics = None;
    for batch in reader.open(&inspected.file, &whole)? {
        let batch = batch?.batch;
        let fresh = || Statistics::of(batch.schema_ref(), |_, _| false);
        statistics.get_or_insert_with(fresh).add(&batch)?;
    }
    Ok(statistics.and_then(Statistics::finish))
}
