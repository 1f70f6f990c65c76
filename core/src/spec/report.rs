//! `spec.report`: who is told of a run, and its places for one partition.

use super::bind::place as absolute_place;
use super::overlap::overlaps;
use super::{Spec, SpecError, Template};
use crate::endpoint::Endpoint;
use crate::ids::Partition;
use crate::layout;
use crate::place::BucketKind;
use crate::plan::{Lineage, LineageTarget, Reporting, Webhook};

/// `spec.report`, checked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportSpec {
    /// Folder for reports; may hold `{name}`, `{date}` and `{model_version}`.
    pub uri: Option<Template>,
    /// Who gets a message.
    pub webhook: Option<Webhook>,
    /// Who gets OpenLineage events.
    pub lineage: Option<LineageSpec>,
}

/// `spec.report.lineage`, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct LineageSpec {
    /// Where events go.
    pub target: LineagePlace,
    /// Namespace of the job; the spec's name where none is given.
    pub namespace: String,
}

/// Where OpenLineage events go.
#[derive(Debug, Clone, PartialEq)]
pub enum LineagePlace {
    /// A file of JSON lines; may hold `{name}`, `{date}` and `{model_version}`.
    File(Template),
    /// A service.
    Url(Endpoint),
}

impl Spec {
    /// Who is told of a run for `partition` that reads `input` and writes to `output`; nobody if
    /// the spec names nobody. `file` is only used in messages. The columns of the input are not
    /// known yet.
    ///
    /// # Errors
    /// When a scheme is not known, or a report would lie where input is read or among the
    /// output's own documents.
    pub(super) fn reporting(
        &self,
        file: &str,
        base: &str,
        partition: Partition,
        input: &str,
        output: &str,
    ) -> Result<Option<Reporting>, SpecError> {
        let ReportSpec { uri, webhook, lineage } = &self.report;
        let pattern =
            absolute_place(base, self.input.uri.as_str()).unwrap_or_else(|_| input.to_owned());
        let version = self.model.version.as_deref().unwrap_or_default();
        let place = |template: &Template, field: &str| {
            let text = template.fill(&self.name, partition, version);
            let error = |(problem, remedy): (String, &str)| SpecError {
                file: file.to_owned(),
                line: 1,
                column: 1,
                field: field.to_owned(),
                problem,
                remedy: remedy.to_owned(),
            };
            outside(base, &text, &pattern, output).map_err(error)
        };
        let folder = uri.as_ref().map(|uri| place(uri, "spec.report.uri")).transpose()?;
        let lineage = match lineage {
            None => None,
            Some(LineageSpec { target: LineagePlace::Url(url), namespace }) => {
                Some((LineageTarget::Url(url.clone()), namespace))
            }
            Some(LineageSpec { target: LineagePlace::File(path), namespace }) => {
                let field = "spec.report.lineage.uri";
                Some((
                    LineageTarget::File(on_a_volume(place(path, field)?, file, field)?),
                    namespace,
                ))
            }
        };
        let lineage = lineage.map(|(target, namespace)| Lineage {
            target,
            namespace: namespace.clone(),
            columns: Vec::new(),
        });
        if folder.is_none() && webhook.is_none() && lineage.is_none() {
            return Ok(None);
        }
        let (input, output) = (input.to_owned(), output.to_owned());
        Ok(Some(Reporting { input, output, folder, webhook: webhook.clone(), lineage }))
    }
}

/// `place` if it is a path: nothing can be added to an object.
fn on_a_volume(place: String, file: &str, field: &str) -> Result<String, SpecError> {
    match BucketKind::of(&place) {
        None => Ok(place),
        Some(_) => Err(SpecError {
            file: file.to_owned(),
            line: 1,
            column: 1,
            field: field.to_owned(),
            problem: format!("a line cannot be added to {place}"),
            remedy: "name a file on a volume, or a service with `url:`".to_owned(),
        }),
    }
}

/// `text` as an absolute path or a place in a bucket, if it lies neither where the input `pattern`
/// is read nor among the documents of `output`; else the problem and the remedy.
fn outside(
    base: &str,
    text: &str,
    pattern: &str,
    output: &str,
) -> Result<String, (String, &'static str)> {
    let path =
        absolute_place(base, text).map_err(|invalid| (invalid.to_string(), invalid.remedy()))?;
    if overlaps(pattern, &path) {
        let problem = format!("{path} lies where the input {pattern} is read");
        return Err((problem, "choose a place outside the input"));
    }
    let private = format!("{output}/{}", layout::private_directory());
    if path == private || path.starts_with(&format!("{private}/")) {
        let problem = format!("{path} lies among the documents of the output");
        return Err((problem, "choose a place outside `_nightshift`"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests;
