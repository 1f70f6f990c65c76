//! `config.json`: what it says of the shape of a model, family by family.

use std::collections::BTreeMap;

use nightshift_kernels::attention::{Grouped, Heads};
use nightshift_kernels::rotary::Frequencies;
use serde::Deserialize;
use serde_json::Value;

use super::TextError;
use super::family::{CLASSIFIERS, EMBEDDERS, FAMILIES, Family, GENERATORS, Kind, Purpose};
use super::settings::{unsupported, within};
use super::shape::{Activation, Attention, Biases, Norms, Places, Segments, Shape};

mod labels;
mod rotary;

/// Most numbers of a token.
const HIDDEN_MAX: usize = 8_192;
/// Most numbers of a head.
const HEAD_MAX: usize = 512;
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
/// Most buckets of distances.
const BUCKETS_MAX: usize = 256;

/// The file, as far as it matters.
#[derive(Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(alias = "dim")]
    hidden_size: usize,
    #[serde(alias = "n_layers")]
    num_hidden_layers: usize,
    #[serde(alias = "n_heads")]
    num_attention_heads: usize,
    #[serde(default)]
    num_key_value_heads: Option<usize>,
    #[serde(default)]
    head_dim: Option<usize>,
    #[serde(alias = "hidden_dim")]
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default)]
    type_vocab_size: Option<usize>,
    #[serde(default)]
    pad_token_id: Option<i64>,
    #[serde(default)]
    layer_norm_eps: Option<f64>,
    #[serde(default)]
    norm_eps: Option<f64>,
    #[serde(default)]
    rms_norm_eps: Option<f64>,
    #[serde(alias = "activation", alias = "hidden_activation")]
    hidden_act: String,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
    #[serde(default)]
    is_causal: Option<bool>,
    #[serde(default)]
    use_sliding_window: bool,
    #[serde(default)]
    relative_attention_num_buckets: Option<usize>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    norm_bias: bool,
    #[serde(default)]
    local_attention: Option<usize>,
    #[serde(default)]
    global_attn_every_n_layers: Option<usize>,
    #[serde(default)]
    layer_types: Option<Vec<String>>,
    #[serde(default)]
    rope_theta: Option<f64>,
    #[serde(default)]
    global_rope_theta: Option<f64>,
    #[serde(default)]
    local_rope_theta: Option<f64>,
    #[serde(default)]
    rope_scaling: Option<Value>,
    #[serde(default)]
    rope_parameters: Option<Value>,
    #[serde(default)]
    pub(super) tie_word_embeddings: bool,
    #[serde(default)]
    pub(super) eos_token_id: Option<Value>,
    #[serde(default)]
    id2label: Option<BTreeMap<String, String>>,
    #[serde(default)]
    problem_type: Option<String>,
    #[serde(default)]
    classifier_bias: bool,
    #[serde(default)]
    classifier_activation: Option<String>,
    #[serde(default)]
    classifier_pooling: Option<String>,
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

impl Config {
    /// The family, if the model is one for that.
    fn family(&self, purpose: Purpose) -> Result<&'static Family, TextError> {
        let named = self.architectures.as_deref().unwrap_or_default();
        let known = |family: &&Family| {
            let known = family.architectures(purpose);
            matches!(named, [name] if known.contains(&name.as_str()))
        };
        let supported = match purpose {
            Purpose::Embed => EMBEDDERS,
            Purpose::Label => CLASSIFIERS,
            Purpose::Generate => GENERATORS,
        };
        match FAMILIES.iter().find(known) {
            Some(family) => Ok(family),
            None => unsupported("architectures", &named.join(", "), supported),
        }
    }

    /// The shape of the model.
    pub(super) fn shape(&self, purpose: Purpose) -> Result<Shape, TextError> {
        let family = self.family(purpose)?;
        self.check_switches(family)?;
        let hidden = within("hidden_size", self.hidden_size, HIDDEN_MAX)?;
        let heads = self.heads(hidden)?;
        let layers = within("num_hidden_layers", self.num_hidden_layers, LAYERS_MAX)?;
        let rows = within("max_position_embeddings", self.max_position_embeddings, PLACES_MAX)?;
        let (attention, rotations) = self.attention(family.kind, layers)?;
        if !rotations.is_empty() && !heads.heads.width.is_multiple_of(2) {
            let expected = "an even number, for places that are rotations".to_owned();
            let found = heads.heads.width;
            return Err(TextError::Number { field: "head_dim", found, expected });
        }
        Ok(Shape {
            family,
            vocabulary: within("vocab_size", self.vocab_size, VOCABULARY_MAX)?,
            hidden,
            heads,
            intermediate: within("intermediate_size", self.intermediate_size, INTERMEDIATE_MAX)?,
            activation: self.layer_activation(family)?,
            norms: self.norms(family.kind)?,
            biases: self.biases(family.kind),
            places: self.places(family.kind, rows)?,
            segments: self.segments(family.kind)?,
            buckets: match family.kind {
                Kind::Mpnet => self.buckets()?,
                _ => 0,
            },
            attention,
            rotations,
        })
    }

    /// Refuses what would make another model of the same tensors.
    fn check_switches(&self, family: &Family) -> Result<(), TextError> {
        match (family.kind, self.position_embedding_type.as_deref()) {
            // The others have rotations, whatever this says.
            (Kind::ModernBert | Kind::Llama | Kind::Qwen2 | Kind::Qwen3, _)
            | (_, None | Some("absolute")) => {}
            (_, Some(found)) => {
                return unsupported("position_embedding_type", found, "`absolute`");
            }
        }
        if self.is_decoder && !family.is_causal {
            return unsupported("is_decoder", "true", "`false`");
        }
        if family.is_causal && self.is_causal == Some(false) {
            return unsupported("is_causal", "false", "`true`");
        }
        if self.use_sliding_window {
            return unsupported("use_sliding_window", "true", "`false`");
        }
        Ok(())
    }

    fn heads(&self, hidden: usize) -> Result<Grouped, TextError> {
        let count = within("num_attention_heads", self.num_attention_heads, hidden)?;
        let width = match self.head_dim {
            Some(width) => within("head_dim", width, HEAD_MAX)?,
            None if hidden.is_multiple_of(count) => hidden / count,
            None => {
                let expected = format!("a divisor of the hidden size of {hidden}");
                let field = "num_attention_heads";
                return Err(TextError::Number { field, found: count, expected });
            }
        };
        let keys = within("num_key_value_heads", self.num_key_value_heads.unwrap_or(count), count)?;
        if !count.is_multiple_of(keys) {
            let expected = format!("a divisor of the {count} heads");
            return Err(TextError::Number { field: "num_key_value_heads", found: keys, expected });
        }
        Ok(Grouped { heads: Heads { count, width }, keys })
    }

    fn layer_activation(&self, family: &Family) -> Result<Activation, TextError> {
        let activation = Activation::named(&self.hidden_act);
        match activation.filter(|found| family.is_gated || found.finish().is_some()) {
            Some(activation) => Ok(activation),
            None if family.is_gated => {
                let supported = "`gelu`, `gelu_new`, `relu` and `silu`";
                unsupported("hidden_act", &self.hidden_act, supported)
            }
            None => unsupported("hidden_act", &self.hidden_act, "`gelu`, `gelu_new` and `relu`"),
        }
    }

    fn norms(&self, kind: Kind) -> Result<Norms, TextError> {
        let (field, said, usual) = match kind {
            Kind::ModernBert => ("norm_eps", self.norm_eps, 1e-5),
            Kind::Llama | Kind::Qwen2 | Kind::Qwen3 => ("rms_norm_eps", self.rms_norm_eps, 1e-6),
            _ => ("layer_norm_eps", self.layer_norm_eps, 1e-12),
        };
        let epsilon = said.unwrap_or(usual) as f32;
        if !(epsilon > 0.0 && epsilon < 1.0) {
            return unsupported(field, &epsilon.to_string(), "a number from 0 to 1");
        }
        Ok(match kind {
            Kind::ModernBert => Norms::Layer { has_bias: self.norm_bias, epsilon },
            Kind::Llama | Kind::Qwen2 | Kind::Qwen3 => Norms::Root { epsilon },
            _ => Norms::Layer { has_bias: true, epsilon },
        })
    }

    fn biases(&self, kind: Kind) -> Biases {
        let (attention, mlp) = (self.attention_bias, self.mlp_bias);
        match kind {
            Kind::ModernBert | Kind::Llama => Biases { qkv: attention, attended: attention, mlp },
            Kind::Qwen2 => Biases { qkv: true, attended: false, mlp: false },
            Kind::Qwen3 => Biases { qkv: attention, attended: attention, mlp: false },
            _ => Biases { qkv: true, attended: true, mlp: true },
        }
    }

    fn places(&self, kind: Kind, rows: usize) -> Result<Places, TextError> {
        let padding = match kind {
            Kind::ModernBert | Kind::Llama | Kind::Qwen2 | Kind::Qwen3 => {
                return Ok(Places::Rotary { most: rows });
            }
            Kind::Bert | Kind::DistilBert => return Ok(Places::Table { rows, padding: None }),
            // Its code has the number, not its configuration.
            Kind::Mpnet => 1,
            Kind::Roberta => self.pad_token_id.unwrap_or(1),
        };
        match u32::try_from(padding) {
            Ok(padding) if (padding as usize) + 1 < rows => {
                Ok(Places::Table { rows, padding: Some(padding) })
            }
            _ => unsupported("pad_token_id", &padding.to_string(), "a number below that of places"),
        }
    }

    fn segments(&self, kind: Kind) -> Result<Segments, TextError> {
        let rows =
            |usual| within("type_vocab_size", self.type_vocab_size.unwrap_or(usual), SEGMENTS_MAX);
        Ok(match kind {
            Kind::Bert => Segments::Told(rows(2)?),
            // Its tokenizers tell none apart.
            Kind::Roberta => Segments::First(rows(2)?),
            _ => Segments::None,
        })
    }

    fn buckets(&self) -> Result<usize, TextError> {
        let field = "relative_attention_num_buckets";
        let count = within(field, self.relative_attention_num_buckets.unwrap_or(32), BUCKETS_MAX)?;
        match count.is_multiple_of(4) {
            true => Ok(count),
            false => {
                let expected = "a multiple of 4".to_owned();
                Err(TextError::Number { field, found: count, expected })
            }
        }
    }

    /// How each layer attends, and the rotations that they use.
    fn attention(
        &self,
        kind: Kind,
        layers: usize,
    ) -> Result<(Vec<Attention>, Vec<Frequencies>), TextError> {
        match kind {
            Kind::Bert | Kind::DistilBert | Kind::Roberta | Kind::Mpnet => {
                Ok((vec![Attention { window: None, rotary: None }; layers], Vec::new()))
            }
            Kind::Llama | Kind::Qwen2 | Kind::Qwen3 => {
                if let Some(types) = &self.layer_types
                    && let Some(other) = types.iter().find(|found| *found != "full_attention")
                {
                    return unsupported("layer_types", other, "`full_attention`");
                }
                let rotation = self.rotation(None, self.rope_theta, 10_000.0)?;
                Ok((vec![Attention { window: None, rotary: Some(0) }; layers], vec![rotation]))
            }
            Kind::ModernBert => {
                let everywhere =
                    self.rotation(Some("full_attention"), self.global_rope_theta, 160_000.0)?;
                let near =
                    self.rotation(Some("sliding_attention"), self.local_rope_theta, 10_000.0)?;
                let window = self.local_attention.unwrap_or(128);
                let window = within("local_attention", window, PLACES_MAX)? / 2;
                let attention = self.is_local(layers)?.into_iter().map(|is_local| match is_local {
                    true => Attention { window: Some(window), rotary: Some(1) },
                    false => Attention { window: None, rotary: Some(0) },
                });
                Ok((attention.collect(), vec![everywhere, near]))
            }
        }
    }

    /// Whether each layer of ModernBERT sees near tokens alone.
    fn is_local(&self, layers: usize) -> Result<Vec<bool>, TextError> {
        let Some(types) = &self.layer_types else {
            let every = self.global_attn_every_n_layers.unwrap_or(3);
            let every = within("global_attn_every_n_layers", every, LAYERS_MAX)?;
            return Ok((0..layers).map(|at| at % every != 0).collect());
        };
        if types.len() != layers {
            let expected = format!("{layers}, one for each layer");
            let field = "the number of layer_types";
            return Err(TextError::Number { field, found: types.len(), expected });
        }
        let is_local = types.iter().map(|found| match found.as_str() {
            "sliding_attention" => Ok(true),
            "full_attention" => Ok(false),
            other => unsupported("layer_types", other, "`full_attention` and `sliding_attention`"),
        });
        is_local.collect()
    }
}
