//! The shape of a model: what its family leaves open, as numbers that need no further checks.

use nightshift_kernels::attention::Grouped;
use nightshift_kernels::gated::Gate;
use nightshift_kernels::matmul::Finish;

use super::family::{Family, HeadNames};

/// The shape of a model.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// What its tensors are called, and what its layers do.
    pub(super) family: &'static Family,
    /// Tokens that it knows.
    pub(super) vocabulary: usize,
    /// Numbers of a token.
    pub(super) hidden: usize,
    /// Heads of attention.
    pub(super) heads: Grouped,
    /// Numbers between the two products of a layer.
    pub(super) intermediate: usize,
    /// What is done between the two products of a layer.
    pub(super) activation: Activation,
    /// Its norms.
    pub(super) norms: Norms,
    /// Which products have a bias.
    pub(super) biases: Biases,
    /// How it knows where a token is.
    pub(super) places: Places,
    /// How it knows to which text a token belongs.
    pub(super) segments: Segments,
    /// Buckets of distances that attention weighs; 0 where it does not.
    pub(super) buckets: usize,
    /// How each layer attends.
    pub(super) attention: Vec<Attention>,
    /// Bases of rotations.
    pub(super) thetas: Vec<f64>,
}

impl Shape {
    /// Multiplications for a text of `tokens` tokens.
    pub(super) fn products(&self, tokens: u64) -> u64 {
        let (hidden, wide) = (self.hidden as u64, self.intermediate as u64);
        let inner = self.heads.heads.hidden() as u64;
        let ups = if self.family.is_gated { 2 } else { 1 };
        let layer = hidden * (self.heads.stride() as u64 + inner) + (ups + 1) * hidden * wide;
        let layers = self.attention.iter().map(|attention| {
            let seen = attention.window.map_or(tokens, |window| tokens.min(2 * window as u64 + 1));
            tokens * (layer + 2 * seen * inner)
        });
        layers.fold(0, u64::saturating_add)
    }
}

/// What is done between the two products of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    Gelu,
    GeluTanh,
    Relu,
    Silu,
}

impl Activation {
    /// By its name in transformers.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "gelu" => Some(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Some(Self::GeluTanh),
            "relu" => Some(Self::Relu),
            "silu" => Some(Self::Silu),
            _ => None,
        }
    }

    /// As the end of a product, where a product can end so.
    pub(super) fn finish(self) -> Option<Finish> {
        match self {
            Self::Gelu => Some(Finish::Gelu),
            Self::GeluTanh => Some(Finish::GeluTanh),
            Self::Relu => Some(Finish::Relu),
            Self::Silu => None,
        }
    }

    /// As a gate.
    pub(super) fn gate(self) -> Gate {
        match self {
            Self::Gelu => Gate::Gelu,
            Self::GeluTanh => Gate::GeluTanh,
            Self::Relu => Gate::Relu,
            Self::Silu => Gate::Silu,
        }
    }
}

/// What all norms of a model are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Norms {
    /// Layer norms.
    Layer { has_bias: bool, epsilon: f32 },
    /// Norms by the root of the mean of squares.
    Root { epsilon: f32 },
}

/// Which products have a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Biases {
    /// Queries, keys and values.
    pub(super) qkv: bool,
    /// The product after attention.
    pub(super) attended: bool,
    /// The products after that.
    pub(super) mlp: bool,
}

/// How a model knows where a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Places {
    /// A row of a table, counted from 0. With a number of padding, from the row after that
    /// number, and tokens of that number have its row and are not counted.
    Table { rows: usize, padding: Option<u32> },
    /// Rotations, at most so many.
    Rotary { most: usize },
}

impl Places {
    /// Tokens of a text at most.
    pub(super) fn most(self) -> usize {
        match self {
            Self::Table { rows, padding } => {
                rows - padding.map_or(0, |padding| padding as usize + 1)
            }
            Self::Rotary { most } => most,
        }
    }
}

/// How a model knows to which text a token belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segments {
    /// Not at all.
    None,
    /// A row of a table of so many rows, and always the first.
    First(usize),
    /// The row of a table of so many rows that the tokenizer says.
    Told(usize),
}

/// How a layer attends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attention {
    /// How far a token sees in both directions; everywhere if absent.
    pub(super) window: Option<usize>,
    /// Which of the bases of rotations it has.
    pub(super) rotary: Option<usize>,
}

/// What comes before labels.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadShape {
    /// What its tensors are called.
    pub(super) names: &'static HeadNames,
    /// What is done after the first product.
    pub(super) finish: Finish,
    /// Whether the first product has a bias.
    pub(super) has_bias: bool,
    /// What the first product is of.
    pub(super) pooled: Pooled,
}

/// What a score is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooled {
    /// The first token.
    First,
    /// The mean of all tokens.
    Mean,
}
