//! Settings of tasks that write text.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Dtype;

/// What a task of `kind: generate` says: part of the plan and of its fingerprint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateSettings {
    /// What a row asks.
    pub ask: Ask,
    /// Tokens that are written at most.
    pub max_new_tokens: u32,
    /// Tokens of a prompt at most, with those that the model adds; a longer one is a reject. What
    /// the model has places for if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Texts that end what is written; they are left out of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// What scores are divided by before a token is drawn; 0 takes the likeliest.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub temperature: f64,
    /// Share of the likeliest tokens that one is drawn from, from 0 to 1.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub top_p: f64,
    /// What draws are made of, together with the prompt.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub seed: u64,
    /// `spec.model.dtype`.
    #[serde(default, skip_serializing_if = "Dtype::is_f32")]
    pub dtype: Dtype,
}

/// What a row asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// A text with columns filled in, as it is.
    Prompt(Prompt),
    /// The same as the words of a user, in the form in which the model was taught to chat.
    Chat {
        /// The words of the user.
        prompt: Prompt,
        /// What the model is told before; what it was taught with if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        system: Option<String>,
    },
    /// Requests of OpenAI's Batch API in the columns `custom_id` and `body`.
    OpenaiBatch,
}

/// The column of a request's id.
pub const CUSTOM_ID: &str = "custom_id";
/// The column of what is requested.
pub const BODY: &str = "body";

impl GenerateSettings {
    /// What the prompt asks, by the likeliest tokens.
    pub fn of(ask: Ask, max_new_tokens: u32) -> Self {
        Self {
            ask,
            max_new_tokens,
            max_tokens: None,
            stop: Vec::new(),
            temperature: 0.0,
            top_p: 1.0,
            seed: 0,
            dtype: Dtype::F32,
        }
    }

    /// The columns that are read, each once, in the order in which the prompt names them.
    pub fn columns(&self) -> Vec<String> {
        match &self.ask {
            Ask::Prompt(prompt) | Ask::Chat { prompt, .. } => {
                prompt.columns().map(str::to_owned).collect()
            }
            Ask::OpenaiBatch => [CUSTOM_ID, BODY].map(str::to_owned).to_vec(),
        }
    }
}

fn whole() -> f64 {
    1.0
}

fn is_whole(share: &f64) -> bool {
    *share >= 1.0
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

fn is_nothing(seed: &u64) -> bool {
    *seed == 0
}

/// A text in which `{column}` stands for the value of a column; `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prompt {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// Position in the order of first mention.
    Column(usize, String),
}

/// Why a text is no prompt.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidPrompt {
    /// A brace without its partner.
    #[error("a `{{` or `}}` stands alone")]
    Unbalanced,
    /// `{}`.
    #[error("`{{}}` names no column")]
    Nameless,
    /// A name with a brace or a line break in it: rather JSON that was meant as text.
    #[error("`{{{name}}}` is no name of a column")]
    Name {
        /// The name, clipped.
        name: String,
    },
    /// No column at all: all rows would ask the same.
    #[error("it names no column")]
    Columns,
}

impl InvalidPrompt {
    /// What to write instead.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unbalanced | Self::Name { .. } => {
                "write `{column}` for a value, and `{{` or `}}` for a brace"
            }
            Self::Nameless | Self::Columns => "write `{column}` where the value of a column goes",
        }
    }
}

impl Prompt {
    /// Parses `text`.
    ///
    /// # Errors
    /// See [`InvalidPrompt`].
    pub fn parse(text: &str) -> Result<Self, InvalidPrompt> {
        let (mut parts, mut names, mut plain) = (Vec::new(), Vec::<String>::new(), String::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if let Some((brace, after)) = ["{{", "}}"]
                .iter()
                .find_map(|twice| Some((twice.get(..1)?, from.strip_prefix(twice)?)))
            {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let inner = from.strip_prefix('{').ok_or(InvalidPrompt::Unbalanced)?;
            let (name, after) = inner.split_once('}').ok_or(InvalidPrompt::Unbalanced)?;
            if name.is_empty() {
                return Err(InvalidPrompt::Nameless);
            }
            if name.contains(|c: char| c == '{' || c.is_control()) {
                let name = name.chars().filter(|c| !c.is_control()).take(40).collect();
                return Err(InvalidPrompt::Name { name });
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            let known = names.iter().position(|known| known == name);
            let position = known.unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            });
            parts.push(Part::Column(position, name.to_owned()));
            rest = after;
        }
        if names.is_empty() {
            return Err(InvalidPrompt::Columns);
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The text as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The columns, each once, in the order of first mention.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let mut next = 0;
        self.parts.iter().filter_map(move |part| match part {
            Part::Column(position, name) if *position == next => {
                next += 1;
                Some(name.as_str())
            }
            _ => None,
        })
    }

    /// The text with the value of each of [`columns`](Self::columns) filled in; as it is, so that
    /// braces in a value are braces.
    pub fn fill<'a>(&self, value: impl Fn(usize) -> &'a str) -> String {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Column(position, _) => filled.push_str(value(*position)),
            }
        }
        filled
    }
}

impl TryFrom<String> for Prompt {
    type Error = InvalidPrompt;

    fn try_from(text: String) -> Result<Self, InvalidPrompt> {
        Self::parse(&text)
    }
}

impl From<Prompt> for String {
    fn from(prompt: Prompt) -> Self {
        prompt.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_filled_in_and_braces_are_kept() {
        let prompt = Prompt::parse("{{\"t\": {title}}}\n{body}{title}").unwrap();
        assert_eq!(prompt.columns().collect::<Vec<_>>(), ["title", "body"]);
        let values = ["{late}", "to York"];
        assert_eq!(prompt.fill(|at| values[at]), "{\"t\": {late}}\nto York{late}");
    }

    #[test]
    fn what_is_no_prompt_is_named() {
        for (text, wanted) in [
            ("{title", InvalidPrompt::Unbalanced),
            ("title}", InvalidPrompt::Unbalanced),
            ("{}", InvalidPrompt::Nameless),
            ("plain {{braces}}", InvalidPrompt::Columns),
            ("{a{b}", InvalidPrompt::Name { name: "a{b".to_owned() }),
            ("{\"a\":\n1}", InvalidPrompt::Name { name: "\"a\":1".to_owned() }),
        ] {
            assert_eq!(Prompt::parse(text), Err(wanted), "{text}");
        }
    }

    #[test]
    fn a_plan_says_no_more_than_the_spec() {
        let prompt = Prompt::parse("{body}").unwrap();
        let settings = GenerateSettings::of(Ask::Prompt(prompt), 8);
        let written = serde_json::to_string(&settings).unwrap();
        assert_eq!(written, r#"{"ask":{"prompt":"{body}"},"max_new_tokens":8}"#);
        assert_eq!(serde_json::from_str::<GenerateSettings>(&written).unwrap(), settings);
        assert!(serde_json::from_str::<Prompt>(r#""{""#).is_err());
    }
}
