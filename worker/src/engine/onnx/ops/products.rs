//! Products of matrices. Each number is one chain of multiply-adds that depends on its own row.

use nightshift_kernels::Isa;
use nightshift_kernels::matmul::{Finish, Left, Out, Right, Scratch, product};

use super::scores::{Labels, Post, Sign};
use super::{Built, Missing, Site, first, wrong};
use crate::engine::onnx::error::Refused;
use crate::engine::onnx::value::{Constant, Data, Element, Kind};
use crate::engine::onnx::{CLASSES_MAX, WIDTH_MAX};

/// A weight matrix `[columns, depth]` with a bias.
enum Weights {
    F32(Right<f32>),
    F64 { weights: Vec<f64>, bias: Vec<f64> },
}

struct Matrix {
    columns: usize,
    depth: usize,
    weights: Weights,
}

impl Matrix {
    /// Of row-major weights `[columns, depth]`.
    fn new(columns: usize, depth: usize, weights: &[f32], bias: &[f32]) -> Self {
        let weights = Weights::F32(Right::of_weights(columns, depth, weights, bias));
        Self { columns, depth, weights }
    }

    /// `x`, which has rows of `depth` numbers, times the weights.
    fn times(&self, x: &Data) -> Data {
        let rows = x.len() / self.depth.max(1);
        match &self.weights {
            Weights::F32(right) => {
                let x = x.to_f32();
                let mut made = vec![0.0; rows * self.columns];
                let (isa, mut left) = (Isa::detect(), Left::default());
                left.fill(isa, rows, self.depth, 1.0, |at| {
                    x.get(at * self.depth..(at + 1) * self.depth).unwrap_or_default()
                });
                let out = Out { numbers: &mut made, stride: self.columns, offset: 0 };
                product(isa, &mut Scratch::default(), &left, right, Finish::Identity, out);
                Data::F32(made)
            }
            Weights::F64 { weights, bias } => {
                let x = x.to_f64();
                let mut made = Vec::with_capacity(rows * self.columns);
                for row in x.chunks_exact(self.depth.max(1)) {
                    for (weights, bias) in weights.chunks_exact(self.depth.max(1)).zip(bias) {
                        let sum =
                            row.iter().zip(weights).fold(*bias, |sum, (x, w)| x.mul_add(*w, sum));
                        made.push(sum);
                    }
                }
                Data::F64(made)
            }
        }
    }

    fn bytes(&self) -> usize {
        match &self.weights {
            Weights::F32(right) => right.bytes(),
            Weights::F64 { weights, bias } => size_of_val(&**weights) + size_of_val(&**bias),
        }
    }
}

/// A constant `[depth, columns]`, or `[columns, depth]` if it lies so already, as a matrix.
fn matrix(
    constant: &Constant,
    is_transposed: bool,
    alpha: f64,
    bias: &[f64],
) -> Result<Matrix, Refused> {
    let [rows, columns] = *constant.shape.as_slice() else {
        return Err("its weights are no matrix".into());
    };
    let (depth, columns) = if is_transposed { (columns, rows) } else { (rows, columns) };
    if depth == 0 || columns == 0 || depth > WIDTH_MAX || columns > WIDTH_MAX {
        return Err(format!("its weights have a side of 0 or more than {WIDTH_MAX}").into());
    }
    let (depth_step, column_step) = if is_transposed { (1, depth) } else { (columns, 1) };
    let at = |column: usize, step: usize| column * column_step + step * depth_step;
    let places = (0..columns).flat_map(|column| (0..depth).map(move |step| at(column, step)));
    let mut spread = vec![0.0; columns];
    for (at, to) in spread.iter_mut().enumerate() {
        *to = if bias.len() == 1 { bias.first() } else { bias.get(at) }.copied().unwrap_or(0.0);
    }
    match constant.data.pick(places) {
        Data::F32(mut weights) => {
            if alpha != 1.0 {
                weights.iter_mut().for_each(|x| *x = (f64::from(*x) * alpha) as f32);
            }
            let bias: Vec<f32> = spread.iter().map(|x| *x as f32).collect();
            Ok(Matrix::new(columns, depth, &weights, &bias))
        }
        Data::F64(mut weights) => {
            weights.iter_mut().for_each(|x| *x *= alpha);
            Ok(Matrix { columns, depth, weights: Weights::F64 { weights, bias: spread } })
        }
        other => Err(wrong(1, other.element())),
    }
}

/// The step of `matrix` over the last axis of the first input.
fn multiplied(site: &Site<'_>, matrix: Matrix) -> Result<Built, Refused> {
    let mut kind = site.numbers(0)?;
    if !matches!(
        (&matrix.weights, kind.element),
        (Weights::F32(_), Element::F32) | (Weights::F64 { .. }, Element::F64)
    ) {
        return Err(wrong(0, kind.element));
    }
    let outer = kind.width() / matrix.depth.max(1);
    match kind.shape.last_mut() {
        Some(last) if *last == matrix.depth => *last = matrix.columns,
        _ => return Err(format!("its weights are for {} columns", matrix.depth).into()),
    }
    super::broadcast::checked_width(&kind.shape, site.has_rows())?;
    let (bytes, work) = (matrix.bytes(), outer * matrix.depth * matrix.columns);
    let built = Built::one(kind, move |_, data| match data.first() {
        Some(x) => matrix.times(x),
        None => first(data),
    });
    Ok(Built { bytes, work, ..built })
}

pub(super) fn matmul(site: &Site<'_>) -> Result<Built, Refused> {
    multiplied(site, matrix(site.constant(1)?, false, 1.0, &[])?)
}

pub(super) fn gemm(site: &Site<'_>) -> Result<Built, Refused> {
    if site.int("transA", 0) != 0 {
        return Err("it turns its rows into columns (transA)".into());
    }
    let beta = f64::from(site.float("beta", 1.0));
    let weights = site.constant(1)?;
    let is_transposed = site.int("transB", 0) != 0;
    let columns = weights.shape.get(usize::from(!is_transposed)).copied().unwrap_or(0);
    let bias = if site.has(2) {
        let bias = site.constant(2)?;
        let numbers = bias.data.to_f64();
        if bias.shape.iter().rev().skip(1).any(|length| *length != 1)
            || !(numbers.len() == 1 || numbers.len() == columns)
        {
            return Err("its third input is not one number for each column".into());
        }
        numbers.into_iter().map(|x| x * beta).collect()
    } else {
        Vec::new()
    };
    let matrix = matrix(weights, is_transposed, f64::from(site.float("alpha", 1.0)), &bias)?;
    multiplied(site, matrix)
}

/// The matrix of attributes `coefficients` and `intercepts`, for `targets` targets.
fn linear(site: &Site<'_>, targets: usize) -> Result<Matrix, Refused> {
    let kind = site.numbers(0)?;
    let (width, weights) = (kind.width(), site.floats("coefficients"));
    if targets == 0 || targets > CLASSES_MAX || kind.shape.len() != 1 {
        return Err(format!("it needs rows of numbers, and 1 to {CLASSES_MAX} targets").into());
    }
    if width == 0 || Some(weights.len()) != width.checked_mul(targets) {
        let found = weights.len();
        return Err(format!("{found} coefficients are not {targets} × {width}").into());
    }
    let bias = site.floats("intercepts");
    if !(bias.is_empty() || bias.len() == targets) {
        return Err(format!("{} intercepts are not {targets}", bias.len()).into());
    }
    Ok(Matrix::new(targets, width, weights, bias))
}

pub(super) fn regressor(site: &Site<'_>) -> Result<Built, Refused> {
    let targets = usize::try_from(site.int("targets", 1)).unwrap_or(0);
    let (matrix, post) = (linear(site, targets)?, Post::of(site)?);
    let (bytes, work) = (matrix.bytes(), matrix.depth * targets);
    let kind = Kind::new(Element::F32, vec![targets]);
    let built = Built::one(kind, move |_, data| {
        let Some(x) = data.first() else { return first(data) };
        let mut made = matrix.times(x).to_f32();
        made.chunks_exact_mut(targets).for_each(|scores| post.apply(scores));
        Data::F32(made)
    });
    Ok(Built { bytes, work, ..built })
}

pub(super) fn classifier(site: &Site<'_>) -> Result<Built, Refused> {
    let labels = Labels::of(site, "classlabels_ints")?;
    let targets = site.floats("intercepts").len();
    let (matrix, post) = (linear(site, targets)?, Post::of(site)?);
    if !(targets == labels.len() || targets == 1 && labels.len() == 2) {
        return Err(format!("{targets} scores are not {} classes", labels.len()).into());
    }
    let classes = labels.len();
    let kinds =
        vec![Kind::new(labels.element(), Vec::new()), Kind::new(Element::F32, vec![classes])];
    let (bytes, work) = (matrix.bytes(), matrix.depth * targets);
    let step = move |rows: usize, data: &[&Data], _: &mut super::Unknown| {
        let sums = data.first().map(|x| matrix.times(x).to_f32()).unwrap_or_default();
        let (mut best, mut scores) = (Vec::with_capacity(rows), Vec::with_capacity(rows * classes));
        for sums in sums.chunks_exact(targets) {
            if targets == 1 {
                let score = sums.first().copied().unwrap_or(0.0);
                best.push(usize::from(score > 0.0));
                scores.extend(post.both(score, Some(Sign::Positive)));
                continue;
            }
            best.push(largest(sums));
            let first = scores.len();
            scores.extend_from_slice(sums);
            post.apply(scores.get_mut(first..).unwrap_or_default());
        }
        vec![labels.named(&best), Data::F32(scores)]
    };
    Ok(Built {
        kinds,
        step: Box::new(step),
        by_column: None,
        missing: Missing::Spoils,
        bytes,
        work,
    })
}

/// The place of the first of the largest numbers.
pub(super) fn largest(numbers: &[f32]) -> usize {
    let places = numbers.iter().enumerate();
    places.reduce(|best, next| if next.1 > best.1 { next } else { best }).map_or(0, |(at, _)| at)
}
