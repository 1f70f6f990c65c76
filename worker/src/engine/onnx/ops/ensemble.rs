//! Trees: TreeEnsembleClassifier, TreeEnsembleRegressor and TreeEnsemble.

use std::sync::Arc;

use nightshift_kernels::Isa;
use nightshift_kernels::trees::{Lanes, Number, TILE, Tile, Workspace, add_floats};

use super::scores::{Labels, Post, Sign};
use super::{Built, Missing, Site, wrong};
use crate::engine::onnx::CLASSES_MAX;
use crate::engine::onnx::compile::Order;
use crate::engine::onnx::error::Refused;
use crate::engine::onnx::value::{Data, Element, Kind};

mod five;
mod forest;
mod lists;
mod weights;

use forest::Forest;
use lists::Lists;
use weights::{Weights, add};

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
    /// For all rows alike, or row by row.
    seen: Vec<bool>,
    targets: usize,
}

impl Sums {
    /// The sums of each row.
    fn rows(&self) -> impl Iterator<Item = (&[f64], &[bool])> {
        let seen = self.seen.chunks_exact(self.targets).cycle();
        self.sums.chunks_exact(self.targets).zip(seen)
    }
}

/// A forest with what is done to the weights of its leaves.
struct Ensemble<T> {
    forest: Forest<T>,
    targets: usize,
    aggregate: Aggregate,
}

impl<T: Number> Ensemble<T> {
    /// The sums of `rows` rows of numbers in `order`. Trees are added up in their order.
    fn sums(&self, numbers: &[T], rows: usize, order: Order) -> Sums {
        let Self { forest, targets, aggregate } = self;
        let tiles = match order {
            Order::Rows => {
                let width = numbers.len().checked_div(rows).unwrap_or(0);
                Tile::of_rows(&forest.trees, numbers, width)
            }
            Order::Columns => Tile::of_columns(&forest.trees, numbers, rows),
        };
        let is_sum = matches!(aggregate, Aggregate::Sum | Aggregate::Average);
        let (mut sums, seen) = match &forest.weights {
            Weights::Floats(targets) if is_sum => self.floats(&tiles, targets),
            Weights::Floats(targets) => {
                let weight = |tree: usize, label: u32| {
                    let target = targets.get(tree).copied();
                    target.map(|target| (target, f64::from(f32::from_bits(label))))
                };
                self.each(&tiles, |tree, label| weight(tree, label).into_iter())
            }
            Weights::Even { targets, weights } => self.each(&tiles, |tree, label| {
                let weights = weights.get(label as usize..).unwrap_or_default();
                let targets = targets.get(tree).map_or(&[][..], Vec::as_slice);
                targets.iter().copied().zip(weights.iter().copied())
            }),
            Weights::Lists { starts, weights } => self.each(&tiles, |_, label| {
                let at = |place: usize| starts.get(place).map_or(0, |start| *start as usize);
                let place = label as usize;
                let own = weights.get(at(place)..at(place + 1)).unwrap_or_default();
                own.iter().copied()
            }),
        };
        if *aggregate == Aggregate::Average {
            let trees = forest.trees.len().max(1) as f64;
            sums.iter_mut().for_each(|sum| *sum /= trees);
        }
        Sums { sums, seen, targets: *targets }
    }

    /// The sums of labels that are floats, each of the target of its tree.
    fn floats(&self, tiles: &[Tile<T>], of_trees: &[u32]) -> (Vec<f64>, Vec<bool>) {
        let isa = Isa::detect();
        // Target by target, so that the sums of rows lie beside each other.
        let mut sums: Vec<Lanes<f64>> = vec![Lanes::default(); tiles.len() * self.targets];
        let mut seen = vec![false; self.targets];
        let mut workspace = Workspace::default();
        self.forest.trees.evaluate(tiles, &mut workspace, |tile, tree, labels| {
            let target = of_trees.get(tree).map_or(0, |target| *target as usize);
            let own = sums.get_mut(tile * self.targets + target);
            if let (Some(sums), Some(seen)) = (own, seen.get_mut(target)) {
                add_floats(isa, labels, &mut sums.0);
                *seen = true;
            }
        });
        let mut rows = Vec::with_capacity(self.targets * TILE * tiles.len());
        for (tile, sums) in tiles.iter().zip(sums.chunks_exact(self.targets)) {
            for row in 0..tile.len() {
                rows.extend(sums.iter().filter_map(|sums| sums.0.get(row)));
            }
        }
        (rows, seen)
    }

    /// What becomes of the weights that `weights` says a row has for a tree and a label.
    fn each<W: Iterator<Item = (u32, f64)>>(
        &self,
        tiles: &[Tile<T>],
        weights: impl Fn(usize, u32) -> W,
    ) -> (Vec<f64>, Vec<bool>) {
        let count: usize = tiles.iter().map(Tile::len).sum();
        let mut sums = vec![0.0; count * self.targets];
        let mut seen = vec![false; count * self.targets];
        let mut workspace = Workspace::default();
        self.forest.trees.evaluate(tiles, &mut workspace, |tile, tree, labels| {
            let len = tiles.get(tile).map_or(0, Tile::len);
            for (row, label) in labels.iter().enumerate().take(len) {
                let first = (tile * TILE + row) * self.targets;
                for (target, weight) in weights(tree, *label) {
                    let at = first + target as usize;
                    if let (Some(sum), Some(seen)) = (sums.get_mut(at), seen.get_mut(at)) {
                        add(sum, weight, self.aggregate, *seen);
                        *seen = true;
                    }
                }
            }
        });
        (sums, seen)
    }
}

/// An ensemble over numbers of either size.
enum Either {
    F32(Ensemble<f32>),
    F64(Ensemble<f64>),
}

impl Either {
    /// The forest of `lists` over the numbers that the node at `site` reads.
    fn of(
        site: &Site<'_>,
        lists: &Lists<'_>,
        targets: usize,
        aggregate: Aggregate,
    ) -> Result<Self, Refused> {
        let kind = site.numbers(0)?;
        let width = match kind.shape.as_slice() {
            [width] if *width > 0 => *width,
            _ => return Err("it needs rows of numbers".into()),
        };
        Ok(match kind.element {
            Element::F64 => {
                let forest = Forest::of(lists, targets, width)?;
                Self::F64(Ensemble { forest, targets, aggregate })
            }
            _ if site.has_attribute("nodes_values_as_tensor") => {
                return Err(wrong(0, kind.element));
            }
            _ => {
                let forest = Forest::of(lists, targets, width)?;
                Self::F32(Ensemble { forest, targets, aggregate })
            }
        })
    }

    fn sums(&self, data: &[&Data], rows: usize, order: Order) -> Sums {
        match (self, data.first()) {
            (Self::F32(ensemble), Some(Data::F32(numbers))) => ensemble.sums(numbers, rows, order),
            (Self::F64(ensemble), Some(Data::F64(numbers))) => ensemble.sums(numbers, rows, order),
            (Self::F32(ensemble), Some(data)) => ensemble.sums(&data.to_f32(), rows, order),
            (Self::F64(ensemble), Some(data)) => ensemble.sums(&data.to_f64(), rows, order),
            (_, None) => Sums { sums: Vec::new(), seen: Vec::new(), targets: 1 },
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

fn targets_of(site: &Site<'_>) -> Result<usize, Refused> {
    let targets = usize::try_from(site.int("n_targets", 1)).unwrap_or(0);
    match targets {
        1..=CLASSES_MAX => Ok(targets),
        _ => Err(format!("{targets} targets are not 1 to {CLASSES_MAX}").into()),
    }
}

/// TreeEnsemble of `ai.onnx.ml` 5, whose results have as many bits as its input.
pub(super) fn ensemble(site: &Site<'_>) -> Result<Built, Refused> {
    let targets = targets_of(site)?;
    let aggregate = match site.int("aggregate_function", 1) {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Min,
        3 => Aggregate::Max,
        other => return Err(format!("aggregate {other} is not known").into()),
    };
    let post = Post::numbered(site.int("post_transform", 0))?;
    let post = if targets == 1 && post != Post::Probit { Post::None } else { post };
    let element = match site.numbers(0)?.element {
        Element::Int => return Err(wrong(0, Element::Int)),
        Element::F64 if post != Post::None => {
            return Err("post_transform of 64-bit floats is not known here".into());
        }
        element => element,
    };
    let ensemble = Either::of(site, &five::lists(site)?, targets, aggregate)?;
    let (bytes, work, has_rule) = ensemble.facts();
    let score = move |rows: usize, data: &[&Data], order: Order| {
        let Sums { sums, .. } = ensemble.sums(data, rows, order);
        if element == Element::F64 {
            return vec![Data::F64(sums)];
        }
        let mut made: Vec<f32> = sums.into_iter().map(|sum| sum as f32).collect();
        made.chunks_exact_mut(targets).for_each(|scores| post.apply(scores));
        vec![Data::F32(made)]
    };
    let kinds = vec![Kind::new(element, vec![targets])];
    let missing = if has_rule { Missing::Handled } else { Missing::Spoils };
    Ok(in_both_orders(kinds, score, missing, bytes, work))
}

pub(super) fn regressor(site: &Site<'_>) -> Result<Built, Refused> {
    let targets = targets_of(site)?;
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
    let ensemble = Either::of(site, &Lists::of(site, "target")?, targets, aggregate)?;
    let (bytes, work, has_rule) = ensemble.facts();
    let score = move |rows: usize, data: &[&Data], order: Order| {
        let mut made = Vec::with_capacity(rows * targets);
        for (sums, seen) in ensemble.sums(data, rows, order).rows() {
            let first = made.len();
            let base = |at: usize| base.get(at).copied().unwrap_or(0.0);
            // What no leaf had a weight for is 0, whatever its base value.
            made.extend(sums.iter().zip(seen).enumerate().map(|(at, (sum, seen))| {
                if *seen || targets == 1 { (sum + base(at)) as f32 } else { 0.0 }
            }));
            post.apply(made.get_mut(first..).unwrap_or_default());
        }
        vec![Data::F32(made)]
    };
    let kinds = vec![Kind::new(Element::F32, vec![targets])];
    let missing = if has_rule { Missing::Handled } else { Missing::Spoils };
    Ok(in_both_orders(kinds, score, missing, bytes, work))
}

pub(super) fn classifier(site: &Site<'_>) -> Result<Built, Refused> {
    let labels = Labels::of(site, "classlabels_int64s")?;
    let classes = labels.len();
    let (base, post) = (base_values(site, classes, classes == 2)?, Post::of(site)?);
    let ensemble = Either::of(site, &Lists::of(site, "class")?, classes, Aggregate::Sum)?;
    let (bytes, work, has_rule) = ensemble.facts();
    let (is_binary, is_positive) = ensemble.weights();
    let two = Two { base: base.clone(), is_binary, is_positive, post };
    let kinds =
        vec![Kind::new(labels.element(), Vec::new()), Kind::new(Element::F32, vec![classes])];
    let score = move |rows: usize, data: &[&Data], order: Order| {
        let (mut best, mut scores) = (Vec::with_capacity(rows), Vec::with_capacity(rows * classes));
        for (sums, seen) in ensemble.sums(data, rows, order).rows() {
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
    Ok(in_both_orders(kinds, score, missing, bytes, work))
}

/// A step that takes rows as well as columns.
fn in_both_orders(
    kinds: Vec<Kind>,
    score: impl Fn(usize, &[&Data], Order) -> Vec<Data> + Send + Sync + 'static,
    missing: Missing,
    bytes: usize,
    work: usize,
) -> Built {
    let by_row = Arc::new(score);
    let by_column = Arc::clone(&by_row);
    Built {
        kinds,
        step: Box::new(move |rows, data, _| by_row(rows, data, Order::Rows)),
        by_column: Some(Box::new(move |rows, data, _| by_column(rows, data, Order::Columns))),
        missing,
        bytes,
        work,
    }
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
