//! Statistics of an output while it is written.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use arrow::error::ArrowError;
use nightshift_core::scores::{Collector, Scores};

/// Statistics of the numeric columns of one output.
pub(crate) struct Statistics {
    collector: Collector,
    /// Positions in a batch of the collector's columns.
    positions: Vec<usize>,
    values: Vec<f64>,
}

impl Statistics {
    /// Statistics of the numeric columns of `schema`, except for those that are `carried` over
    /// from the input and so are nothing that the model said.
    pub(crate) fn of<'a>(schema: &'a Schema, carried: impl Fn(usize, &str) -> bool) -> Self {
        let fields = schema.fields().iter().enumerate();
        let numeric: Vec<(usize, &'a str)> = fields
            .filter(|(at, field)| is_numeric(field.data_type()) && !carried(*at, field.name()))
            .map(|(at, field)| (at, field.name().as_str()))
            .collect();
        let collector = Collector::new(numeric.iter().map(|(_, name)| *name));
        // The collector takes the first of them, and may pass over some.
        let taken = collector.names();
        let positions = taken.filter_map(|name| schema.index_of(name).ok()).collect();
        Self { collector, positions, values: Vec::new() }
    }

    /// Names of the columns.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.collector.names()
    }

    /// Counts the rows of `batch`, which has the columns of the schema.
    ///
    /// # Errors
    /// If Arrow cannot turn a number into a float.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        for (at, &position) in self.positions.iter().enumerate() {
            let floats = cast(batch.column(position), &DataType::Float64)?;
            let floats = floats.as_primitive::<Float64Type>();
            if floats.null_count() == 0 {
                self.collector.add(at, floats.values(), 0);
            } else {
                self.values.clear();
                self.values.extend(floats.iter().flatten());
                self.collector.add(at, &self.values, floats.null_count() as u64);
            }
        }
        Ok(())
    }

    /// What was counted; none of an output without numeric columns.
    pub(crate) fn finish(self) -> Option<Scores> {
        self.collector.finish()
    }
}

fn is_numeric(kind: &DataType) -> bool {
    kind.is_integer() || kind.is_floating()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float32Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn what_the_model_said_is_counted_and_nothing_else() {
        let columns: [(&str, ArrayRef); 4] = [
            ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
            ("delay", Arc::new(Float32Array::from(vec![Some(1.0), None, Some(f32::NAN)]))),
            ("label", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
            ("class", Arc::new(Int64Array::from(vec![7, 7, 8]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut statistics = Statistics::of(&batch.schema(), |at, _| at == 0);
        statistics.add(&batch).unwrap();
        statistics.add(&batch.slice(0, 1)).unwrap();
        let scores = statistics.finish().unwrap();
        let names: Vec<&str> = scores.columns().iter().map(|column| column.name()).collect();
        assert_eq!(names, ["delay", "class"]);
        let delay = scores.column("delay").unwrap();
        assert_eq!((delay.rows(), delay.nulls(), delay.not_finite()), (4, 1, 1));
        assert_eq!(scores.column("class").unwrap().range().unwrap().max, 8.0);
    }
}
