//! A layer: attention, then two products, each with a norm.

use candle_core::{DType, Device, Result, Tensor};

use super::attention::Attention;
use super::norm::Norm;
use super::product::Product;
use super::texts::Texts;
use super::{BuildError, Shared};
use crate::engine::text::family::Order;
use crate::engine::text::shape::{Activation, Shape};
use crate::engine::text::weights::Weights;

/// A layer in the memory of a GPU.
pub(super) struct Layer {
    /// None before the first layer of ModernBERT: what was looked up has its norm already.
    attention_norm: Option<Norm>,
    /// Queries, keys and values as one matrix.
    qkv: Product,
    attention: Attention,
    attended: Product,
    norm: Norm,
    /// The first product; a gate and what it gates as one matrix.
    up: Product,
    down: Product,
}

impl Layer {
    /// Layer `at` of a model of `shape`, with products of `dtype`.
    pub(super) fn new(
        device: &Device,
        shape: &Shape,
        weights: &Weights<'_>,
        dtype: DType,
        at: usize,
    ) -> std::result::Result<Self, BuildError> {
        let names = &shape.family.names;
        let place = format!("{}.{at}", names.layers);
        let norm = |name: &str, width| {
            Norm::new(device, shape, width, &format!("{place}.{name}"), weights)
        };
        let [qkv, attended, up, down] = shape.products_of_layer();
        let product = |stacked| Product::new(device, weights, stacked, &place, dtype);
        let width = shape.heads.heads.width;
        let head_norms = match names.head_norms {
            Some([query, key]) => Some([norm(query, width)?, norm(key, width)?]),
            None => None,
        };
        let own = shape.attention.get(at);
        Ok(Self {
            attention_norm: match shape.is_bare(at) {
                true => None,
                false => Some(norm(names.attention_norm, shape.hidden)?),
            },
            qkv: product(&qkv)?,
            attention: Attention {
                head_norms,
                rotary: own.and_then(|own| own.rotary),
                window: own.and_then(|own| own.window),
            },
            attended: product(&attended)?,
            norm: norm(names.norm, shape.hidden)?,
            up: product(&up)?,
            down: product(&down)?,
        })
    }

    /// The states of all tokens after this layer.
    pub(super) fn run(&self, shared: &Shared, texts: &Texts, states: Tensor) -> Result<Tensor> {
        let Shape { family, intermediate, activation, .. } = &shared.shape;
        let (order, norm) = (family.order, self.attention_norm.as_ref());

        let from = prepared(shared, order, norm, &states)?;
        let seen = self.attention.of(shared, texts, &self.qkv.of(&from)?)?;
        let states = joined(order, norm, &states, self.attended.of(&seen)?)?;

        let from = prepared(shared, order, Some(&self.norm), &states)?;
        let wide = self.up.of(&from)?;
        let inner = if family.is_gated {
            let gate = activated(*activation, &wide.narrow(1, 0, *intermediate)?.contiguous()?)?;
            (gate * wide.narrow(1, *intermediate, *intermediate)?)?
        } else {
            activated(*activation, &wide)?
        };
        joined(order, Some(&self.norm), &states, self.down.of(&inner)?)
    }
}

/// What goes into a part of a layer: the states, or their norm, in the precision of products.
fn prepared(shared: &Shared, order: Order, norm: Option<&Norm>, states: &Tensor) -> Result<Tensor> {
    match (order, norm) {
        (Order::Before, Some(norm)) => norm.apply(states)?.to_dtype(shared.dtype),
        _ => states.to_dtype(shared.dtype),
    }
}

/// Makes states of what came out of a part of a layer.
fn joined(order: Order, norm: Option<&Norm>, states: &Tensor, part: Tensor) -> Result<Tensor> {
    let sum = (part.to_dtype(DType::F32)? + states)?;
    match (order, norm) {
        (Order::After, Some(norm)) => norm.apply(&sum),
        _ => Ok(sum),
    }
}

fn activated(activation: Activation, rows: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::Gelu => rows.gelu_erf(),
        Activation::GeluTanh => rows.gelu(),
        // Not candle's own, which makes 0 of NaN: a row with one is a reject.
        Activation::Relu => rows.le(0.0)?.where_cond(&rows.zeros_like()?, rows),
        Activation::Silu => rows.silu(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_activation_makes_a_number_of_what_is_none() {
        let rows = Tensor::new(&[[f32::NAN, -1.0, 0.5]], &Device::Cpu).unwrap();
        for (activation, wanted) in [
            (Activation::Gelu, [-0.158_655, 0.345_731]),
            (Activation::GeluTanh, [-0.158_808, 0.345_714]),
            (Activation::Relu, [0.0, 0.5]),
            (Activation::Silu, [-0.268_941, 0.311_230]),
        ] {
            for dtype in [DType::F32, DType::BF16] {
                let found = activated(activation, &rows.to_dtype(dtype).unwrap()).unwrap();
                let found = found.to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
                assert!(found[0][0].is_nan(), "{activation:?} {dtype:?}: {found:?}");
                let bound = if dtype == DType::F32 { 1e-5 } else { 2e-3 };
                for (found, wanted) in found[0][1..].iter().zip(wanted) {
                    assert!((found - wanted).abs() < bound, "{activation:?}: {found} for {wanted}");
                }
            }
        }
    }
}
