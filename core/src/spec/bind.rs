//! Binding a spec to one partition: placeholders filled in, paths made absolute.

use super::overlap::overlaps;
use super::{Spec, SpecError, Template};
use crate::ids::Partition;
use crate::model::{InvalidModelUri, ModelUri};
use crate::place::{InvalidPlace, Place};

/// What to do about a model that is named wrongly.
pub(super) const MODEL_REMEDY: &str = "see docs/models.md for the references there are";
use crate::plan::Reporting;

/// The places of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Absolute path or pattern of the input, or one that begins with `s3://`.
    pub input: String,
    /// The model; a folder is an absolute path.
    pub model: ModelUri,
    /// Absolute path of the output root, or `s3://bucket/prefix`.
    pub output: String,
    /// Who is told of the run, where anybody is.
    pub reporting: Option<Reporting>,
}

/// Places given on the command line instead of the spec's, already absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Instead of `spec.input.uri`.
    pub input: Option<Template>,
    /// Instead of `spec.model.uri`.
    pub model: Option<Template>,
    /// Instead of `spec.output.uri`.
    pub output: Option<Template>,
}

impl Spec {
    /// Fills in placeholders and makes every path absolute against `base`, the absolute folder
    /// of the spec file. `file` is only used in messages.
    ///
    /// # Errors
    /// When a scheme is not known, or the output would be read as input.
    pub fn bind(&self, file: &str, base: &str, partition: Partition) -> Result<Bound, SpecError> {
        let version = self.model.version.as_deref().unwrap_or_default();
        let bound_place = |template: &Template, field: &str| {
            let text = template.fill(&self.name, partition, version);
            place(base, &text).map_err(|invalid| SpecError {
                file: file.to_owned(),
                line: 1,
                column: 1,
                field: field.to_owned(),
                problem: invalid.to_string(),
                remedy: invalid.remedy().to_owned(),
            })
        };
        let mut bound = Bound {
            input: bound_place(&self.input.uri, "spec.input.uri")?,
            model: self.model_uri(base, partition).map_err(|error| SpecError {
                file: file.to_owned(),
                line: 1,
                column: 1,
                field: "spec.model.uri".to_owned(),
                problem: error.to_string(),
                remedy: MODEL_REMEDY.to_owned(),
            })?,
            output: bound_place(&self.output.uri, "spec.output.uri")?,
            reporting: None,
        };
        // The pattern with its placeholders: an output that collides on another date collides.
        let pattern = place(base, self.input.uri.as_str()).unwrap_or_else(|_| bound.input.clone());
        if overlaps(&pattern, &bound.output) {
            return Err(SpecError {
                file: file.to_owned(),
                line: 1,
                column: 1,
                field: "spec.output.uri".to_owned(),
                problem: format!(
                    "the output {} lies where the input {pattern} is read",
                    bound.output
                ),
                remedy: "choose an output folder outside the input".to_owned(),
            });
        }
        bound.reporting = self.reporting(file, base, partition, &bound.input, &bound.output)?;
        Ok(bound)
    }

    /// The model of `partition`, with its placeholders filled in and relative to `base`.
    ///
    /// # Errors
    /// If the text is no reference to a model.
    pub(super) fn model_uri(
        &self,
        base: &str,
        partition: Partition,
    ) -> Result<ModelUri, InvalidModelUri> {
        let version = self.model.version.as_deref().unwrap_or_default();
        let text = self.model.uri.fill(&self.name, partition, version);
        match text.parse()? {
            ModelUri::Folder(path) => {
                let place = absolute(base, &path);
                place.map(ModelUri::Folder).map_err(|scheme| InvalidModelUri::Scheme { scheme })
            }
            elsewhere => Ok(elsewhere),
        }
    }

    /// The same spec with the places of the command line.
    #[must_use]
    pub fn with(mut self, overrides: Overrides) -> Self {
        self.input.uri = overrides.input.unwrap_or(self.input.uri);
        self.model.uri = overrides.model.unwrap_or(self.model.uri);
        self.output.uri = overrides.output.unwrap_or(self.output.uri);
        self
    }
}

/// `text` as an absolute, lexically normalised path, or as the prefix of a bucket.
pub(super) fn place(base: &str, text: &str) -> Result<String, InvalidPlace> {
    match text.parse()? {
        Place::Volume(path) => {
            absolute(base, &path).map_err(|scheme| InvalidPlace::Scheme { scheme })
        }
        Place::Bucket(place) => Ok(place.to_string()),
    }
}

/// `text` as an absolute, lexically normalised path; the scheme if it is not a file.
pub(super) fn absolute(base: &str, text: &str) -> Result<String, String> {
    let path = match text.split_once("://") {
        Some(("file", path)) => path.to_owned(),
        Some((scheme, _)) => return Err(scheme.chars().take(20).collect()),
        None if text.starts_with('/') => text.to_owned(),
        None => format!("{base}/{text}"),
    };
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    Ok(format!("/{}", steps.join("/")))
}

#[cfg(test)]
mod tests {
    use super::{absolute, place};

    #[test]
    fn paths_are_resolved_against_the_folder_of_the_spec() {
        assert_eq!(absolute("/a/b", "c/*.parquet").unwrap(), "/a/b/c/*.parquet");
        assert_eq!(absolute("/a/b", "../c/./d/").unwrap(), "/a/c/d");
        assert_eq!(absolute("/a/b", "/x").unwrap(), "/x");
        assert_eq!(absolute("/a/b", "file:///x/y").unwrap(), "/x/y");
        assert_eq!(absolute("/a/b", "../../../../etc").unwrap(), "/etc");
        assert_eq!(absolute("/a", "s3://b/k").unwrap_err(), "s3");
    }

    #[test]
    fn a_bucket_is_what_it_is_wherever_the_spec_lies() {
        assert_eq!(place("/a", "s3://lake/k/").unwrap(), "s3://lake/k");
        assert_eq!(place("/a", "k").unwrap(), "/a/k");
    }
}
