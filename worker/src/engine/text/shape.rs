//! The shape of a model: what its family leaves open, as numbers that need no further checks.

use nightshift_kernels::attention::Grouped;
use nightshift_kernels::gated::Gate;
use nightshift_kernels::matmul::Finish;
use nightshift_kernels::rotary::Frequencies;

use super::family::{Family, HeadNames, Order};

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
    /// How fast rotations turn.
    pub(super) rotations: Vec<Frequencies>,
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

    /// The matrices of a layer: queries, keys and values; the product after attention; the first
    /// and the second product after that.
    pub(super) fn products_of_layer(&self) -> [Stacked; 4] {
        let Self { family, hidden, heads, intermediate: wide, biases, .. } = self;
        let (hidden, wide, names) = (*hidden, *wide, &family.names);
        let (inner, keys) = (heads.heads.hidden(), heads.keys * heads.heads.width);
        let qkv = match names.qkv {
            [all] => vec![(*all, heads.stride())],
            parts => parts.iter().copied().zip([inner, keys, keys]).collect(),
        };
        let up = match names.up {
            [one] if family.is_gated => vec![(*one, 2 * wide)],
            parts => parts.iter().map(|part| (*part, wide)).collect(),
        };
        let attended = vec![(names.attended, hidden)];
        let down = vec![(names.down, hidden)];
        [
            Stacked { parts: qkv, depth: hidden, has_bias: biases.qkv },
            Stacked { parts: attended, depth: inner, has_bias: biases.attended },
            Stacked { parts: up, depth: hidden, has_bias: biases.mlp },
            Stacked { parts: down, depth: wide, has_bias: biases.mlp },
        ]
    }

    /// Most bytes of a matrix of a layer as 32-bit floats, with the parts that it is made of.
    pub(super) fn unpacked_bytes(&self) -> usize {
        let matrix = |stacked: &Stacked| stacked.rows() * stacked.depth * size_of::<f32>();
        2 * self.products_of_layer().iter().map(matrix).max().unwrap_or(0)
    }

    /// Bytes of the table of words as 32-bit floats.
    pub(super) fn words_bytes(&self) -> usize {
        self.vocabulary * self.hidden * size_of::<f32>()
    }

    /// Whether layer `at` has no norm for attention: what was looked up has its norm already.
    pub(super) fn is_bare(&self, at: usize) -> bool {
        at == 0 && self.family.names.first_norm.is_some() && self.family.order == Order::Before
    }
}

/// Matrices of a file, one below the other, as one.
#[derive(Debug, Clone)]
pub(super) struct Stacked {
    /// What each is called in a layer, and how many rows it has.
    pub(super) parts: Vec<(&'static str, usize)>,
    /// Numbers of a row.
    pub(super) depth: usize,
    /// Whether there is a number to add for each row.
    pub(super) has_bias: bool,
}

impl Stacked {
    /// Rows of all of them.
    pub(super) fn rows(&self) -> usize {
        self.parts.iter().map(|(_, rows)| rows).sum()
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

    /// The row of each of these tokens in a table that has rows for `padding`.
    pub(super) fn rows(padding: Option<u32>, ids: &[u32]) -> impl Iterator<Item = u32> {
        let mut place = padding.map_or(0, |padding| padding + 1);
        ids.iter().map(move |&id| {
            // A token of padding that a text spells out has the place of padding.
            if padding == Some(id) {
                return id;
            }
            place += 1;
            place - 1
        })
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
    /// Which of the rotations it has.
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
