//! `spec.task`.

use serde_saphyr::{Location, Spanned};

use super::{Checker, clip};
use crate::plan::{OutputFormat, TextSettings};
use crate::spec::{SpecError, Task, raw};

/// Most tokens of a text: more than any model has places for.
const TOKENS_MAX: i64 = 65_536;
/// Most numbers of an embedding.
const DIMENSIONS_MAX: i64 = 65_536;

impl Checker<'_> {
    /// The task; `output` says in which format its columns are written.
    pub(super) fn task(&self, raw: &raw::Task, output: &raw::Output) -> Result<Task, SpecError> {
        #[derive(Clone, Copy)]
        enum Kind {
            Tabular,
            Embed,
        }
        let kinds = [("tabular", Kind::Tabular), ("embed", Kind::Embed)];
        match self.one_of(&raw.kind, "spec.task.kind", &kinds)? {
            Kind::Tabular => self.without_text(raw).map(|()| Task::Tabular),
            Kind::Embed => {
                if output.format == Some(OutputFormat::Csv) {
                    let problem = "CSV has no place for embeddings, which are lists";
                    let remedy = "write `format: parquet` or `format: jsonl`";
                    let at = raw.kind.referenced;
                    return Err(self.error(at, "spec.output.format", problem, remedy));
                }
                self.text(raw).map(Task::Embed)
            }
        }
    }

    /// Refuses settings of text where no text is read.
    fn without_text(&self, raw: &raw::Task) -> Result<(), SpecError> {
        fn place<T>(value: &Option<Spanned<T>>) -> Option<Location> {
            value.as_ref().map(|value| value.referenced)
        }
        let settings = [
            ("spec.task.text", place(&raw.text)),
            ("spec.task.max_tokens", place(&raw.max_tokens)),
            ("spec.task.normalize", place(&raw.normalize)),
            ("spec.task.dimensions", place(&raw.dimensions)),
            ("spec.task.prompt", place(&raw.prompt)),
        ];
        for (field, at) in settings {
            if let Some(at) = at {
                let problem = "`kind: tabular` reads no text";
                return Err(self.error(at, field, problem, "remove it, or write `kind: embed`"));
            }
        }
        Ok(())
    }

    fn text(&self, raw: &raw::Task) -> Result<TextSettings, SpecError> {
        let field = "spec.task.text";
        let Some(text) = &raw.text else {
            let problem = format!("`kind: {}` reads a column of text", clip(&raw.kind.value));
            let remedy = "add `text:` with the name of the column";
            return Err(self.error(raw.kind.referenced, field, &problem, remedy));
        };
        if text.value.is_empty() {
            let remedy = "write the name of the column";
            return Err(self.error(text.referenced, field, "the name is empty", remedy));
        }
        let number = |raw: &Option<Spanned<i64>>, field, max| match raw {
            None => Ok(None),
            some => self.or_within(some, field, max, 1, max).map(|number| Some(number as u32)),
        };
        Ok(TextSettings {
            text: text.value.clone(),
            max_tokens: number(&raw.max_tokens, "spec.task.max_tokens", TOKENS_MAX)?,
            normalize: raw.normalize.as_ref().map(|normalize| normalize.value),
            dimensions: number(&raw.dimensions, "spec.task.dimensions", DIMENSIONS_MAX)?,
            prompt: raw.prompt.as_ref().map(|prompt| prompt.value.clone()),
        })
    }
}
