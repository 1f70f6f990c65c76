//! What `config.json`, the files of sentence-transformers and the spec say together.

use std::collections::BTreeMap;

use nightshift_core::model::CONFIG_FILE;
use nightshift_core::plan::TextSettings;
use nightshift_kernels::attention::Heads;
use nightshift_kernels::matmul::Finish;
use serde::Deserialize;

use super::TextError;
use super::folder::{
    Folder, MODULES_FILE, POOLING_FILE, POOLING_FOLDER, PROMPTS_FILE, SENTENCE_FILE,
    TOKENIZER_SETTINGS_FILE,
};
use super::pooling::{Pooling, PoolingConfig};
use crate::engine::LoadError;
use crate::engine::tabular::clip;

/// Most numbers of a token.
const HIDDEN_MAX: usize = 8_192;
/// Most numbers between the two products of a layer.
const INTERMEDIATE_MAX: usize = 65_536;
/// Most layers.
const LAYERS_MAX: usize = 80;
/// Most tokens that a model knows.
const VOCABULARY_MAX: usize = 1 << 20;
/// Most places of a text.
const PLACES_MAX: usize = 1 << 16;
/// Most kinds of segments.
const SEGMENTS_MAX: usize = 16;

/// The shape of a BERT model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    /// Tokens that it knows.
    pub(super) vocabulary: usize,
    /// Places of a text.
    pub(super) places: usize,
    /// Kinds of segments.
    pub(super) segments: usize,
    /// Heads of attention; all of them side by side are as wide as a token.
    pub(super) heads: Heads,
    /// Numbers between the two products of a layer.
    pub(super) intermediate: usize,
    /// Layers.
    pub(super) layers: usize,
    /// What is done between the two products of a layer.
    pub(super) activation: Finish,
    /// ε of layer norms.
    pub(super) epsilon: f32,
}

/// What is done to a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    /// The model.
    pub(super) shape: Shape,
    /// Tokens of a text at most, with those that the tokenizer adds.
    pub(super) max_tokens: usize,
    /// Whether texts are put into lower case before the tokenizer sees them.
    pub(super) lower_case: bool,
    /// What is put before each text.
    pub(super) prompt: String,
    /// How the tokens of a text become one vector.
    pub(super) pooling: Pooling,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    architectures: Option<Vec<String>>,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
    hidden_act: String,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
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
    /// Reads the descriptions in `folder` and applies `wanted`.
    pub(super) fn read(folder: &mut Folder<'_>, wanted: &TextSettings) -> Result<Self, LoadError> {
        let config: Config = folder.required(CONFIG_FILE)?;
        let shape = config.shape().map_err(|source| folder.error(CONFIG_FILE, source))?;
        let sentence: Option<Sentence> = folder.optional(SENTENCE_FILE)?;
        let tokenizer: Option<TokenizerSettings> = folder.optional(TOKENIZER_SETTINGS_FILE)?;
        let prompts: Prompts = folder.optional(PROMPTS_FILE)?.unwrap_or_default();
        let modules: Option<Vec<Module>> = folder.optional(MODULES_FILE)?;
        let (pooled, normalised) =
            module_kinds(modules).map_err(|source| folder.error(MODULES_FILE, source))?;
        let pooling: PoolingConfig =
            if pooled { folder.required(POOLING_FILE)? } else { PoolingConfig::default() };
        let sentence = sentence.unwrap_or_default();
        let max_tokens = max_tokens(&shape, &sentence, tokenizer.as_ref(), wanted)
            .map_err(|source| folder.error(CONFIG_FILE, source))?;
        let prompt = prompts.chosen(wanted.prompt.as_deref());
        let prompt = prompt.map_err(|source| folder.error(PROMPTS_FILE, source))?;
        let pooling =
            Pooling::new(pooling, shape.heads.hidden(), !prompt.is_empty(), normalised, wanted);
        let pooling = pooling.map_err(|source| folder.error(POOLING_FILE, source))?;
        let lower_case = sentence.do_lower_case;
        Ok(Self { shape, max_tokens, lower_case, prompt, pooling })
    }
}

impl Config {
    fn shape(&self) -> Result<Shape, TextError> {
        let named = self.architectures.as_deref().unwrap_or_default();
        if named != ["BertModel"] {
            return unsupported("architectures", &named.join(", "), "`BertModel`");
        }
        match self.position_embedding_type.as_deref() {
            None | Some("absolute") => {}
            Some(found) => {
                return unsupported("position_embedding_type", found, "`absolute`");
            }
        }
        if self.is_decoder {
            return unsupported("is_decoder", "true", "`false`");
        }
        let activation = match self.hidden_act.as_str() {
            "gelu" => Finish::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Finish::GeluTanh,
            "relu" => Finish::Relu,
            found => return unsupported("hidden_act", found, "`gelu`, `gelu_new` and `relu`"),
        };
        let hidden = within("hidden_size", self.hidden_size, HIDDEN_MAX)?;
        let count = within("num_attention_heads", self.num_attention_heads, hidden)?;
        if !hidden.is_multiple_of(count) {
            let expected = format!("a divisor of the hidden size of {hidden}");
            return Err(TextError::Number { field: "num_attention_heads", found: count, expected });
        }
        let epsilon = self.layer_norm_eps as f32;
        if !(epsilon > 0.0 && epsilon < 1.0) {
            return unsupported("layer_norm_eps", &epsilon.to_string(), "a number from 0 to 1");
        }
        Ok(Shape {
            vocabulary: within("vocab_size", self.vocab_size, VOCABULARY_MAX)?,
            places: within("max_position_embeddings", self.max_position_embeddings, PLACES_MAX)?,
            segments: within("type_vocab_size", self.type_vocab_size, SEGMENTS_MAX)?,
            heads: Heads { count, width: hidden / count },
            intermediate: within("intermediate_size", self.intermediate_size, INTERMEDIATE_MAX)?,
            layers: within("num_hidden_layers", self.num_hidden_layers, LAYERS_MAX)?,
            activation,
            epsilon,
        })
    }
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
        return match wanted <= shape.places {
            true => Ok(wanted),
            false => Err(TextError::Setting {
                field: "spec.task.max_tokens",
                wanted,
                most: shape.places,
            }),
        };
    }
    // A float that is too large becomes the largest integer.
    let tokenizer = || tokenizer?.model_max_length.map(|most| most as usize);
    let most = sentence.max_seq_length.or_else(tokenizer).unwrap_or(shape.places);
    Ok(most.min(shape.places))
}

fn within(field: &'static str, found: usize, most: usize) -> Result<usize, TextError> {
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
