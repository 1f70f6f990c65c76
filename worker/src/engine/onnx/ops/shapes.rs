//! Operators that put elements into other places.

use std::sync::Arc;

use super::broadcast::checked_width;
use super::{Built, Missing, Site, first};
use crate::engine::onnx::AXES_MAX;
use crate::engine::onnx::error::Refused;
use crate::engine::onnx::value::{Data, Element, Kind, Operand};

/// A step that picks, for each element of a row of the result, one of the row that is read.
fn picking(kind: Kind, from_width: usize, places: Vec<u32>) -> Built {
    Built::one(kind, move |rows, data| {
        let Some(data) = data.first() else { return Data::Int(Vec::new()) };
        data.pick(
            (0..rows)
                .flat_map(|row| places.iter().map(move |place| row * from_width + *place as usize)),
        )
    })
    .passing()
}

/// The elements of `shape` that are at `at(position)`, where positions run over `to`.
fn places(
    shape: &[usize],
    to: &[usize],
    mut at: impl FnMut(&[usize], &mut [usize]),
) -> Result<Vec<u32>, Refused> {
    let width = checked_width(to, true)?;
    let mut made = Vec::with_capacity(width);
    let (mut position, mut own) = (vec![0; to.len()], vec![0; shape.len()]);
    for _ in 0..width {
        at(&position, &mut own);
        let place = shape.iter().zip(&own).fold(0, |place, (length, at)| place * length + at);
        made.push(place as u32);
        for (at, length) in position.iter_mut().zip(to).rev() {
            *at += 1;
            if *at < *length {
                break;
            }
            *at = 0;
        }
    }
    Ok(made)
}

/// Identity and what is the same without training.
pub(super) fn identity(site: &Site<'_>) -> Result<Built, Refused> {
    if site.node.outputs.len() > 1 && site.node.outputs.get(1).is_some_and(|it| !it.is_empty()) {
        return Err("its second output is for training only".into());
    }
    Ok(Built::same(site.any_kind(0)?))
}

pub(super) fn constant(site: &Site<'_>) -> Result<Built, Refused> {
    let (shape, data) = if let Some(constant) = site.tensor("value")? {
        (constant.shape, Arc::unwrap_or_clone(constant.data))
    } else if site.has_attribute("value_float") {
        (Vec::new(), Data::F32(vec![site.float("value_float", 0.0)]))
    } else if site.has_attribute("value_int") {
        (Vec::new(), Data::Int(vec![site.int("value_int", 0)]))
    } else if site.has_attribute("value_floats") {
        let all = site.floats("value_floats");
        (vec![all.len()], Data::F32(all.to_vec()))
    } else if site.has_attribute("value_ints") {
        let all = site.ints("value_ints");
        (vec![all.len()], Data::Int(all.to_vec()))
    } else {
        return Err("it has no value that is known here".into());
    };
    Ok(Built::one(Kind::new(data.element(), shape), move |_, _| data.clone()))
}

/// ConstantOfShape, of the shape of rows or of a constant one.
pub(super) fn filled(site: &Site<'_>) -> Result<Built, Refused> {
    let shape = match site.operands.first() {
        Some(Operand::ShapeOfRows(shape)) => shape.clone(),
        _ => {
            let dims = site.constant_ints(0)?;
            if dims.len() > AXES_MAX {
                return Err(format!("it makes more than {AXES_MAX} axes").into());
            }
            let dims = dims.iter().map(|dim| usize::try_from(*dim).ok());
            dims.collect::<Option<Vec<_>>>().ok_or("a length is negative")?
        }
    };
    let width = checked_width(&shape, site.has_rows())?;
    let value = site.tensor("value")?.map_or(Data::F32(vec![0.0]), |value| (*value.data).clone());
    let kind = Kind::new(value.element(), shape);
    Ok(Built::one(kind, move |rows, _| value.pick(std::iter::repeat_n(0, rows * width))))
}

pub(super) fn reshape(site: &Site<'_>) -> Result<Built, Refused> {
    let mut kind = site.any_kind(0)?;
    if !kind.is_lying {
        site.kind(0)?;
    }
    if site.int("allowzero", 0) != 0 {
        return Err("allowzero is not possible here".into());
    }
    let wanted = site.constant_ints(1)?;
    if wanted.len() > AXES_MAX {
        return Err(format!("it makes more than {AXES_MAX} axes").into());
    }
    let width = kind.width();
    if !site.is_rows(0) {
        kind.shape = resolved(wanted, &kind.shape, width)?;
        return Ok(Built::same(kind));
    }
    // The rows may be said as "as before", or as "what is left".
    let mixes = || Refused::from("it would mix rows: its shape must begin with 0 or -1 for them");
    let (rows, rest) = wanted.split_first().ok_or_else(mixes)?;
    let own: &[usize] = if kind.is_lying { &[] } else { &kind.shape };
    let shape = match rows {
        0 if !kind.is_lying => resolved(rest, own, width)?,
        -1 => {
            let zero = |(at, dim): (usize, &i64)| match *dim {
                // As long as that axis was before.
                0 => own.get(at).map_or(-1, |length| *length as i64),
                dim => dim,
            };
            let rest: Vec<i64> = rest.iter().enumerate().map(zero).collect();
            let shape: Option<Vec<usize>> =
                rest.iter().map(|dim| usize::try_from(*dim).ok()).collect();
            let shape = shape.ok_or("two lengths are left open")?;
            if checked_width(&shape, true)? != width {
                return Err(mixes());
            }
            shape
        }
        // [1, -1] lays one element of each row along the second axis.
        1 if rest == [-1] && width == 1 => {
            let kind = Kind { shape: Vec::new(), is_lying: true, ..kind };
            return Ok(Built::same(kind));
        }
        _ => return Err(mixes()),
    };
    Ok(Built::same(Kind { shape, is_lying: false, ..kind }))
}

/// The shape that `wanted` says, for `width` elements that had the shape `own`.
fn resolved(wanted: &[i64], own: &[usize], width: usize) -> Result<Vec<usize>, Refused> {
    let mut shape = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (at, dim) in wanted.iter().enumerate() {
        shape.push(match *dim {
            0 => *own.get(at).ok_or("it keeps an axis that there is not")?,
            -1 if open.is_none() => {
                open = Some(at);
                1
            }
            dim => usize::try_from(dim).map_err(|_| "a length is negative")?,
        });
    }
    let known = checked_width(&shape, false)?;
    if let Some(open) = open.and_then(|open| shape.get_mut(open)) {
        *open = width.checked_div(known).unwrap_or(0);
    }
    match checked_width(&shape, false)? {
        made if made == width => Ok(shape),
        made => Err(format!("it makes {made} elements of {width}").into()),
    }
}

pub(super) fn flatten(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.kind(0)?;
    if !site.is_rows(0) || site.int("axis", 1) != 1 {
        return Err("it is possible for rows and axis 1 only".into());
    }
    let shape = vec![kind.width()];
    Ok(Built::same(Kind { shape, ..kind }))
}

pub(super) fn squeeze(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.kind(0)?;
    let axes = match site.axes(1)? {
        Some(axes) => axes.iter().map(|axis| site.axis(0, *axis)).collect::<Result<Vec<_>, _>>()?,
        None => (0..kind.shape.len()).filter(|at| kind.shape.get(*at) == Some(&1)).collect(),
    };
    if axes.iter().any(|axis| kind.shape.get(*axis) != Some(&1)) {
        return Err("it removes an axis that has more than one element".into());
    }
    let left = kind.shape.iter().enumerate().filter(|(at, _)| !axes.contains(at));
    let shape: Vec<usize> = left.map(|(_, length)| *length).collect();
    Ok(Built::same(Kind { shape, ..kind }))
}

pub(super) fn unsqueeze(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.kind(0)?;
    let axes = site.axes(1)?.ok_or("it names no axes")?;
    let rank = kind.shape.len() + axes.len();
    if rank > AXES_MAX {
        return Err(format!("it makes more than {AXES_MAX} axes").into());
    }
    let axes = axes.iter().map(|axis| site.axis_of(rank, site.is_rows(0), *axis));
    let axes = axes.collect::<Result<Vec<_>, _>>()?;
    let mut rest = kind.shape.iter();
    let shape: Option<Vec<usize>> = (0..rank)
        .map(|at| if axes.contains(&at) { Some(1) } else { rest.next().copied() })
        .collect();
    let shape = shape.ok_or("it names an axis twice")?;
    Ok(Built::same(Kind { shape, ..kind }))
}

pub(super) fn transpose(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.any_kind(0)?;
    if kind.is_lying {
        // [1, rows] becomes [rows, 1].
        return Ok(Built::same(Kind { shape: vec![1], is_lying: false, ..kind }));
    }
    site.kind(0)?;
    let base = usize::from(site.is_rows(0));
    let rank = kind.shape.len() + base;
    let order: Vec<i64> = match site.ints("perm") {
        [] => (0..rank as i64).rev().collect(),
        order => order.to_vec(),
    };
    let order: Option<Vec<usize>> = order.iter().map(|at| usize::try_from(*at).ok()).collect();
    let order = order.filter(|order| {
        let mut sorted = order.clone();
        sorted.sort_unstable();
        sorted.iter().copied().eq(0..rank)
    });
    let order = order.ok_or("its order is not one of its axes")?;
    if base == 1 && order.first() != Some(&0) {
        return Err("it would move the rows, which must stay the first axis".into());
    }
    let order: Vec<usize> = order.iter().skip(base).map(|at| at - base).collect();
    let to: Vec<usize> = order.iter().filter_map(|at| kind.shape.get(*at).copied()).collect();
    let places = places(&kind.shape, &to, |position, own| {
        for (from, at) in position.iter().zip(&order) {
            if let Some(own) = own.get_mut(*at) {
                *own = *from;
            }
        }
    })?;
    let width = kind.width();
    Ok(picking(Kind { shape: to, ..kind }, width, places))
}

pub(super) fn concat(site: &Site<'_>) -> Result<Built, Refused> {
    let count = site.operands.len();
    let kinds = (0..count).map(|at| site.kind(at)).collect::<Result<Vec<_>, _>>()?;
    let first = kinds.first().ok_or("it reads nothing")?;
    if site.has_rows() && (0..count).any(|at| !site.is_rows(at)) {
        return Err("it joins values of rows with what is the same for all rows".into());
    }
    if kinds.iter().any(|kind| kind.element != first.element) {
        return Err("its inputs are of several types".into());
    }
    let axis = match site.node.op {
        "FeatureVectorizer" => 0,
        _ => site.axis(0, site.int("axis", 1))?,
    };
    let mut shape = first.shape.clone();
    let mut parts = Vec::with_capacity(count);
    for kind in &kinds {
        let differs = |(at, (a, b)): (usize, (&usize, &usize))| at != axis && a != b;
        if kind.shape.len() != shape.len() || kind.shape.iter().zip(&shape).enumerate().any(differs)
        {
            return Err("its inputs do not fit together".into());
        }
        parts.push(kind.shape.iter().skip(axis).product::<usize>());
    }
    let length = kinds.iter().filter_map(|kind| kind.shape.get(axis)).sum();
    *shape.get_mut(axis).ok_or("there is no such axis")? = length;
    let outer: usize = shape.iter().take(axis).product();
    let width = checked_width(&shape, site.has_rows())?;
    let is_floats = site.node.op == "FeatureVectorizer";
    let element = if is_floats { Element::F32 } else { first.element };
    Ok(Built::one(Kind::new(element, shape), move |rows, data| {
        let mut all = Data::with_room(element, rows * width);
        let floats: Vec<Data>;
        let data: Vec<&Data> = if is_floats && data.iter().any(|it| it.element() != element) {
            floats = data.iter().map(|data| Data::F32(data.to_f32())).collect();
            floats.iter().collect()
        } else {
            data.to_vec()
        };
        for block in 0..rows * outer {
            for (data, part) in data.iter().zip(&parts) {
                all.append(data, block * part, *part);
            }
        }
        all
    })
    .passing())
}

pub(super) fn slice(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.kind(0)?;
    let (starts, ends, axes, steps) = if site.opset < 10 {
        let (starts, ends) = (site.ints("starts").to_vec(), site.ints("ends").to_vec());
        (starts, ends, site.axes(usize::MAX)?, None)
    } else {
        let optional = |at| site.has(at).then(|| site.constant_ints(at).map(<[i64]>::to_vec));
        let (starts, ends) = (site.constant_ints(1)?.to_vec(), site.constant_ints(2)?.to_vec());
        (starts, ends, optional(3).transpose()?, optional(4).transpose()?)
    };
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("its bounds do not fit together".into());
    }
    let mut bounds: Vec<(i64, i64)> = vec![(0, 1); kind.shape.len()];
    let mut to = kind.shape.clone();
    for (((start, end), axis), step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let axis = site.axis(0, *axis)?;
        let length = *kind.shape.get(axis).ok_or("there is no such axis")? as i64;
        if *step == 0 {
            return Err("a step is 0".into());
        }
        let place = |at: i64, least: i64, most: i64| {
            let at = if at < 0 { at.saturating_add(length) } else { at };
            at.clamp(least, most)
        };
        let (start, end) = match *step > 0 {
            true => (place(*start, 0, length), place(*end, 0, length)),
            false => (place(*start, 0, length - 1), place(*end, -1, length - 1)),
        };
        let span = if *step > 0 { end - start } else { start - end };
        let count = if span <= 0 { 0 } else { (span - 1) / step.saturating_abs() + 1 };
        if let (Some(to), Some(bound)) = (to.get_mut(axis), bounds.get_mut(axis)) {
            (*to, *bound) = (usize::try_from(count).unwrap_or(0), (start, *step));
        }
    }
    let places = places(&kind.shape, &to, |position, own| {
        for ((own, at), (start, step)) in own.iter_mut().zip(position).zip(&bounds) {
            *own = usize::try_from(start + *at as i64 * step).unwrap_or(0);
        }
    })?;
    let width = kind.width();
    Ok(picking(Kind { shape: to, ..kind }, width, places))
}

/// Gather of constant places.
pub(super) fn gather(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.kind(0)?;
    let axis = site.axis(0, site.int("axis", 0))?;
    let indices = site.constant(1)?;
    gathered(kind, axis, &indices.shape, site.constant_ints(1)?)
}

fn gathered(kind: Kind, axis: usize, shape: &[usize], indices: &[i64]) -> Result<Built, Refused> {
    let length = *kind.shape.get(axis).ok_or("there is no such axis")?;
    let place = |at: &i64| {
        let at = if *at < 0 { at.saturating_add(length as i64) } else { *at };
        usize::try_from(at).ok().filter(|at| *at < length)
    };
    let indices: Option<Vec<usize>> = indices.iter().map(place).collect();
    let indices = indices.ok_or("it reads beyond the end of an axis")?;
    let to: Vec<usize> = kind
        .shape
        .iter()
        .take(axis)
        .chain(shape)
        .chain(kind.shape.iter().skip(axis + 1))
        .copied()
        .collect();
    if to.len() > AXES_MAX {
        return Err(format!("it makes more than {AXES_MAX} axes").into());
    }
    let places = places(&kind.shape, &to, |position, own| {
        let (before, rest) = position.split_at(axis.min(position.len()));
        let (at, after) = rest.split_at(shape.len().min(rest.len()));
        let at = at.iter().zip(shape).fold(0, |place, (at, length)| place * length + at);
        let at = indices.get(at).copied().unwrap_or(0);
        let from = before.iter().copied().chain([at]).chain(after.iter().copied());
        own.iter_mut().zip(from).for_each(|(own, from)| *own = from);
    })?;
    let width = kind.width();
    Ok(picking(Kind { shape: to, ..kind }, width, places))
}

/// ArrayFeatureExtractor: constant places of each row, or the elements of a constant at places
/// that each row names.
pub(super) fn extract(site: &Site<'_>) -> Result<Built, Refused> {
    if !site.is_rows(1) {
        let kind = site.kind(0)?;
        let last = kind.shape.len().checked_sub(1);
        let indices = site.constant_ints(1)?;
        let Some(last) = last else {
            // A row of one element has no axis of its own.
            return Err("it reads a column of an input that has none".into());
        };
        return gathered(kind, last, &[indices.len()], indices);
    }
    let places = site.kind(1)?;
    if places.element != Element::Int || places.width() != 1 {
        return Err("it takes one place of each row only".into());
    }
    let (shape, data) = (&site.constant(0)?.shape, Arc::clone(&site.constant(0)?.data));
    let is_list = shape.iter().rev().skip(1).all(|length| *length == 1);
    if !is_list || data.len() == 0 {
        return Err("it takes places of a list only".into());
    }
    let kind = Kind { is_lying: true, ..Kind::new(data.element(), Vec::new()) };
    let last = data.len() as i64 - 1;
    let mut built = Built::one(kind, move |_, places| match places.get(1) {
        Some(Data::Int(places)) => {
            data.pick(places.iter().map(|at| usize::try_from((*at).clamp(0, last)).unwrap_or(0)))
        }
        _ => first(places),
    });
    built.missing = Missing::Spoils;
    Ok(built)
}
