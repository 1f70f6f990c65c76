//! Checking `spec.report`.

use serde_saphyr::Spanned;

use super::{Checker, clip};
use crate::endpoint::Endpoint;
use crate::ids::SpecName;
use crate::plan::{SecretName, Webhook};
use crate::spec::raw;
use crate::spec::report::{LineagePlace, LineageSpec, ReportSpec};
use crate::spec::{SpecError, Template};

/// Longest namespace of a lineage graph.
const NAMESPACE_MAX_BYTES: usize = 200;

impl Checker<'_> {
    pub(super) fn report(
        &self,
        raw: &raw::Report,
        name: &SpecName,
    ) -> Result<ReportSpec, SpecError> {
        let uri = raw.uri.as_ref();
        let webhook = raw.webhook.as_ref();
        let lineage = raw.lineage.as_ref();
        Ok(ReportSpec {
            uri: uri.map(|uri| self.report_uri(uri, "spec.report.uri")).transpose()?,
            webhook: webhook.map(|webhook| self.webhook(webhook)).transpose()?,
            lineage: lineage.map(|lineage| self.lineage(lineage, name)).transpose()?,
        })
    }

    fn report_uri(&self, raw: &Spanned<String>, field: &str) -> Result<Template, SpecError> {
        let uri = self.template(raw, field)?;
        if uri.as_str().split('/').any(|step| step == "..") {
            let remedy = "write the path without `..`, or an absolute path";
            let problem = "`..` may not lead out of a folder";
            return Err(self.error(raw.referenced, field, problem, remedy));
        }
        Ok(uri)
    }

    fn webhook(&self, raw: &raw::Webhook) -> Result<Webhook, SpecError> {
        let secret_env = match &raw.secret_env {
            None => None,
            Some(raw) => Some(raw.value.parse::<SecretName>().map_err(|error| {
                let problem = format!("`{}` is not possible: {error}", clip(&raw.value));
                let remedy = "name a variable such as NIGHTSHIFT_WEBHOOK_SECRET, never the secret";
                self.error(raw.referenced, "spec.report.webhook.secret_env", &problem, remedy)
            })?),
        };
        Ok(Webhook { url: self.endpoint(&raw.url, "spec.report.webhook.url")?, secret_env })
    }

    fn lineage(
        &self,
        raw: &Spanned<raw::Lineage>,
        name: &SpecName,
    ) -> Result<LineageSpec, SpecError> {
        let field = "spec.report.lineage";
        let target = match (&raw.value.uri, &raw.value.url) {
            (Some(uri), None) => {
                LineagePlace::File(self.report_uri(uri, "spec.report.lineage.uri")?)
            }
            (None, Some(url)) => LineagePlace::Url(self.endpoint(url, "spec.report.lineage.url")?),
            _ => {
                let problem = "it needs exactly one of uri and url";
                let remedy = "write `uri: lineage.jsonl` for a file, or `url: https://…`";
                return Err(self.error(raw.referenced, field, problem, remedy));
            }
        };
        let namespace = match &raw.value.namespace {
            None => name.to_string(),
            Some(raw) => {
                let fine = |text: &str| {
                    !text.trim().is_empty()
                        && text.len() <= NAMESPACE_MAX_BYTES
                        && !text.chars().any(char::is_control)
                };
                if !fine(&raw.value) {
                    let problem = format!("`{}` is not a namespace", clip(&raw.value));
                    let remedy = format!("use 1 to {NAMESPACE_MAX_BYTES} bytes on one line");
                    let field = "spec.report.lineage.namespace";
                    return Err(self.error(raw.referenced, field, &problem, &remedy));
                }
                raw.value.clone()
            }
        };
        Ok(LineageSpec { target, namespace })
    }

    fn endpoint(&self, raw: &Spanned<String>, field: &str) -> Result<Endpoint, SpecError> {
        Endpoint::parse(&raw.value)
            .map_err(|error| self.error(raw.referenced, field, &error.to_string(), error.remedy()))
    }
}
