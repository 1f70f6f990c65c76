//! A layer: attention, then two products, each with a norm.

use nightshift_kernels::Isa;
use nightshift_kernels::attention::{self, Grouped, Near, attend, attend_last, attend_near};
use nightshift_kernels::gated::gated;
use nightshift_kernels::matmul::{Finish, Numbers};
use nightshift_kernels::matrix::{Matrix, Precision};

use super::past::Texts;
use super::{Attention, Norm, Scratch, Shared};
use crate::engine::tabular::WeightsError;
use crate::engine::text::family::Order;
use crate::engine::text::shape::{Shape, Stacked};
use crate::engine::text::tokens::Sequence;
use crate::engine::text::weights::Weights;

/// A layer in memory.
pub(super) struct Layer {
    /// None before the first layer of ModernBERT: what was looked up has its norm already.
    attention_norm: Option<Norm>,
    /// Queries, keys and values as one matrix.
    qkv: Matrix,
    /// Norms of each head of queries, and of keys.
    head_norms: Option<[Norm; 2]>,
    /// Which rotation queries and keys have.
    rotary: Option<usize>,
    /// How far tokens see, where all layers do not see alike.
    window: Option<Near>,
    attended: Matrix,
    norm: Norm,
    /// The first product; a gate and what it gates as one matrix.
    up: Matrix,
    down: Matrix,
}

impl Layer {
    /// Layer `at` of a model of `shape`.
    pub(super) fn new(
        shape: &Shape,
        weights: &Weights<'_>,
        precision: Precision,
        at: usize,
    ) -> Result<Self, WeightsError> {
        let (hidden, heads, names) = (shape.hidden, shape.heads, &shape.family.names);
        let layer = format!("{}.{at}", names.layers);
        let place = |name: &str| format!("{layer}.{name}");
        let packed = |stacked: &Stacked| {
            let (matrix, bias) = weights.stacked(stacked, &layer)?;
            Ok::<_, WeightsError>(Matrix::pack(
                precision,
                stacked.rows(),
                stacked.depth,
                &matrix,
                &bias,
            ))
        };
        let norm = |name: &str, width| {
            let take = |name: &str, shape: &[usize]| weights.take(name, shape);
            Norm::new(shape.norms, width, &place(name), take)
        };
        let [qkv, attended, up, down] = shape.products_of_layer();
        let head_norms = match names.head_norms {
            Some([query, key]) => {
                Some([norm(query, heads.heads.width)?, norm(key, heads.heads.width)?])
            }
            None => None,
        };
        let own = shape.attention.get(at);
        let window = own.and_then(|own| own.window);
        Ok(Self {
            attention_norm: match shape.is_bare(at) {
                true => None,
                false => Some(norm(names.attention_norm, hidden)?),
            },
            qkv: packed(&qkv)?,
            head_norms,
            rotary: own.and_then(|own| own.rotary),
            window: window.map(|window| Near {
                back: Some(window),
                ahead: Some(window),
                bias: None,
            }),
            attended: packed(&attended)?,
            norm: norm(names.norm, hidden)?,
            up: packed(&up)?,
            down: packed(&down)?,
        })
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        let matrices = [&self.qkv, &self.attended, &self.up, &self.down];
        let norms = self.attention_norm.iter().chain([&self.norm]);
        matrices.iter().map(|matrix| matrix.bytes()).sum::<usize>()
            + norms.chain(self.head_norms.iter().flatten()).map(Norm::bytes).sum::<usize>()
    }

    /// Replaces the states of all tokens by those after this layer, which is number `at`.
    pub(super) fn run(
        &self,
        isa: Isa,
        shared: &Shared,
        scratch: &mut Scratch,
        texts: &mut Texts<'_, '_, '_>,
        at: usize,
    ) {
        let Shape { family, hidden, heads, intermediate, activation, .. } = shared.shape;
        let order = family.order;
        let Scratch { products, attention, states, part, qkv, mixed, wide, gated: gate, scores } =
            scratch;

        let norm = self.attention_norm.as_ref();
        let from = prepared(isa, order, norm, states, part);
        self.qkv.multiply(isa, products, from, hidden, Finish::Identity, qkv);
        self.place(isa, shared, qkv, texts);
        if let Texts::Whole(sequences) | Texts::Kept(sequences, _) = texts {
            match attention {
                Attention::Floats(own) => self.attend(isa, shared, own, qkv, mixed, sequences),
                Attention::Pairs(own) => self.attend(isa, shared, own, qkv, mixed, sequences),
            }
        }
        keep(isa, heads, texts, at, scores, qkv, mixed);
        self.attended.multiply(isa, products, mixed, heads.heads.hidden(), Finish::Identity, part);
        join(isa, order, norm, states, part);

        let from = prepared(isa, order, Some(&self.norm), states, part);
        let inner = if family.is_gated {
            self.up.multiply(isa, products, from, hidden, Finish::Identity, wide);
            gated(isa, activation.gate(), wide, intermediate, gate);
            gate
        } else {
            let finish = activation.finish().unwrap_or(Finish::Identity);
            self.up.multiply(isa, products, from, hidden, finish, wide);
            wide
        };
        self.down.multiply(isa, products, inner, intermediate, Finish::Identity, part);
        join(isa, order, Some(&self.norm), states, part);
    }

    /// Puts queries and keys in their places: norms of heads, then rotations.
    fn place(&self, isa: Isa, shared: &Shared, qkv: &mut [f32], texts: &Texts<'_, '_, '_>) {
        let rotation = self.rotary.and_then(|at| shared.rotations.get(at));
        if self.head_norms.is_none() && rotation.is_none() {
            return;
        }
        let heads = shared.shape.heads;
        let (inner, keys) = (heads.heads.hidden(), heads.keys * heads.heads.width);
        for (row, place) in qkv.chunks_exact_mut(heads.stride()).zip(texts.places()) {
            let (queries, rest) = row.split_at_mut(inner);
            let keys = rest.get_mut(..keys).unwrap_or_default();
            if let Some([of_queries, of_keys]) = &self.head_norms {
                of_queries.apply(isa, queries, &[]);
                of_keys.apply(isa, keys, &[]);
            }
            if let Some(rotation) = rotation {
                rotation.turn(place, queries);
                rotation.turn(place, keys);
            }
        }
    }

    /// Attends within each sequence.
    fn attend<W: Numbers>(
        &self,
        isa: Isa,
        shared: &Shared,
        scratch: &mut attention::Scratch<W>,
        qkv: &[f32],
        mixed: &mut Vec<f32>,
        sequences: &[&Sequence],
    ) {
        let heads = shared.shape.heads;
        let (stride, inner) = (heads.stride(), heads.heads.hidden());
        let near = self.window.as_ref().unwrap_or(&shared.near);
        let sees_all = near.back.is_none() && near.ahead.is_none() && near.bias.is_none();
        mixed.clear();
        mixed.resize(qkv.len() / stride.max(1) * inner, 0.0);
        let (mut from, mut to) = (qkv, mixed.as_mut_slice());
        for sequence in sequences {
            let length = sequence.ids.len();
            let (own, rest) = from.split_at(length * stride);
            let (out, others) = to.split_at_mut(length * inner);
            if sees_all && heads.keys == heads.heads.count {
                attend(isa, scratch, heads.heads, own, out);
            } else {
                attend_near(isa, scratch, heads, near, own, out);
            }
            (from, to) = (rest, others);
        }
    }
}

/// Keeps keys and values in cache `at` of each past; where a token comes after others, attends to
/// them and itself, which are all in there.
fn keep(
    isa: Isa,
    heads: Grouped,
    texts: &mut Texts<'_, '_, '_>,
    at: usize,
    scores: &mut Vec<f32>,
    qkv: &[f32],
    mixed: &mut Vec<f32>,
) {
    let mut rows = qkv.chunks_exact(heads.stride().max(1));
    match texts {
        Texts::Whole(_) => {}
        Texts::Kept(sequences, pasts) => {
            for (sequence, past) in sequences.iter().zip(pasts.iter_mut()) {
                let own = rows.by_ref().take(sequence.ids.len());
                let Some(cache) = past.layers.get_mut(at) else { continue };
                own.for_each(|row| cache.push(row));
            }
        }
        Texts::Next(pasts) => {
            let inner = heads.heads.hidden();
            mixed.clear();
            mixed.resize(pasts.len() * inner, 0.0);
            let out = mixed.chunks_exact_mut(inner.max(1));
            for ((past, row), out) in pasts.iter_mut().zip(rows).zip(out) {
                let Some(cache) = past.layers.get_mut(at) else { continue };
                cache.push(row);
                attend_last(isa, scores, cache, row, out);
            }
        }
    }
}

/// What goes into a part of a layer: the states, or their norm, which is put into `part`.
fn prepared<'a>(
    isa: Isa,
    order: Order,
    norm: Option<&Norm>,
    states: &'a [f32],
    part: &'a mut Vec<f32>,
) -> &'a [f32] {
    match (order, norm) {
        (Order::Before, Some(norm)) => {
            part.clear();
            part.extend_from_slice(states);
            norm.apply(isa, part, &[]);
            part
        }
        _ => states,
    }
}

/// Makes states of what came out of a part of a layer.
fn join(isa: Isa, order: Order, norm: Option<&Norm>, states: &mut Vec<f32>, part: &mut Vec<f32>) {
    match (order, norm) {
        (Order::After, Some(norm)) => {
            norm.apply(isa, part, states);
            std::mem::swap(states, part);
        }
        _ => states.iter_mut().zip(part).for_each(|(to, from)| *to += *from),
    }
}
