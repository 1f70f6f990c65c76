//! The one error of a spec: where, which field, what is wrong, what to write instead.

use thiserror::Error;

/// Something in a spec that cannot stand, with its place and remedy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}:{column}: {}{problem}; {remedy}", field_prefix(.field))]
pub struct SpecError {
    /// The spec file, as the user named it.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// Dotted path of the field, empty where the file as a whole is at fault.
    pub field: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

fn field_prefix(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("{field}: ") }
}
