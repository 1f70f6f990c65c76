//! What is made of the states of a text: an embedding, or a score for each label.

use nightshift_kernels::Isa;
use nightshift_kernels::matmul::{Finish, Left, Out, Right, Scratch, product};

use super::pooling::{Pooling, mean};
use super::shape::{HeadShape, Pooled, Shape};
use super::transformer::Norm;
use super::weights::Weights;
use crate::engine::tabular::WeightsError;

/// The end of a model.
pub(super) enum Head {
    /// One vector of all tokens.
    Embed(Pooling),
    /// A score for each label, from the first token or the mean of all.
    Labels(Labels),
}

/// A classifier of texts or of pairs.
pub(super) struct Labels {
    shape: HeadShape,
    dense: Right,
    norm: Option<Norm>,
    classifier: Right,
    activation: Activation,
}

/// What is done to the scores of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    /// Nothing.
    Identity,
    /// Each becomes a probability by itself.
    Sigmoid,
    /// All of them together become probabilities.
    Softmax,
}

/// Memory of a thread, used for text after text.
#[derive(Default)]
pub(super) struct HeadScratch {
    left: Left,
    product: Scratch,
    pooled: Vec<f32>,
}

impl Head {
    /// Numbers that a text gets.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Embed(pooling) => pooling.dimensions(),
            Self::Labels(labels) => labels.classifier.columns(),
        }
    }

    /// Bytes of weights in memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Embed(_) => 0,
            Self::Labels(labels) => {
                let norm = labels.norm.as_ref().map_or(0, Norm::bytes);
                labels.dense.bytes() + norm + labels.classifier.bytes()
            }
        }
    }

    /// Puts the numbers of a text into `out`, which is emptied: `states` has `hidden` numbers for
    /// each of its tokens.
    pub(super) fn of_text(
        &self,
        isa: Isa,
        scratch: &mut HeadScratch,
        hidden: usize,
        states: &[f32],
        out: &mut Vec<f32>,
    ) {
        out.clear();
        match self {
            Self::Embed(pooling) => pooling.append(hidden, states, out),
            Self::Labels(labels) => {
                let first = states.get(..hidden).unwrap_or_default();
                match labels.shape.pooled {
                    Pooled::First => labels.scores(isa, scratch, first, out),
                    Pooled::Mean => labels.scores(isa, scratch, &mean(hidden, states), out),
                }
            }
        }
    }
}

impl Labels {
    /// The classifier of `labels` labels at the end of a model of `shape`.
    pub(super) fn new(
        end: HeadShape,
        shape: &Shape,
        labels: usize,
        activation: Activation,
        weights: &Weights<'_>,
    ) -> Result<Self, WeightsError> {
        let (hidden, names) = (shape.hidden, end.names);
        let packed = |name: &str, columns, has_bias| {
            let matrix = weights.take_whole(&format!("{name}.weight"), &[columns, hidden])?;
            let bias = match has_bias {
                true => weights.take_whole(&format!("{name}.bias"), &[columns])?,
                false => Vec::new(),
            };
            Ok::<_, WeightsError>(Right::of_weights(columns, hidden, &matrix, &bias))
        };
        let take = |name: &str, shape: &[usize]| weights.take_whole(name, shape);
        let norm = names.norm.map(|name| Norm::new(shape.norms, hidden, name, take)).transpose()?;
        let dense = packed(names.dense, hidden, end.has_bias)?;
        let classifier = packed(names.out, labels, true)?;
        Ok(Self { shape: end, dense, norm, classifier, activation })
    }

    /// Puts the scores of a text into `out`: `state` is what is known of it as a whole.
    fn scores(&self, isa: Isa, scratch: &mut HeadScratch, state: &[f32], out: &mut Vec<f32>) {
        let HeadScratch { left, product: sums, pooled } = scratch;
        let mut multiply = |from: &[f32], right: &Right, finish, to: &mut Vec<f32>| {
            to.clear();
            to.resize(right.columns(), 0.0);
            left.fill(isa, 1, from.len(), 1.0, |_| from);
            let stride = right.columns();
            product(isa, sums, left, right, finish, Out { numbers: to, stride, offset: 0 });
        };
        multiply(state, &self.dense, self.shape.finish, pooled);
        if let Some(norm) = &self.norm {
            norm.apply(isa, pooled, &[]);
        }
        multiply(pooled, &self.classifier, Finish::Identity, out);
        self.activation.apply(out);
    }
}

impl Activation {
    /// In double precision: there are a few numbers a text.
    fn apply(self, scores: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Sigmoid => scores.iter_mut().for_each(|score| {
                *score = (1.0 / (1.0 + (-f64::from(*score)).exp())) as f32;
            }),
            Self::Softmax => {
                let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let exp = |score: f32| (f64::from(score) - f64::from(most)).exp();
                let sum: f64 = scores.iter().map(|score| exp(*score)).sum();
                scores.iter_mut().for_each(|score| *score = (exp(*score) / sum) as f32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Activation;

    #[test]
    fn scores_become_probabilities() {
        let mut scores = [1.0, 2.0, 3.0];
        Activation::Softmax.apply(&mut scores);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((scores[2] - 0.665_240_9).abs() < 1e-6, "{scores:?}");
        let mut scores = [1000.0, -1000.0];
        Activation::Softmax.apply(&mut scores);
        assert_eq!(scores, [1.0, 0.0]);
        let mut scores = [0.0, 1000.0, -1000.0];
        Activation::Sigmoid.apply(&mut scores);
        assert_eq!(scores, [0.5, 1.0, 0.0]);
        // A row whose scores are no numbers is rejected in the end.
        let mut scores = [f32::NAN, 1.0];
        Activation::Softmax.apply(&mut scores);
        assert!(scores.iter().any(|score| score.is_nan()));
    }
}
