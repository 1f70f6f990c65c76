//! BERT and its family: the tokens of several texts to a vector each.

use nightshift_kernels::Isa;
use nightshift_kernels::attention::{self, attend};
use nightshift_kernels::matmul::{self, Finish, Left, Out, Right, product};
use nightshift_kernels::rows::LayerNorm;

use super::settings::Shape;
use super::tokens::Sequence;
use super::weights::Weights;
use crate::engine::tabular::WeightsError;

/// What a family of models calls its tensors.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// Where a model with a head keeps the rest of itself.
    pub(super) prefix: &'static str,
    layers: &'static str,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    attended: &'static str,
    attention_norm: &'static str,
    up: &'static str,
    down: &'static str,
    norm: &'static str,
    /// The first product of a classifier, in the file's own words, and what is done after it.
    pub(super) pooler: &'static str,
    /// See above.
    pub(super) pooler_finish: Finish,
}

/// `BertModel` of transformers.
pub(super) static BERT: Names = Names {
    prefix: "bert.",
    layers: "encoder.layer",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attended: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    norm: "output.LayerNorm",
    pooler: "bert.pooler.dense",
    pooler_finish: Finish::Tanh,
};

/// `DistilBertModel` of transformers.
pub(super) static DISTILBERT: Names = Names {
    prefix: "distilbert.",
    layers: "transformer.layer",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    attended: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    norm: "output_layer_norm",
    pooler: "pre_classifier",
    pooler_finish: Finish::Relu,
};

/// A model in memory; read-only.
pub(super) struct Bert {
    isa: Isa,
    shape: Shape,
    /// Row-major, a row for each token.
    words: Vec<f32>,
    places: Vec<f32>,
    segments: Vec<f32>,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

struct Layer {
    /// Queries, keys and values as one matrix.
    qkv: Right,
    attended: Right,
    attention_norm: LayerNorm,
    up: Right,
    down: Right,
    norm: LayerNorm,
}

/// Memory of a thread, used for pass after pass.
#[derive(Default)]
pub(super) struct Scratch {
    product: matmul::Scratch,
    attention: attention::Scratch,
    left: Left,
    states: Vec<f32>,
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    wide: Vec<f32>,
}

impl Bert {
    /// The model of `shape` with these weights, for the instruction set `isa`.
    pub(super) fn new(shape: Shape, weights: &Weights<'_>, isa: Isa) -> Result<Self, WeightsError> {
        let hidden = shape.heads.hidden();
        let table = |name: &str, rows| {
            weights.take(&format!("embeddings.{name}_embeddings.weight"), &[rows, hidden])
        };
        let layers = (0..shape.layers).map(|at| Layer::new(&shape, weights, at));
        let layers = layers.collect::<Result<_, _>>()?;
        Ok(Self {
            isa,
            words: table("word", shape.vocabulary)?,
            places: table("position", shape.places)?,
            segments: match shape.segments {
                0 => vec![0.0; hidden],
                segments => table("token_type", segments)?,
            },
            norm: norm(&shape, weights, "embeddings.LayerNorm")?,
            layers,
            shape,
        })
    }

    /// The instruction set.
    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    /// Numbers of a vector.
    pub(super) fn hidden(&self) -> usize {
        self.shape.heads.hidden()
    }

    /// Bytes of weights in memory.
    pub(super) fn bytes(&self) -> usize {
        let tables = [&self.words, &self.places, &self.segments];
        let tables: usize = tables.iter().map(|table| size_of_val(table.as_slice())).sum();
        tables + self.norm.bytes() + self.layers.iter().map(Layer::bytes).sum::<usize>()
    }

    /// A vector for each token of each sequence, one after the other. The vectors of a sequence
    /// do not depend on the others.
    pub(super) fn run<'a>(&self, scratch: &'a mut Scratch, sequences: &[&Sequence]) -> &'a [f32] {
        let hidden = self.hidden();
        self.look_up(&mut scratch.states, sequences);
        self.norm.apply(self.isa, &mut scratch.states, &[]);
        for layer in &self.layers {
            layer.run(self.isa, &self.shape, hidden, scratch, sequences);
        }
        &scratch.states
    }

    /// A row of a table; its numbers were checked when the tokenizer was loaded.
    fn row<'a>(&self, table: &'a [f32], at: u32) -> &'a [f32] {
        let start = at as usize * self.hidden();
        table.get(start..start + self.hidden()).unwrap_or_default()
    }

    /// The sum of what is known of each token: its word, its segment, its place.
    fn look_up(&self, states: &mut Vec<f32>, sequences: &[&Sequence]) {
        states.clear();
        for sequence in sequences {
            let tokens = sequence.ids.iter().zip(&sequence.segments);
            for ((&id, &segment), place) in tokens.zip(0..) {
                // A model without segments has one row of zeros.
                let segment = if self.shape.segments == 0 { 0 } else { segment };
                let (word, segment) =
                    (self.row(&self.words, id), self.row(&self.segments, segment));
                let numbers = word.iter().zip(segment).zip(self.row(&self.places, place));
                states.extend(numbers.map(|((word, segment), place)| word + segment + place));
            }
        }
    }
}

impl Layer {
    fn new(shape: &Shape, weights: &Weights<'_>, at: usize) -> Result<Self, WeightsError> {
        let (hidden, wide) = (shape.heads.hidden(), shape.intermediate);
        let names = shape.names;
        let layers = names.layers;
        let part = |name: &str, columns, depth| {
            let matrix =
                weights.take(&format!("{layers}.{at}.{name}.weight"), &[columns, depth])?;
            let bias = weights.take(&format!("{layers}.{at}.{name}.bias"), &[columns])?;
            Ok::<_, WeightsError>((matrix, bias))
        };
        let packed = |name: &str, columns, depth| {
            let (matrix, bias) = part(name, columns, depth)?;
            Ok::<_, WeightsError>(Right::of_weights(columns, depth, &matrix, &bias))
        };
        let (mut matrix, mut biases) = (Vec::new(), Vec::new());
        for name in [names.query, names.key, names.value] {
            let (weights, bias) = part(name, hidden, hidden)?;
            matrix.extend(weights);
            biases.extend(bias);
        }
        let norm = |name: &str| norm(shape, weights, &format!("{layers}.{at}.{name}"));
        Ok(Self {
            qkv: Right::of_weights(3 * hidden, hidden, &matrix, &biases),
            attended: packed(names.attended, hidden, hidden)?,
            attention_norm: norm(names.attention_norm)?,
            up: packed(names.up, wide, hidden)?,
            down: packed(names.down, hidden, wide)?,
            norm: norm(names.norm)?,
        })
    }

    fn bytes(&self) -> usize {
        let matrices = [&self.qkv, &self.attended, &self.up, &self.down];
        let norms = [&self.attention_norm, &self.norm];
        matrices.iter().map(|matrix| matrix.bytes()).sum::<usize>()
            + norms.iter().map(|norm| norm.bytes()).sum::<usize>()
    }

    /// Replaces the states of all tokens by those after this layer.
    fn run(
        &self,
        isa: Isa,
        shape: &Shape,
        hidden: usize,
        scratch: &mut Scratch,
        sequences: &[&Sequence],
    ) {
        let Scratch { product: sums, attention, left, states, qkv, mixed, wide } = scratch;
        let tokens = states.len() / hidden;
        let mut multiply =
            |from: &[f32], depth: usize, right: &Right, finish, to: &mut Vec<f32>| {
                to.clear();
                to.resize(tokens * right.columns(), 0.0);
                left.fill(tokens, depth, 1.0, |row| {
                    from.get(row * depth..(row + 1) * depth).unwrap_or_default()
                });
                let out = Out { numbers: to, stride: right.columns(), offset: 0 };
                product(isa, sums, left, right, finish, out);
            };
        multiply(states, hidden, &self.qkv, Finish::Identity, qkv);
        mixed.clear();
        mixed.resize(tokens * hidden, 0.0);
        let (mut from, mut to) = (qkv.as_slice(), mixed.as_mut_slice());
        for sequence in sequences {
            let length = sequence.ids.len();
            let (own, rest) = from.split_at(length * 3 * hidden);
            let (out, others) = to.split_at_mut(length * hidden);
            attend(isa, attention, shape.heads, own, out);
            (from, to) = (rest, others);
        }
        // The matrix of queries is not needed any more; its memory is.
        multiply(mixed, hidden, &self.attended, Finish::Identity, qkv);
        self.attention_norm.apply(isa, qkv, states);
        multiply(qkv, hidden, &self.up, shape.activation, wide);
        multiply(wide, shape.intermediate, &self.down, Finish::Identity, states);
        self.norm.apply(isa, states, qkv);
    }
}

fn norm(shape: &Shape, weights: &Weights<'_>, name: &str) -> Result<LayerNorm, WeightsError> {
    let hidden = shape.heads.hidden();
    let weight = weights.take(&format!("{name}.weight"), &[hidden])?;
    let bias = weights.take(&format!("{name}.bias"), &[hidden])?;
    Ok(LayerNorm::new(&weight, &bias, shape.epsilon))
}
