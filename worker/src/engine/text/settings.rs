//! What `config.json`, the files of sentence-transformers and the spec say together.

use std::collections::BTreeMap;

use nightshift_core::model::CONFIG_FILE;
use nightshift_core::plan::TextSettings;
use nightshift_core::spec::Task;
use serde::Deserialize;

use super::TextError;
use super::config::Config;
use super::family::Purpose;
use super::folder::{
    Folder, MODULES_FILE, POOLING_FILE, POOLING_FOLDER, PROMPTS_FILE, SENTENCE_FILE,
    TOKENIZER_SETTINGS_FILE,
};
use super::head::Activation;
use super::pooling::{Pooling, PoolingConfig};
use super::shape::{HeadShape, Shape};
use crate::engine::LoadError;
use crate::engine::tabular::clip;

/// What is done to a text.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// The model.
    pub(super) shape: Shape,
    /// Tokens of a text at most, with those that the tokenizer adds.
    pub(super) max_tokens: usize,
    /// Whether texts are put into lower case before the tokenizer sees them.
    pub(super) lower_case: bool,
    /// What is put before each text.
    pub(super) prompt: String,
    /// What is made of its tokens.
    pub(super) end: End,
}

/// What the descriptions say about the end of a model.
#[derive(Debug, Clone)]
pub(super) enum End {
    /// The tokens of a text become one vector.
    Embed(Pooling),
    /// A text, or a pair, gets a score for each label.
    Labels {
        /// The labels, by number.
        labels: Vec<String>,
        /// What is done to the scores.
        activation: Activation,
        /// What they are made of.
        head: HeadShape,
    },
}

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Default, Deserialize)]
struct Sentence {
    #[serde(default)]
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

#[derive(Default, Deserialize)]
struct Prompts {
    #[serde(default)]
    prompts: BTreeMap<String, String>,
    #[serde(default)]
    default_prompt_name: Option<String>,
}

#[derive(Default, Deserialize)]
struct TokenizerSettings {
    // Of any size: the library writes 10³⁰ where there is no limit.
    #[serde(default)]
    model_max_length: Option<f64>,
}

impl Settings {
    /// Reads the descriptions in `folder` and applies what `task` wants, if it reads text.
    pub(super) fn read(
        folder: &mut Folder<'_>,
        task: &Task,
        wanted: &TextSettings,
    ) -> Result<Self, LoadError> {
        let config: Config = folder.required(CONFIG_FILE)?;
        let is_embedder = matches!(task, Task::Embed(_));
        let purpose = if is_embedder { Purpose::Embed } else { Purpose::Label };
        let shape = config.shape(purpose).map_err(|source| folder.error(CONFIG_FILE, source))?;
        let tokenizer: Option<TokenizerSettings> = folder.optional(TOKENIZER_SETTINGS_FILE)?;
        let sentence = match is_embedder {
            true => folder.optional(SENTENCE_FILE)?.unwrap_or_default(),
            false => Sentence::default(),
        };
        let max_tokens = max_tokens(&shape, &sentence, tokenizer.as_ref(), wanted)
            .map_err(|source| folder.error(CONFIG_FILE, source))?;
        let (prompt, end) = match task {
            Task::Embed(_) => {
                let (prompt, pooling) = embedder(folder, &shape, wanted)?;
                (prompt, End::Embed(pooling))
            }
            _ => {
                let end = config.end(shape.family, matches!(task, Task::Rerank(_)));
                (String::new(), end.map_err(|source| folder.error(CONFIG_FILE, source))?)
            }
        };
        Ok(Self { shape, max_tokens, lower_case: sentence.do_lower_case, prompt, end })
    }
}

/// The prompt, and how tokens become one vector, as the files of sentence-transformers say.
fn embedder(
    folder: &mut Folder<'_>,
    shape: &Shape,
    wanted: &TextSettings,
) -> Result<(String, Pooling), LoadError> {
    let prompts: Prompts = folder.optional(PROMPTS_FILE)?.unwrap_or_default();
    let modules: Option<Vec<Module>> = folder.optional(MODULES_FILE)?;
    let (pooled, normalised) =
        module_kinds(modules).map_err(|source| folder.error(MODULES_FILE, source))?;
    let pooling: PoolingConfig =
        if pooled { folder.required(POOLING_FILE)? } else { PoolingConfig::default() };
    let prompt = prompts.chosen(wanted.prompt.as_deref());
    let prompt = prompt.map_err(|source| folder.error(PROMPTS_FILE, source))?;
    let pooling = Pooling::new(pooling, shape.hidden, !prompt.is_empty(), normalised, wanted);
    let pooling = pooling.map_err(|source| folder.error(POOLING_FILE, source))?;
    Ok((prompt, pooling))
}

impl Prompts {
    /// The prompt of this name, or the model's own choice.
    fn chosen(mut self, wanted: Option<&str>) -> Result<String, TextError> {
        let Some(name) = wanted.or(self.default_prompt_name.as_deref()) else {
            return Ok(String::new());
        };
        if let Some(prompt) = self.prompts.get_mut(name) {
            return Ok(std::mem::take(prompt));
        }
        let known: Vec<String> = self.prompts.keys().take(8).map(|name| clip(name)).collect();
        let known = if known.is_empty() { "no prompts".to_owned() } else { known.join(", ") };
        Err(TextError::Prompt { wanted: clip(name), known })
    }
}

/// Whether there is a pooling module with a folder, and whether vectors are normalised after it.
fn module_kinds(modules: Option<Vec<Module>>) -> Result<(bool, bool), TextError> {
    // What sentence-transformers does with a plain model: the mean, as it is.
    let Some(modules) = modules else { return Ok((false, false)) };
    let kind = |module: &Module| module.kind.rsplit('.').next().unwrap_or_default().to_owned();
    let kinds: Vec<String> = modules.iter().map(kind).collect();
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let normalised = match *kinds {
        ["Transformer", "Pooling"] => false,
        ["Transformer", "Pooling", "Normalize"] => true,
        _ => {
            let supported = "Transformer, Pooling and perhaps Normalize";
            return unsupported("the list of modules", &kinds.join(", "), supported);
        }
    };
    for (module, expected) in modules.iter().zip(["", POOLING_FOLDER]) {
        if module.path != expected {
            return unsupported("the path of a module", &module.path, "`` and `1_Pooling`");
        }
    }
    Ok((true, normalised))
}

/// Tokens of a text at most: what the spec says, or the model; never more than it has places.
fn max_tokens(
    shape: &Shape,
    sentence: &Sentence,
    tokenizer: Option<&TokenizerSettings>,
    wanted: &TextSettings,
) -> Result<usize, TextError> {
    if let Some(wanted) = wanted.max_tokens.map(|wanted| wanted as usize) {
        return match wanted <= shape.places.most() {
            true => Ok(wanted),
            false => Err(TextError::Setting {
                field: "spec.task.max_tokens",
                wanted,
                most: shape.places.most(),
            }),
        };
    }
    // A float that is too large becomes the largest integer.
    let tokenizer = || tokenizer?.model_max_length.map(|most| most as usize);
    let most = sentence.max_seq_length.or_else(tokenizer).unwrap_or(shape.places.most());
    Ok(most.min(shape.places.most()))
}

/// `found`, if it is from 1 to `most`.
pub(super) fn within(field: &'static str, found: usize, most: usize) -> Result<usize, TextError> {
    match (1..=most).contains(&found) {
        true => Ok(found),
        false => Err(TextError::Number { field, found, expected: format!("1 to {most}") }),
    }
}

/// The error for a feature that is not there.
pub(super) fn unsupported<T>(
    field: &'static str,
    found: &str,
    supported: &'static str,
) -> Result<T, TextError> {
    Err(TextError::Unsupported { field, found: format!("`{}`", clip(found)), supported })
}
