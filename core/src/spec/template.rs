//! Text with placeholders: `{date}`, `{name}`, `{model_version}` and no others.

use std::fmt;

use thiserror::Error;

use crate::ids::{Partition, SpecName};

/// Text in which `{date}`, `{name}` and `{model_version}` stand for values of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Date,
    Name,
    ModelVersion,
}

/// Why text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// A placeholder of a shell or template language, which nobody filled in.
    #[error("`{{{{` is left over from a shell or template language")]
    ShellLeftover,
    /// A placeholder that does not exist.
    #[error("`{{{name}}}` is not a placeholder")]
    Unknown {
        /// Text between the braces.
        name: String,
    },
    /// A brace without its partner.
    #[error("a `{{` or `}}` stands alone")]
    Unbalanced,
    /// Nothing at all.
    #[error("it is empty")]
    Empty,
    /// A character that no path should hold.
    #[error("it holds a control character")]
    Control,
}

impl TemplateError {
    /// What to write instead.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::ShellLeftover => {
                "write {date} and choose the date on the command line, as in `--date yesterday`"
            }
            Self::Unknown { .. } => "use {date}, {name} or {model_version}",
            Self::Unbalanced => "close the brace, or remove it",
            Self::Empty => "name a path",
            Self::Control => "remove the line break, tab or other control character",
        }
    }
}

impl Template {
    /// Parses `text`.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.trim().is_empty() {
            return Err(TemplateError::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(TemplateError::Control);
        }
        if text.contains("{{") || text.contains("${") || text.contains("$(") {
            return Err(TemplateError::ShellLeftover);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            let inner = from.strip_prefix('{').ok_or(TemplateError::Unbalanced)?;
            let (name, after) = inner.split_once('}').ok_or(TemplateError::Unbalanced)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(match name {
                "date" => Part::Date,
                "name" => Part::Name,
                "model_version" => Part::ModelVersion,
                _ => return Err(TemplateError::Unknown { name: name.chars().take(40).collect() }),
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The text as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `{date}` occurs.
    pub fn has_date(&self) -> bool {
        self.parts.contains(&Part::Date)
    }

    /// Whether `{model_version}` occurs.
    pub fn has_model_version(&self) -> bool {
        self.parts.contains(&Part::ModelVersion)
    }

    /// The text with every placeholder filled in.
    pub fn fill(&self, name: &SpecName, partition: Partition, model_version: &str) -> String {
        let fill = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Date => partition.to_string(),
            Part::Name => name.to_string(),
            Part::ModelVersion => model_version.to_owned(),
        };
        self.parts.iter().map(fill).collect()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
