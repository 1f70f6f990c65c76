//! Teaches the model what to say when something is not known.
//!
//! A flight that landed always has a departure delay, and its carrier is always in the vocabulary, so
//! training rows alone would leave the weights for "missing" and "other" as they were drawn. A few
//! rows are therefore repeated with a value taken away. It is taken away before featurisation: the
//! serving code then sees it exactly as it will see a cancelled flight.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array, new_null_array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Field, Schema};

use crate::random::Random;

/// Share of the training rows that is repeated without a departure delay.
const WITHOUT_DELAY: f64 = 0.04;
/// Share of the training rows that is repeated with each category in turn unknown.
const WITHOUT_CATEGORY: f64 = 0.01;
/// A category that no vocabulary holds.
const UNKNOWN: &str = "?";

/// `flights`, then copies of some of them without a departure delay, then copies of some with one of
/// `categories` unknown.
///
/// # Errors
/// When `flights` lacks one of the columns.
pub fn with_unknowns(
    flights: &RecordBatch,
    categories: &[&str],
    random: &mut Random,
) -> Result<RecordBatch> {
    let schema = Arc::new(nullable(&flights.schema()));
    let mut parts = vec![RecordBatch::try_new(Arc::clone(&schema), flights.columns().to_vec())?];
    let mut add = |name: &str, share: f64| -> Result<()> {
        let rows = sample(flights.num_rows(), share, random);
        let mut columns = take_record_batch(flights, &rows)?.columns().to_vec();
        let at = schema.index_of(name)?;
        let unknown: ArrayRef = if categories.contains(&name) {
            Arc::new(StringArray::from_iter_values((0..rows.values().len()).map(|_| UNKNOWN)))
        } else {
            new_null_array(schema.field(at).data_type(), rows.values().len())
        };
        if let Some(column) = columns.get_mut(at) {
            *column = unknown;
        }
        parts.push(RecordBatch::try_new(Arc::clone(&schema), columns)?);
        Ok(())
    };
    add("dep_delay", WITHOUT_DELAY)?;
    for category in categories {
        add(category, WITHOUT_CATEGORY)?;
    }
    Ok(concat_batches(&schema, &parts)?)
}

fn nullable(schema: &Schema) -> Schema {
    let fields = schema.fields().iter();
    Schema::new(fields.map(|field| Field::clone(field).with_nullable(true)).collect::<Vec<_>>())
}

fn sample(rows: usize, share: f64, random: &mut Random) -> UInt64Array {
    (0..rows as u64).filter(|_| random.unit() < share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int32Array};
    use arrow::datatypes::Int32Type;

    #[test]
    fn rows_are_repeated_with_exactly_one_value_taken_away() {
        let count = 2_000;
        let number = Int32Array::from_iter_values(0..count);
        let carrier = StringArray::from_iter_values((0..count).map(|row| format!("C{row}")));
        let flights = RecordBatch::try_from_iter([
            ("dep_delay", Arc::new(number) as ArrayRef),
            ("carrier", Arc::new(carrier) as ArrayRef),
        ])
        .unwrap();
        let all = with_unknowns(&flights, &["carrier"], &mut Random::new(1)).unwrap();
        let count = count as usize;
        let (first, added) = (all.slice(0, count), all.slice(count, all.num_rows() - count));
        assert_eq!(first.columns(), flights.columns());

        let delays = added["dep_delay"].as_primitive::<Int32Type>();
        let carriers = added["carrier"].as_string::<i32>();
        let without_delay = delays.iter().filter(|delay| delay.is_none()).count();
        let without_carrier = carriers.iter().filter(|&carrier| carrier == Some(UNKNOWN)).count();
        assert_eq!(without_delay + without_carrier, added.num_rows());
        // 80 and 20 are expected; these are six standard deviations away.
        assert!((30..=130).contains(&without_delay), "{without_delay}");
        assert!((1..=47).contains(&without_carrier), "{without_carrier}");
    }
}
