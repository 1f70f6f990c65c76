//! Trees: TreeEnsembleClassifier and TreeEnsembleRegressor.

use nightshift_kernels::trees::Number;

use super::scores::{Labels, Post, Sign};
use super::{Built, Missing, Site, wrong};
use crate::engine::onnx::CLASSES_MAX;
use crate::engine::onnx::error::Refused;
use crate::engine::onnx::value::{Data, Element, Kind};

mod forest;

use forest::Forest;

/// How the weights of the leaves that a row reaches become one sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

/// The sums of rows: one for each target, and whether any leaf had a weight for it.
struct Sums {
    sums: Vec<f64>,
    seen: Vec<bool>,
}

/// A forest with what is done to the weights of its leaves.
struct Ensemble<T> {
    forest: Forest<T>,
    targets: usize,
    aggregate: Aggregate,
}

impl<T: Number> Ensemble<T> {
    /// The sums of rows of `width` numbers. Trees are added up in their order.
    fn sums(&self, rows: &[T], width: usize) -> Sums {
        let Self { forest, targets, aggregate } = self;
        let count = rows.len() / width.max(1);
        let mut sums = Sums { sums: vec![0.0; count * targets], seen: Vec::new() };
        let is_sum = matches!(aggregate, Aggregate::Sum | Aggregate::Average);
        if let (Some(values), 1, true) = (&forest.single, *targets, is_sum) {
            for tree in 0..forest.trees.len() {
                forest.trees.descend(tree, rows, width, |row, leaf| {
                    if let (Some(sum), Some(value)) = (sums.sums.get_mut(row), values.get(leaf)) {
                        *sum += value;
                    }
                });
            }
            sums.seen = vec![!forest.trees.is_empty(); count];
        } else {
            sums.seen = vec![false; count * targets];
            for tree in 0..forest.trees.len() {
                forest.trees.descend(tree, rows, width, |row, leaf| {
                    for (target, weight) in forest.weights(leaf) {
                        let at = row * targets + *target as usize;
                        if let (Some(sum), Some(seen)) =
                            (sums.sums.get_mut(at), sums.seen.get_mut(at))
                        {
                            *sum = match aggregate {
                                Aggregate::Min if *seen => sum.min(*weight),
                                Aggregate::Max if *seen => sum.max(*weight),
                                Aggregate::Min | Aggregate::Max => *weight,
                                _ => *sum + weight,
                            };
                            *seen = true;
                        }
                    }
                });
            }
        }
        if *aggregate == Aggregate::Average {
            let trees = forest.trees.len().max(1) as f64;
            sums.sums.iter_mut().for_each(|sum| *sum /= trees);
        }
        sums
    }
}

/// An ensemble over numbers of either size.
enum Either {
    F32(Ensemble<f32>),
    F64(Ensemble<f64>),
}

impl Either {
    fn of(
        site: &Site<'_>,
        what: &str,
        targets: usize,
        aggregate: Aggregate,
    ) -> Result<(Self, usize), Refused> {
        let kind = site.numbers(0)?;
        let [width] = *kind.shape.as_slice() else {
            return Err("it needs rows of numbers".into());
        };
        if width == 0 {
            return Err("it needs rows of numbers".into());
        }
        let made = match kind.element {
            Element::F64 => Self::F64(Ensemble {
                forest: Forest::of(site, what, targets, width)?,
                targets,
                aggregate,
            }),
            _ if site.has_attribute("nodes_values_as_tensor") => {
                return Err(wrong(0, kind.element));
            }
            _ => Self::F32(Ensemble {
                forest: Forest::of(site, what, targets, width)?,
                targets,
                aggregate,
            }),
        };
        Ok((made, width))
    }

    fn sums(&self, data: &[&Data], width: usize) -> Sums {
        match (self, data.first()) {
            (Self::F32(ensemble), Some(Data::F32(rows))) => ensemble.sums(rows, width),
            (Self::F64(ensemble), Some(Data::F64(rows))) => ensemble.sums(rows, width),
            (Self::F32(ensemble), Some(data)) => ensemble.sums(&data.to_f32(), width),
            (Self::F64(ensemble), Some(data)) => ensemble.sums(&data.to_f64(), width),
            (_, None) => Sums { sums: Vec::new(), seen: Vec::new() },
        }
    }

    /// Bytes, steps of a row, and whether any node says where a missing value goes.
    fn facts(&self) -> (usize, usize, bool) {
        match self {
            Self::F32(Ensemble { forest, .. }) => {
                (forest.bytes(), forest.work, forest.has_missing_rule)
            }
            Self::F64(Ensemble { forest, .. }) => {
                (forest.bytes(), forest.work, forest.has_missing_rule)
            }
        }
    }

    /// Whether leaves have weights of exactly one target, and whether none of them is negative.
    fn weights(&self) -> (bool, bool) {
        match self {
            Self::F32(ensemble) => (ensemble.forest.has_one_target, ensemble.forest.is_positive),
            Self::F64(ensemble) => (ensemble.forest.has_one_target, ensemble.forest.is_positive),
        }
    }
}

/// The base values: none, or one for each of `targets`, or where `or_one` a single one.
fn base_values(site: &Site<'_>, targets: usize, or_one: bool) -> Result<Vec<f64>, Refused> {
    let base: Vec<f64> = match site.tensor("base_values_as_tensor")? {
        Some(tensor) => tensor.data.to_f64(),
        None => site.floats("base_values").iter().copied().map(f64::from).collect(),
    };
    match base.len() {
        0 => Ok(base),
        len if len == targets || or_one && len == 1 => Ok(base),
        len => Err(format!("it has {len} base values for {targets} targets").into()),
    }
}

pub(super) fn regressor(site: &Site<'_>) -> Result<Built, Refused> {
    let targets = usize::try_from(site.int("n_targets", 1)).unwrap_or(0);
    if !(1..=CLASSES_MAX).contains(&targets) {
        return Err(format!("{targets} targets are not 1 to {CLASSES_MAX}").into());
    }
    let aggregate = match site.word("aggregate_function", "SUM")? {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        other => {
            return Err(format!("aggregate `{}` is not known", super::scores::shown(other)).into());
        }
    };
    let base = base_values(site, targets, false)?;
    let post = Post::of(site)?;
    // Of a single target, other scores would all be 1 or the same.
    let post = if targets == 1 && post != Post::Probit { Post::None } else { post };
    let (ensemble, width) = Either::of(site, "target", targets, aggregate)?;
    let (bytes, work, has_rule) = ensemble.facts();
    let built = Built::one(Kind::new(Element::F32, vec![targets]), move |_, data| {
        let mut made = Vec::new();
        let Sums { sums, seen } = ensemble.sums(data, width);
        for (sums, seen) in sums.chunks_exact(targets).zip(seen.chunks_exact(targets)) {
            let first = made.len();
            let base = |at: usize| base.get(at).copied().unwrap_or(0.0);
            // What no leaf had a weight for is 0, whatever its base value.
            made.extend(sums.iter().zip(seen).enumerate().map(|(at, (sum, seen))| {
                if *seen || targets == 1 { (sum + base(at)) as f32 } else { 0.0 }
            }));
            post.apply(made.get_mut(first..).unwrap_or_default());
        }
        Data::F32(made)
    });
    let missing = if has_rule { Missing::Handled } else { Missing::Spoils };
    Ok(Built { missing, bytes, work, ..built })
}

pub(super) fn classifier(site: &Site<'_>) -> Result<Built, Refused> {
    let labels = Labels::of(site, "classlabels_int64s")?;
    let classes = labels.len();
    let (base, post) = (base_values(site, classes, classes == 2)?, Post::of(site)?);
    let (ensemble, width) = Either::of(site, "class", classes, Aggregate::Sum)?;
    let (bytes, work, has_rule) = ensemble.facts();
    let (is_binary, is_positive) = ensemble.weights();
    let two = Two { base: base.clone(), is_binary, is_positive, post };
    let kinds =
        vec![Kind::new(labels.element(), Vec::new()), Kind::new(Element::F32, vec![classes])];
    let step = move |rows: usize, data: &[&Data], _: &mut super::Unknown| {
        let Sums { sums, seen } = ensemble.sums(data, width);
        let (mut best, mut scores) = (Vec::with_capacity(rows), Vec::with_capacity(rows * classes));
        for (sums, seen) in sums.chunks_exact(classes).zip(seen.chunks_exact(classes)) {
            if let ([first, second], [has_first, has_second]) = (sums, seen) {
                let (label, both) = two.scores((*first, *has_first), (*second, *has_second));
                best.push(label);
                scores.extend(both);
                continue;
            }
            let first = scores.len();
            let mut place: Option<(usize, f32)> = None;
            for (at, (sum, seen)) in sums.iter().zip(seen).enumerate() {
                let score = (sum + base.get(at).copied().unwrap_or(0.0)) as f32;
                let counts = *seen || !base.is_empty();
                if counts && place.is_none_or(|(_, most)| score > most) {
                    place = Some((at, score));
                }
                scores.push(score);
            }
            best.push(place.map_or(0, |(at, _)| at));
            post.apply(scores.get_mut(first..).unwrap_or_default());
        }
        vec![labels.named(&best), Data::F32(scores)]
    };
    let missing = if has_rule { Missing::Handled } else { Missing::Spoils };
    Ok(Built { kinds, step: Box::new(step), missing, bytes, work })
}

/// Scores of two classes, of which often only one has weights. ONNX leaves much of this open; it
/// is done as onnxruntime does it, which is what exporters test against.
struct Two {
    base: Vec<f64>,
    /// Whether leaves have weights of one class only.
    is_binary: bool,
    /// Whether no weight is negative.
    is_positive: bool,
    post: Post,
}

impl Two {
    /// The class, and the scores of both. A sum comes with whether any leaf had a weight for it.
    fn scores(&self, first: (f64, bool), second: (f64, bool)) -> (usize, [f32; 2]) {
        let ((mut first, has_first), (mut second, has_second)) = (first, second);
        let mut has_both = true;
        match self.base.as_slice() {
            [_, base] if has_second => {
                second = base + first;
                first = -second;
            }
            [of_first, of_second] => {
                first += of_first;
                second += of_second;
            }
            [base] => {
                first += base;
                has_both = has_second;
            }
            _ => has_both = has_second,
        }
        let weight = match (has_second, has_first) {
            (true, _) => second,
            (false, true) => first,
            (false, false) => 0.0,
        };
        let (class, sign) = match (self.is_binary, self.is_positive) {
            (true, true) => (usize::from(weight > 0.5), Some(Sign::Positive)),
            (true, false) => (usize::from(weight > 0.0), Some(Sign::Mixed)),
            (false, _) => {
                (usize::from(weight > 0.0), Some(Sign::Mixed).filter(|_| self.base.is_empty()))
            }
        };
        if !has_both {
            return (class, self.post.both(first as f32, sign));
        }
        // What no leaf had a weight for is 0, whatever its base value.
        let shown = |sum: f64, has: bool| if has { sum as f32 } else { 0.0 };
        let mut scores = [shown(first, has_first), shown(second, has_second)];
        self.post.apply(&mut scores);
        (class, scores)
    }
}
