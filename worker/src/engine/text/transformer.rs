//! The tokens of several texts to a vector each, through the layers of a model of any family.

use std::thread;

use nightshift_kernels::Isa;
use nightshift_kernels::attention::{self, Cache, Near};
use nightshift_kernels::dot::Pair;
use nightshift_kernels::matrix::{Matrix, Precision, Workspace};
use nightshift_kernels::rotary::Rotary;
use nightshift_kernels::rows::{LayerNorm, RootNorm};

use super::shape::{Norms, Shape};
use super::tokens::Sequence;
use super::weights::Weights;
use crate::engine::files::{cores, joined};
use crate::engine::tabular::WeightsError;

pub(super) mod distances;
mod past;
mod layer;
mod lookup;

use layer::Layer;
use lookup::Tables;
pub(super) use past::Past;
use past::Texts;

/// Bytes of weights that are being packed at a time, if it is more than one layer.
const PACKING_BYTES_MAX: usize = 512 << 20;

/// A model in memory; read-only.
pub(super) struct Transformer {
    isa: Isa,
    precision: Precision,
    hidden: usize,
    max_tokens: usize,
    tables: Tables,
    first_norm: Option<Norm>,
    layers: Vec<Layer>,
    last_norm: Option<Norm>,
    shared: Shared,
}

/// What layers have in common.
struct Shared {
    shape: Shape,
    /// For each kind of rotation, the angles of all places.
    rotations: Vec<Rotary>,
    /// What distances are worth, if that is all that attention knows of them.
    near: Near,
}

/// Memory of a thread, used for pass after pass.
pub(super) struct Scratch {
    products: Workspace,
    attention: Attention,
    states: Vec<f32>,
    /// What goes into the two parts of a layer, and what comes out of them.
    part: Vec<f32>,
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    wide: Vec<f32>,
    gated: Vec<f32>,
    scores: Vec<f32>,
}

/// Memory for attention: integers of 8 bits are too few for scores, so that they get pairs.
enum Attention {
    Floats(attention::Scratch),
    Pairs(attention::Scratch<Pair>),
}

impl Scratch {
    /// Memory for a model of this precision.
    pub(super) fn new(precision: Precision) -> Self {
        let attention = match precision {
            Precision::F32 => Attention::Floats(attention::Scratch::default()),
            Precision::Bf16 | Precision::Int8 => Attention::Pairs(attention::Scratch::default()),
        };
        Self {
            products: Workspace::default(),
            attention,
            states: Vec::new(),
            part: Vec::new(),
            qkv: Vec::new(),
            mixed: Vec::new(),
            wide: Vec::new(),
            gated: Vec::new(),
            scores: Vec::new(),
        }
    }

    /// Keeps states that were computed elsewhere.
    #[cfg(any(test, feature = "cuda"))]
    pub(super) fn holding(&mut self, states: Vec<f32>) -> &[f32] {
        self.states = states;
        &self.states
    }
}

/// A norm of either kind.
pub(super) enum Norm {
    /// By mean and variance.
    Layer(LayerNorm),
    /// By the root of the mean of squares.
    Root(RootNorm),
}

impl Norm {
    /// The norm `name` of rows of `width` numbers, as `norms` are and `take` finds tensors.
    pub(super) fn new(
        norms: Norms,
        width: usize,
        name: &str,
        take: impl Fn(&str, &[usize]) -> Result<Vec<f32>, WeightsError>,
    ) -> Result<Self, WeightsError> {
        let weight = take(&format!("{name}.weight"), &[width])?;
        Ok(match norms {
            Norms::Root { epsilon } => Self::Root(RootNorm::new(&weight, epsilon)),
            Norms::Layer { has_bias, epsilon } => {
                let bias = match has_bias {
                    true => take(&format!("{name}.bias"), &[width])?,
                    false => vec![0.0; width],
                };
                Self::Layer(LayerNorm::new(&weight, &bias, epsilon))
            }
        })
    }

    /// Normalises each row, after adding that of `residual`, if there is one.
    pub(super) fn apply(&self, isa: Isa, rows: &mut [f32], residual: &[f32]) {
        match self {
            Self::Layer(norm) => norm.apply(isa, rows, residual),
            Self::Root(norm) => {
                rows.iter_mut().zip(residual).for_each(|(to, from)| *to += from);
                norm.apply(isa, rows);
            }
        }
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Layer(norm) => norm.bytes(),
            Self::Root(norm) => norm.bytes(),
        }
    }
}

impl Transformer {
    /// The model of `shape` with these weights, for texts of at most `max_tokens` tokens, with
    /// products of `precision` on instruction set `isa`.
    pub(super) fn new(
        shape: Shape,
        max_tokens: usize,
        weights: &Weights<'_>,
        precision: Precision,
        isa: Isa,
    ) -> Result<Self, WeightsError> {
        let (hidden, names) = (shape.hidden, &shape.family.names);
        let norm = |name: Option<&str>| {
            let take = |name: &str, shape: &[usize]| weights.take(name, shape);
            name.map(|name| Norm::new(shape.norms, hidden, name, take)).transpose()
        };
        let (layers, tables) = thread::scope(|scope| {
            let (count, shape) = (shape.attention.len(), &shape);
            let threads = cores().min(packers(shape));
            let packers = (0..threads).map(|first| {
                scope.spawn(move || {
                    let own = (first..count).step_by(threads);
                    own.map(|at| Layer::new(shape, weights, precision, at)).collect::<Vec<_>>()
                })
            });
            let packers: Vec<_> = packers.collect();
            let tables = Tables::new(shape, weights);
            let packed: Vec<_> = packers.into_iter().map(|packer| joined(packer.join())).collect();
            (in_turn(packed), tables)
        });
        let layers = layers.into_iter().collect::<Result<_, _>>()?;
        let (tables, bias) = (tables?, distances::bias(&shape, weights)?);
        let (first_norm, last_norm) = (norm(names.first_norm)?, norm(names.last_norm)?);
        let width = shape.heads.heads.width;
        let rotations = shape.rotations.iter().map(|own| Rotary::new(own, width, max_tokens));
        let rotations = rotations.collect();
        let ahead = shape.family.is_causal.then_some(0);
        let near = Near { back: None, ahead, bias };
        let shared = Shared { shape, rotations, near };
        Ok(Self {
            isa,
            precision,
            hidden,
            max_tokens,
            tables,
            first_norm,
            layers,
            last_norm,
            shared,
        })
    }

    /// The instruction set.
    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    /// The precision of its products.
    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// Numbers of a vector.
    pub(super) fn hidden(&self) -> usize {
        self.hidden
    }

    /// Tokens of a text at most.
    pub(super) fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Bytes that a thread takes while it computes `tokens` tokens at a time.
    pub(super) fn scratch_bytes(&self, tokens: usize) -> usize {
        let Shape { hidden, heads, intermediate, family, .. } = &self.shared.shape;
        let (inner, wide) = (heads.heads.hidden(), *intermediate);
        let wide = if family.is_gated { 3 * wide } else { wide };
        // States, what is added to them, and both as they are normalised and packed; queries, keys
        // and values, and as attention packs them; what is seen; what goes into the second product,
        // and its rows as they are packed.
        let numbers = 4 * hidden + 2 * heads.stride() + inner + wide + (*intermediate).max(*hidden);
        tokens * numbers * size_of::<f32>()
    }

    /// Bytes of weights in memory.
    pub(super) fn bytes(&self) -> usize {
        let norms = [&self.first_norm, &self.last_norm].into_iter().flatten();
        let norms: usize = norms.map(Norm::bytes).sum();
        let rotations: usize = self.shared.rotations.iter().map(Rotary::bytes).sum();
        let layers: usize = self.layers.iter().map(Layer::bytes).sum();
        self.tables.bytes() + norms + rotations + layers
    }

    /// Bytes of the table of words as 32-bit floats.
    pub(super) fn words_bytes(&self) -> usize {
        self.shared.shape.words_bytes()
    }

    /// Bytes beside those that are taken while the layers are packed, at most.
    pub(super) fn loading_bytes(&self) -> usize {
        packers(&self.shared.shape) * self.shared.shape.unpacked_bytes()
    }

    /// A vector for each token of each sequence, one after the other. The vectors of a sequence
    /// do not depend on the others.
    pub(super) fn run<'a>(&self, scratch: &'a mut Scratch, sequences: &[&Sequence]) -> &'a [f32] {
        self.tables.look_up(&mut scratch.states, sequences);
        self.through(scratch, Texts::Whole(sequences))
    }

    /// The same, and keeps what later tokens look at: each of `pasts` is that of the sequence at
    /// its place, and empty.
    pub(super) fn begin<'a>(
        &self,
        scratch: &'a mut Scratch,
        sequences: &[&Sequence],
        pasts: &mut [&mut Past],
    ) -> &'a [f32] {
        self.tables.look_up(&mut scratch.states, sequences);
        self.through(scratch, Texts::Kept(sequences, pasts));
        for (past, sequence) in pasts.iter_mut().zip(sequences) {
            past.tokens += sequence.ids.len();
        }
        &scratch.states
    }

    /// A vector for one more token of each sequence, which comes after what its past holds.
    pub(super) fn go_on<'a>(
        &self,
        scratch: &'a mut Scratch,
        ids: &[u32],
        pasts: &mut [&mut Past],
    ) -> &'a [f32] {
        self.tables.words_of(&mut scratch.states, ids);
        self.through(scratch, Texts::Next(pasts));
        pasts.iter_mut().for_each(|past| past.tokens += 1);
        &scratch.states
    }

    /// Memory for a sequence of so many tokens.
    pub(super) fn past(&self, tokens: usize) -> Past {
        let cache = |_: &Layer| Cache::new(self.shared.shape.heads, tokens);
        Past { tokens: 0, layers: self.layers.iter().map(cache).collect() }
    }

    /// Bytes of [`past`](Self::past).
    pub(super) fn past_bytes(&self, tokens: usize) -> usize {
        self.layers.len() * Cache::bytes(self.shared.shape.heads, tokens)
    }

    /// The matrix that turns vectors into a score for each word: the table of words.
    pub(super) fn words_as_matrix(&self) -> Matrix {
        self.tables.words_as_matrix(self.precision)
    }

    /// All layers, and the norms before and after them.
    fn through<'a>(&self, scratch: &'a mut Scratch, mut texts: Texts<'_, '_, '_>) -> &'a [f32] {
        if let Some(norm) = &self.first_norm {
            norm.apply(self.isa, &mut scratch.states, &[]);
        }
        for (at, layer) in self.layers.iter().enumerate() {
            layer.run(self.isa, &self.shared, scratch, &mut texts, at);
        }
        if let Some(norm) = &self.last_norm {
            norm.apply(self.isa, &mut scratch.states, &[]);
        }
        &scratch.states
    }
}

/// Layers of `shape` that may be packed at a time.
fn packers(shape: &Shape) -> usize {
    let layers = shape.attention.len().max(1);
    (PACKING_BYTES_MAX / shape.unpacked_bytes().max(1)).clamp(1, layers)
}

/// One of each list after the other, until all are empty.
fn in_turn<T>(lists: Vec<Vec<T>>) -> Vec<T> {
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(lists.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
}
