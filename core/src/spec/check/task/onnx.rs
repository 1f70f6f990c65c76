//! `spec.task` of `kind: onnx`.

use std::collections::BTreeSet;

use serde_saphyr::Spanned;

use super::super::Checker;
use crate::model::onnx::COLUMNS_MAX;
use crate::plan::OnnxSettings;
use crate::spec::{SpecError, raw};

impl Checker<'_> {
    pub(super) fn onnx(&self, raw: &raw::Task) -> Result<OnnxSettings, SpecError> {
        Ok(OnnxSettings {
            columns: self.names(&raw.columns, "spec.task.columns", "the columns of the input")?,
            outputs: self.names(&raw.outputs, "spec.task.outputs", "the outputs of the graph")?,
        })
    }

    /// A list of names, each of which occurs once.
    fn names(
        &self,
        value: &Option<Spanned<Vec<String>>>,
        field: &'static str,
        what: &str,
    ) -> Result<Vec<String>, SpecError> {
        let Some(list) = value else { return Ok(Vec::new()) };
        let refused =
            |problem: &str, remedy: &str| Err(self.error(list.referenced, field, problem, remedy));
        let names = &list.value;
        if names.is_empty() {
            return refused("the list is empty", &format!("name {what}, or remove the field"));
        }
        if names.len() > COLUMNS_MAX {
            let problem = format!("{} names are more than {COLUMNS_MAX}", names.len());
            return refused(&problem, "use a model that reads fewer columns");
        }
        if names.iter().any(String::is_empty) {
            return refused("a name is empty", &format!("write the names of {what}"));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            let shown: String = twice.chars().take(60).collect();
            return refused(&format!("`{shown}` is named twice"), "name each of them once");
        }
        Ok(names.clone())
    }
}
