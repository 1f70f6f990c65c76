//! Making the files of one input agree about their columns.

use std::collections::HashMap;

use arrow::datatypes::Schema;

use super::inspect::missing_column;
use super::{Evidence, InputError, Inspected};

/// Gives every column one type over all files, so that every shard of a run has one output schema.
///
/// Text formats: the evidence of all files decides, so that an integer column that is fractional
/// in one file is fractional in all, and one with a word in it is text in all. Parquet: the types
/// must be equal already.
///
/// # Errors
/// [`InputError::TypeConflict`] naming both files, and [`InputError::MissingColumn`] for a needed
/// column that no JSON lines file shows within its first rows.
pub fn unify(inspected: &mut [Inspected]) -> Result<(), InputError> {
    let mut merged: HashMap<String, Evidence> = HashMap::new();
    for (name, evidence) in inspected.iter().flat_map(|file| &file.evidence) {
        merged.entry(name.clone()).or_default().merge(*evidence);
    }
    for file in inspected.iter_mut().filter(|file| !file.evidence.is_empty()) {
        for (name, evidence) in &mut file.evidence {
            if let Some(all) = merged.get(name) {
                *evidence = *all;
            }
        }
        file.settle_kinds();
    }
    // A file without rows shows no columns, and needs none.
    for file in inspected.iter().filter(|file| file.file.rows > 0) {
        if let Some((name, _)) = file.evidence.iter().find(|(_, evidence)| !evidence.is_present()) {
            let shown = file.evidence.iter().filter(|(_, evidence)| evidence.is_present());
            let shown: Vec<&str> = shown.map(|(name, _)| name.as_str()).collect();
            let schema = &file.schema;
            let fields =
                schema.fields().iter().filter(|field| shown.contains(&field.name().as_str()));
            let shown = Schema::new(fields.cloned().collect::<Vec<_>>());
            return Err(missing_column(&file.file.uri, name, &shown));
        }
    }
    let mut types: HashMap<&str, (&str, &arrow::datatypes::DataType)> = HashMap::new();
    for file in inspected.iter() {
        for field in file.schema.fields() {
            let here = (file.file.uri.as_str(), field.data_type());
            let first = *types.entry(field.name()).or_insert(here);
            if first.1 != here.1 {
                return Err(InputError::TypeConflict {
                    column: field.name().clone(),
                    first: first.0.to_owned(),
                    first_type: first.1.to_string(),
                    second: here.0.to_owned(),
                    second_type: here.1.to_string(),
                });
            }
        }
    }
    Ok(())
}
