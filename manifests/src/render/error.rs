//! Why a pattern cannot be rendered.

use thiserror::Error;

use crate::template::TemplateError;
use crate::worker_job::InvalidOrder;

/// What stands against a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenderError {
    /// A key that the pattern does not have.
    #[error("--set {key}: `{pattern}` has no such key; {remedy}")]
    UnknownKey {
        /// As it was written.
        key: String,
        /// The pattern.
        pattern: &'static str,
        /// The nearest key, and all of them.
        remedy: String,
    },
    /// A value that the key cannot have.
    #[error("--set {key}={value}: {remedy}")]
    InvalidValue {
        /// The key.
        key: &'static str,
        /// As it was written.
        value: String,
        /// What to write instead.
        remedy: String,
    },
    /// A spec with dates, and no date.
    #[error("the spec's input has {{date}}, so a date is needed: add --set date=2013-01-31")]
    MissingDate,
    /// A date, and a spec without.
    #[error(
        "--set date={value}: the spec's input has no {{date}}; remove it, or put {{date}} into spec.input.uri"
    )]
    NoDates {
        /// As it was written.
        value: String,
    },
    /// A place that no pod has.
    #[error(
        "{file}: {field}: `{uri}` is not on the volume of the pods; name a path below /data{hint}"
    )]
    OutsideVolume {
        /// The spec file.
        file: String,
        /// Dotted path of the field.
        field: &'static str,
        /// As it was written.
        uri: String,
        /// How to do so without editing the spec, where that is possible.
        hint: String,
    },
    /// A job template, where none is used.
    #[error("--job-template means nothing for `{pattern}`; remove it, or render `coordinator`")]
    TemplateUnused {
        /// The pattern.
        pattern: &'static str,
    },
    /// The job template is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// No Job can be made for the run.
    #[error(transparent)]
    Order(#[from] InvalidOrder),
}
