//! What `config.json`, the files of sentence-transformers and the spec say together.

use std::collections::BTreeMap;

use nightshift_core::model::CONFIG_FILE;
use nightshift_core::plan::TextSettings;
use nightshift_core::spec::Task;
use nightshift_kernels::attention::Heads;
use nightshift_kernels::matmul::Finish;
use serde::Deserialize;

use super::TextError;
use super::bert::{BERT, DISTILBERT, Names};
use super::folder::{
    Folder, MODULES_FILE, POOLING_FILE, POOLING_FOLDER, PROMPTS_FILE, SENTENCE_FILE,
    TOKENIZER_SETTINGS_FILE,
};
use super::head::Activation;
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
/// Most labels.
const LABELS_MAX: usize = 10_000;

/// The shape of a model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    /// What its tensors are called.
    pub(super) names: &'static Names,
    /// Tokens that it knows.
    pub(super) vocabulary: usize,
    /// Places of a text.
    pub(super) places: usize,
    /// Kinds of segments; 0 where the model does not tell them apart.
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
    /// What is made of its tokens.
    pub(super) end: End,
}

/// What the descriptions say about the end of a model.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    /// The tokens of a text become one vector.
    Embed(Pooling),
    /// A text, or a pair, gets a score for each label.
    Labels {
        /// The labels, by number.
        labels: Vec<String>,
        /// What is done to the scores.
        activation: Activation,
    },
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(alias = "dim")]
    hidden_size: usize,
    #[serde(alias = "n_layers")]
    num_hidden_layers: usize,
    #[serde(alias = "n_heads")]
    num_attention_heads: usize,
    #[serde(alias = "hidden_dim")]
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default)]
    type_vocab_size: Option<usize>,
    #[serde(default)]
    layer_norm_eps: Option<f64>,
    #[serde(alias = "activation")]
    hidden_act: String,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
    #[serde(default)]
    id2label: Option<BTreeMap<String, String>>,
    #[serde(default)]
    problem_type: Option<String>,
    #[serde(default)]
    sentence_transformers: Option<CrossEncoder>,
    #[serde(default)]
    sbert_ce_default_activation_function: Option<String>,
}

/// What sentence-transformers adds to the description of a cross-encoder.
#[derive(Deserialize)]
struct CrossEncoder {
    #[serde(default)]
    activation_fn: Option<String>,
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
        let shape =
            config.shape(is_embedder).map_err(|source| folder.error(CONFIG_FILE, source))?;
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
                let end = config.end(matches!(task, Task::Rerank(_)));
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
    let pooling =
        Pooling::new(pooling, shape.heads.hidden(), !prompt.is_empty(), normalised, wanted);
    let pooling = pooling.map_err(|source| folder.error(POOLING_FILE, source))?;
    Ok((prompt, pooling))
}

impl Config {
    /// What its tensors are called, if it is a model for that.
    fn names(&self, is_embedder: bool) -> Result<&'static Names, TextError> {
        let named = self.architectures.as_deref().unwrap_or_default();
        let (known, supported) = match is_embedder {
            true => (["BertModel", "DistilBertModel"], "`BertModel` and `DistilBertModel`"),
            false => (
                ["BertForSequenceClassification", "DistilBertForSequenceClassification"],
                "`BertForSequenceClassification` and `DistilBertForSequenceClassification`",
            ),
        };
        let [bert, distilbert] = known;
        match named {
            [name] if name == bert => Ok(&BERT),
            [name] if name == distilbert => Ok(&DISTILBERT),
            _ => unsupported("architectures", &named.join(", "), supported),
        }
    }

    /// The labels, and what is done to their scores; a model for pairs has one.
    fn end(&self, is_of_pairs: bool) -> Result<End, TextError> {
        // What transformers takes where nothing is said.
        let count = self.id2label.as_ref().map_or(2, BTreeMap::len);
        let count = within("id2label", count, LABELS_MAX)?;
        let label = |at: usize| {
            let given = self.id2label.as_ref().map(|labels| labels.get(&at.to_string()).cloned());
            given.unwrap_or_else(|| Some(format!("LABEL_{at}")))
        };
        let labels: Option<Vec<String>> = (0..count).map(label).collect();
        let Some(labels) = labels else {
            return unsupported("id2label", "numbers with gaps", "labels 0, 1, 2 and so on");
        };
        if is_of_pairs && count != 1 {
            let expected = "1, the score of a pair".to_owned();
            return Err(TextError::Number {
                field: "the number of labels",
                found: count,
                expected,
            });
        }
        let activation =
            if is_of_pairs { self.pair_activation()? } else { self.activation(count)? };
        Ok(End::Labels { labels, activation })
    }

    /// As the pipeline `text-classification` of transformers decides.
    fn activation(&self, labels: usize) -> Result<Activation, TextError> {
        match self.problem_type.as_deref() {
            Some("regression") => Ok(Activation::Identity),
            Some("multi_label_classification") => Ok(Activation::Sigmoid),
            // A probability among one would be 1 whatever the text.
            None | Some("single_label_classification") if labels == 1 => Ok(Activation::Sigmoid),
            None | Some("single_label_classification") => Ok(Activation::Softmax),
            Some(found) => unsupported(
                "problem_type",
                found,
                "`single_label_classification`, `multi_label_classification` and `regression`",
            ),
        }
    }

    /// As the cross-encoder of sentence-transformers decides.
    fn pair_activation(&self) -> Result<Activation, TextError> {
        let newer =
            self.sentence_transformers.as_ref().and_then(|own| own.activation_fn.as_deref());
        let named = newer.or(self.sbert_ce_default_activation_function.as_deref());
        match named.map(|name| name.rsplit('.').next().unwrap_or(name)) {
            None | Some("Sigmoid") => Ok(Activation::Sigmoid),
            Some("Identity") => Ok(Activation::Identity),
            Some(found) => unsupported("activation_fn", found, "`Sigmoid` and `Identity`"),
        }
    }

    fn shape(&self, is_embedder: bool) -> Result<Shape, TextError> {
        let names = self.names(is_embedder)?;
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
        let epsilon = self.layer_norm_eps.unwrap_or(1e-12) as f32;
        if !(epsilon > 0.0 && epsilon < 1.0) {
            return unsupported("layer_norm_eps", &epsilon.to_string(), "a number from 0 to 1");
        }
        let segments = match names == &DISTILBERT {
            true => 0,
            false => within("type_vocab_size", self.type_vocab_size.unwrap_or(2), SEGMENTS_MAX)?,
        };
        Ok(Shape {
            names,
            vocabulary: within("vocab_size", self.vocab_size, VOCABULARY_MAX)?,
            places: within("max_position_embeddings", self.max_position_embeddings, PLACES_MAX)?,
            segments,
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
