//! Does the input have what spec and model need? Asked before anything is written.

use nightshift_core::spec::Spec;
use nightshift_storage::planning::{Survey, check_carried};

use super::RunError;
use crate::engine::Engine;
use crate::score::read_columns;

/// Names of the columns that the run reads.
pub(super) fn needed_columns(spec: &Spec, engine: &dyn Engine) -> Vec<String> {
    let carried = spec.input.id.iter().chain(&spec.input.keep);
    read_columns(carried, engine).into_iter().map(|column| column.name).collect()
}

/// Checks the surveyed columns against spec and model.
pub(super) fn columns(spec: &Spec, engine: &dyn Engine, survey: &Survey) -> Result<(), RunError> {
    check_carried(spec, survey)?;
    // Without a single row there is nothing that could be wrong with a column.
    if survey.rows == 0 {
        return Ok(());
    }
    engine.check_input(&survey.schema)?;
    let carried = || spec.input.id.iter().chain(&spec.input.keep);
    for output in engine.output_fields() {
        if carried().any(|name| name == output.name()) {
            return Err(RunError::OutputColumnTaken { column: output.name().clone() });
        }
    }
    Ok(())
}
