//! Operators that make fewer numbers of the numbers of a row.

use super::broadcast::checked_width;
use super::{Built, Site, first, wrong};
use crate::engine::onnx::error::Refused;
use crate::engine::onnx::value::{Data, Element, Kind};

/// The numbers of `data` through `f`, with 64 bits, and back to their type.
fn floats(data: &[&Data], f: impl FnOnce(&[f64]) -> Vec<f64>) -> Data {
    let Some(data) = data.first() else { return Data::F64(Vec::new()) };
    let made = f(&data.to_f64());
    match data {
        Data::F64(_) => Data::F64(made),
        Data::Int(_) => Data::Int(made.into_iter().map(|x| x as i64).collect()),
        _ => Data::F32(made.into_iter().map(|x| x as f32).collect()),
    }
}

/// ReduceSum and its kin.
pub(super) fn reduce(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.numbers(0)?;
    let op = site.node.op.strip_prefix("Reduce").unwrap_or_default().to_owned();
    if kind.element == Element::Int && !matches!(op.as_str(), "Sum" | "Max" | "Min" | "Prod") {
        return Err(wrong(0, kind.element));
    }
    let axes = match site.axes(1)?.filter(|axes| !axes.is_empty()) {
        Some(axes) => axes.iter().map(|axis| site.axis(0, *axis)).collect::<Result<Vec<_>, _>>()?,
        None if site.int("noop_with_empty_axes", 0) != 0 => return Ok(Built::same(kind)),
        None if site.has_rows() => return Err("it would reduce all rows to one".into()),
        None => (0..kind.shape.len()).collect(),
    };
    let width = kind.width();
    let kept: Vec<usize> = kind
        .shape
        .iter()
        .enumerate()
        .map(|(at, length)| if axes.contains(&at) { 1 } else { *length })
        .collect();
    let made = checked_width(&kept, site.has_rows())?;
    // Where each number of a row goes to.
    let mut places = Vec::with_capacity(width);
    for at in 0..width {
        let (mut rest, mut place, mut step) = (at, 0, 1);
        for (length, kept) in kind.shape.iter().zip(&kept).rev() {
            if *kept > 1 {
                place += rest % length * step;
            }
            step *= kept;
            rest /= (*length).max(1);
        }
        places.push(place);
    }
    let keeps = site.int("keepdims", 1) != 0;
    let shape = match keeps {
        true => kept,
        false => {
            let left = kept.iter().enumerate().filter(|(at, _)| !axes.contains(at));
            left.map(|(_, length)| *length).collect()
        }
    };
    let over = (width / made.max(1)) as f64;
    let start = match op.as_str() {
        "Prod" => 1.0,
        "Max" | "LogSumExp" => f64::NEG_INFINITY,
        "Min" => f64::INFINITY,
        _ => 0.0,
    };
    // In these forms NaN stays NaN.
    let f: fn(f64, f64) -> f64 = match op.as_str() {
        "Sum" | "Mean" | "LogSum" => |sum, x| sum + x,
        "Prod" => |product, x| product * x,
        "Max" | "LogSumExp" => |most, x| if x > most || x.is_nan() { x } else { most },
        "Min" => |least, x| if x < least || x.is_nan() { x } else { least },
        "L1" => |sum, x| sum + x.abs(),
        "L2" | "SumSquare" => |sum, x| sum + x * x,
        other => return Err(format!("Reduce{other} is not known here").into()),
    };
    let kind = Kind { shape, ..kind };
    if kind.element == Element::Int {
        return Ok(whole(kind, &op, width, made, places));
    }
    let built = Built::one(kind, move |_, data| {
        floats(data, |all| {
            let mut result = Vec::with_capacity(all.len() / width.max(1) * made);
            for row in all.chunks_exact(width.max(1)) {
                let first = result.len();
                result.resize(first + made, start);
                let own = result.get_mut(first..).unwrap_or_default();
                for (x, place) in row.iter().zip(&places) {
                    if let Some(sum) = own.get_mut(*place) {
                        *sum = f(*sum, *x);
                    }
                }
                if op == "LogSumExp" {
                    let most = own.to_vec();
                    own.fill(0.0);
                    for (x, place) in row.iter().zip(&places) {
                        if let (Some(sum), Some(most)) = (own.get_mut(*place), most.get(*place)) {
                            *sum += (x - most).exp();
                        }
                    }
                    own.iter_mut().zip(&most).for_each(|(sum, most)| *sum = most + sum.ln());
                }
                for x in own {
                    match op.as_str() {
                        "Mean" => *x /= over,
                        "L2" => *x = x.sqrt(),
                        "LogSum" => *x = x.ln(),
                        _ => {}
                    }
                }
            }
            result
        })
    });
    Ok(Built { work: width, ..built })
}

/// ReduceSum, ReduceProd, ReduceMax and ReduceMin of whole numbers, not all of which are floats. A
/// row has `width` of them, each of which goes to its place among `made`.
fn whole(kind: Kind, op: &str, width: usize, made: usize, places: Vec<usize>) -> Built {
    let (start, f): (i64, fn(i64, i64) -> i64) = match op {
        "Sum" => (0, i64::wrapping_add),
        "Prod" => (1, i64::wrapping_mul),
        "Max" => (i64::MIN, i64::max),
        _ => (i64::MAX, i64::min),
    };
    let built = Built::one(kind, move |_, data| {
        let Some(Data::Int(all)) = data.first() else { return Data::Int(Vec::new()) };
        let mut result = Vec::with_capacity(all.len() / width.max(1) * made);
        for row in all.chunks_exact(width.max(1)) {
            let first = result.len();
            result.resize(first + made, start);
            let own = result.get_mut(first..).unwrap_or_default();
            for (x, place) in row.iter().zip(&places) {
                if let Some(to) = own.get_mut(*place) {
                    *to = f(*to, *x);
                }
            }
        }
        Data::Int(result)
    });
    Built { work: width, ..built }
}

/// How many groups of how many numbers, and from one number of a group to the next.
fn groups(shape: &[usize], axis: usize) -> Result<(usize, usize), Refused> {
    let length = *shape.get(axis).ok_or("there is no such axis")?;
    if length == 0 {
        return Err("an axis has no elements".into());
    }
    Ok((length, shape.iter().skip(axis + 1).product()))
}

/// Calls `f` with the numbers of each group, and its place.
fn each_group(all: &[f64], length: usize, inner: usize, mut f: impl FnMut(&[f64], usize, usize)) {
    let mut group = Vec::with_capacity(length);
    for (block, numbers) in all.chunks_exact((length * inner).max(1)).enumerate() {
        for at in 0..inner {
            group.clear();
            group.extend(numbers.iter().skip(at).step_by(inner.max(1)));
            f(&group, block, at);
        }
    }
}

/// ArgMax and ArgMin.
pub(super) fn arg(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.numbers(0)?;
    let axis = site.axis(0, site.int("axis", 0))?;
    let (length, inner) = groups(&kind.shape, axis)?;
    let mut shape = kind.shape.clone();
    match site.int("keepdims", 1) {
        0 => drop(shape.remove(axis)),
        _ => shape.iter_mut().skip(axis).take(1).for_each(|length| *length = 1),
    }
    let (is_max, last) = (site.node.op == "ArgMax", site.int("select_last_index", 0) != 0);
    let built = Built::one(Kind::new(Element::Int, shape), move |_, data| {
        let all = data.first().map(|data| data.to_f64()).unwrap_or_default();
        let mut made = Vec::with_capacity(all.len() / length);
        each_group(&all, length, inner, |group, _, _| {
            let better = |a: f64, b: f64| if is_max { a > b } else { a < b };
            let best = group.iter().enumerate().reduce(|best, next| {
                if better(*next.1, *best.1) || last && next.1 == best.1 { next } else { best }
            });
            made.push(best.map_or(0, |(at, _)| at as i64));
        });
        Data::Int(made)
    });
    Ok(Built { work: kind.width(), ..built })
}

/// Softmax and LogSoftmax.
pub(super) fn softmax(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.numbers(0)?;
    if kind.element == Element::Int {
        return Err(wrong(0, kind.element));
    }
    let is_old = site.opset < 13;
    let axis = site.axis(0, site.int("axis", if is_old { 1 } else { -1 }))?;
    let (mut length, mut inner) = groups(&kind.shape, axis)?;
    if is_old {
        // All axes from this one on are one group.
        (length, inner) = (length * inner, 1);
    }
    if length == 0 {
        return Err("an axis has no elements".into());
    }
    let is_log = site.node.op == "LogSoftmax";
    Ok(Built::one(kind, move |_, data| {
        floats(data, |all| {
            let mut made = vec![0.0; all.len()];
            each_group(all, length, inner, |group, block, at| {
                let most = group.iter().fold(f64::NEG_INFINITY, |most, x| most.max(*x));
                let sum: f64 = group.iter().map(|x| (x - most).exp()).sum();
                let to = made.iter_mut().skip(block * length * inner + at).step_by(inner.max(1));
                for (to, x) in to.zip(group) {
                    *to = match is_log {
                        true => x - most - sum.ln(),
                        false => (x - most).exp() / sum,
                    };
                }
            });
            made
        })
    }))
}

/// Numbers of a constant that has one for each of `count`.
fn numbers(site: &Site<'_>, at: usize, count: usize) -> Result<Vec<f64>, Refused> {
    let numbers = site.constant(at)?.data.to_f64();
    if numbers.len() != count {
        return Err(format!("input {} has {} numbers of {count}", at + 1, numbers.len()).into());
    }
    Ok(numbers)
}

pub(super) fn layer_norm(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.numbers(0)?;
    let axis = site.axis(0, site.int("axis", -1))?;
    let length: usize = kind.shape.iter().skip(axis).product();
    if length == 0 || kind.element == Element::Int {
        return Err("it needs rows of floats".into());
    }
    let scale = numbers(site, 1, length)?;
    let bias = if site.has(2) { numbers(site, 2, length)? } else { vec![0.0; length] };
    let epsilon = f64::from(site.float("epsilon", 1e-5));
    Ok(Built::one(kind, move |_, data| {
        floats(data, |all| {
            let mut made = Vec::with_capacity(all.len());
            for group in all.chunks_exact(length) {
                let mean = group.iter().sum::<f64>() / length as f64;
                let squares = group.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
                let factor = 1.0 / (squares / length as f64 + epsilon).sqrt();
                let weights = scale.iter().zip(&bias);
                made.extend(
                    group.iter().zip(weights).map(|(x, (s, b))| (x - mean) * factor * s + b),
                );
            }
            made
        })
    }))
}

pub(super) fn batch_norm(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.numbers(0)?;
    let channels = *kind.shape.first().ok_or("it needs rows of several columns")?;
    if site.int("training_mode", 0) != 0 || kind.element == Element::Int || channels == 0 {
        return Err("it needs floats, and no training".into());
    }
    let [scale, bias, mean, variance] = [
        numbers(site, 1, channels)?,
        numbers(site, 2, channels)?,
        numbers(site, 3, channels)?,
        numbers(site, 4, channels)?,
    ];
    let epsilon = f64::from(site.float("epsilon", 1e-5));
    let lines: Vec<[f64; 3]> = scale
        .iter()
        .zip(&variance)
        .map(|(scale, variance)| scale / (variance + epsilon).sqrt())
        .zip(mean.iter().zip(&bias))
        .map(|(factor, (mean, bias))| [factor, *mean, *bias])
        .collect();
    let inner = kind.width() / channels;
    Ok(Built::one(kind, move |_, data| {
        floats(data, |all| {
            let line = |at: usize| lines.get(at / inner.max(1) % channels).copied();
            let at = |(at, x): (usize, &f64)| {
                let [factor, mean, bias] = line(at).unwrap_or_default();
                (x - mean) * factor + bias
            };
            all.iter().enumerate().map(at).collect()
        })
    }))
}

/// Normalizer: rows of length 1, by one of three measures.
pub(super) fn normalizer(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.numbers(0)?;
    let width = kind.width().max(1);
    let measure: fn(&[f64]) -> f64 = match site.word("norm", "MAX")? {
        "MAX" => |row| row.iter().fold(f64::NEG_INFINITY, |most, x| most.max(*x)),
        "L1" => |row| row.iter().map(|x| x.abs()).sum(),
        "L2" => |row| row.iter().map(|x| x * x).sum::<f64>().sqrt(),
        other => return Err(format!("norm `{}` is not known", super::scores::shown(other)).into()),
    };
    let kind = Kind { element: Element::F32, ..kind };
    Ok(Built::one(kind, move |_, data| {
        let Some(data) = data.first() else { return first(data) };
        let all = data.to_f64();
        let mut made = Vec::with_capacity(all.len());
        for row in all.chunks_exact(width) {
            let length = measure(row);
            // A row of zeros stays one.
            let length = if length == 0.0 { 1.0 } else { length };
            made.extend(row.iter().map(|x| (x / length) as f32));
        }
        Data::F32(made)
    }))
}
