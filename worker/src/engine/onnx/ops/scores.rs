//! From sums to scores and labels, as classifiers of ai.onnx.ml do it.

use std::sync::Arc;

use super::Site;
use super::arithmetic::sigmoid;
use crate::engine::onnx::CLASSES_MAX;
use crate::engine::onnx::error::Refused;
use crate::engine::onnx::value::{Data, Element};

/// `post_transform`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Post {
    None,
    Softmax,
    Logistic,
    SoftmaxZero,
    Probit,
}

/// The signs of the weights of which one sum is made for two classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// None is negative: the sum is a probability.
    Positive,
    /// Some are negative: the sum is to be compared with 0.
    Mixed,
}

impl Post {
    pub(super) fn of(site: &Site<'_>) -> Result<Self, Refused> {
        match site.word("post_transform", "NONE")? {
            "NONE" => Ok(Self::None),
            "SOFTMAX" => Ok(Self::Softmax),
            "LOGISTIC" => Ok(Self::Logistic),
            "SOFTMAX_ZERO" => Ok(Self::SoftmaxZero),
            "PROBIT" => Ok(Self::Probit),
            other => Err(format!("post_transform `{}` is not known", shown(other)).into()),
        }
    }

    /// The same as a number, as TreeEnsemble has it.
    pub(super) fn numbered(number: i64) -> Result<Self, Refused> {
        match number {
            0 => Ok(Self::None),
            1 => Ok(Self::Softmax),
            2 => Ok(Self::Logistic),
            3 => Ok(Self::SoftmaxZero),
            4 => Ok(Self::Probit),
            other => Err(format!("post_transform {other} is not known").into()),
        }
    }

    /// Makes scores of the sums of a row.
    pub(super) fn apply(self, scores: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Logistic => scores.iter_mut().for_each(|x| *x = sigmoid(f64::from(*x)) as f32),
            Self::Probit => scores.iter_mut().for_each(|x| *x = probit(*x)),
            Self::Softmax => softmax(scores, |_| true),
            Self::SoftmaxZero => softmax(scores, |x| x.abs() > 1e-7),
        }
    }

    /// The scores of both classes where only one was summed up, of weights with such signs.
    pub(super) fn both(self, score: f32, sign: Option<Sign>) -> [f32; 2] {
        let logistic = |x: f32| sigmoid(f64::from(x)) as f32;
        match (self, sign) {
            (Self::Probit, _) => [probit(score), 0.0],
            (Self::Logistic, Some(_)) => [logistic(-score), logistic(score)],
            (_, Some(Sign::Positive)) => [1.0 - score, score],
            (_, Some(Sign::Mixed)) => [-score, score],
            (_, None) => [score, 0.0],
        }
    }
}

/// Softmax over those numbers that `counts`; the others become 0 times something small.
fn softmax(scores: &mut [f32], counts: impl Fn(f32) -> bool) {
    let most = scores.iter().fold(f32::NEG_INFINITY, |most, x| most.max(*x));
    let mut sum = 0.0;
    let mut parts = Vec::with_capacity(scores.len());
    for score in scores.iter() {
        let part = match counts(*score) {
            true => (f64::from(*score) - f64::from(most)).exp(),
            false => 0.0,
        };
        sum += part;
        parts.push(part);
    }
    // NaN among the numbers is NaN in all of them.
    if scores.iter().any(|x| x.is_nan()) {
        sum = f64::NAN;
    }
    scores.iter_mut().zip(parts).for_each(|(to, part)| *to = (part / sum) as f32);
}

/// The inverse of the normal distribution, in the approximation of Winitzki (2008) with the
/// constant 0.147 that onnxruntime uses.
fn probit(score: f32) -> f32 {
    let x = 2.0 * score - 1.0;
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let half = 2.0 / (std::f32::consts::PI * 0.147) + 0.5 * log;
    let root = ((half * half - log / 0.147).sqrt() - half).sqrt();
    std::f32::consts::SQRT_2 * if x < 0.0 { -root } else { root }
}

/// Names of classes.
#[derive(Debug)]
pub(super) enum Labels {
    Ints(Vec<i64>),
    Texts(Vec<Arc<str>>),
}

impl Labels {
    /// The labels in attributes `ints` or `classlabels_strings`.
    pub(super) fn of(site: &Site<'_>, ints: &str) -> Result<Self, Refused> {
        let labels = match (site.ints(ints), site.texts("classlabels_strings")) {
            (ints, []) => Self::Ints(ints.to_vec()),
            ([], texts) => Self::Texts(names(texts)?),
            _ => return Err("it has labels of two types".into()),
        };
        match labels.len() {
            2..=CLASSES_MAX => Ok(labels),
            found => Err(format!("{found} classes are not 2 to {CLASSES_MAX}").into()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Ints(all) => all.len(),
            Self::Texts(all) => all.len(),
        }
    }

    pub(super) fn element(&self) -> Element {
        match self {
            Self::Ints(_) => Element::Int,
            Self::Texts(_) => Element::Text,
        }
    }

    /// The labels at `places`.
    pub(super) fn named(&self, places: &[usize]) -> Data {
        match self {
            Self::Ints(all) => {
                Data::Int(places.iter().map(|at| all.get(*at).copied().unwrap_or(0)).collect())
            }
            Self::Texts(all) => Data::Text(
                places
                    .iter()
                    .map(|at| all.get(*at).cloned().unwrap_or_else(|| "".into()))
                    .collect(),
            ),
        }
    }
}

/// Texts of an attribute.
pub(super) fn names(texts: &[&[u8]]) -> Result<Vec<Arc<str>>, Refused> {
    let text = |bytes: &&[u8]| std::str::from_utf8(bytes).ok().map(Arc::from);
    texts.iter().map(text).collect::<Option<_>>().ok_or_else(|| "a label is no text".into())
}

/// As much of a word as a message shows.
pub(super) fn shown(word: &str) -> String {
    nightshift_core::model::onnx::shown(word)
}
