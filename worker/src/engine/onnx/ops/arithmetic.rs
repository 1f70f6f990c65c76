//! Operators that compute each element by itself.
//!
//! Floats of 32 bits are computed with 64 and rounded once: sums, products, quotients and roots
//! thereby have the bits that 32-bit arithmetic gives them.

use std::sync::Arc;

use nightshift_kernels::math::erf;
use nightshift_kernels::simd::{Kernel, Portable, Simd};

use super::broadcast::{Broadcast, is_constant};
use super::{Built, Site, first, wrong};
use crate::engine::onnx::error::Refused;
use crate::engine::onnx::value::{Data, Element, Kind, Operand, range};

/// A function of one number: of floats, and of whole numbers, which are not all floats.
fn unary(
    site: &Site<'_>,
    f: impl Fn(f64) -> f64 + Send + Sync + 'static,
    whole: impl Fn(i64) -> i64 + Send + Sync + 'static,
) -> Result<Built, Refused> {
    let kind = site.numbers(0)?;
    Ok(Built::one(kind, move |_, data| match first(data) {
        Data::F32(mut all) => {
            all.iter_mut().for_each(|x| *x = f(f64::from(*x)) as f32);
            Data::F32(all)
        }
        Data::F64(mut all) => {
            all.iter_mut().for_each(|x| *x = f(*x));
            Data::F64(all)
        }
        Data::Int(mut all) => {
            all.iter_mut().for_each(|x| *x = whole(*x));
            Data::Int(all)
        }
        other => other,
    }))
}

/// A function of one float.
fn float(
    site: &Site<'_>,
    f: impl Fn(f64) -> f64 + Send + Sync + 'static,
) -> Result<Built, Refused> {
    match site.numbers(0)?.element {
        Element::Int => Err(wrong(0, Element::Int)),
        _ => unary(site, f, |x| x),
    }
}

pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// One function for the operators that need no more than their name.
pub(super) fn function(site: &Site<'_>) -> Result<Built, Refused> {
    match site.node.op {
        "Abs" => unary(site, f64::abs, i64::wrapping_abs),
        "Neg" => unary(site, |x| -x, i64::wrapping_neg),
        "Sign" => {
            let sign = |x: f64| if x == 0.0 || x.is_nan() { x } else { x.signum() };
            unary(site, sign, i64::signum)
        }
        // In this order NaN stays NaN.
        "Relu" => unary(site, |x| if x < 0.0 { 0.0 } else { x }, |x| x.max(0)),
        "Ceil" => float(site, f64::ceil),
        "Floor" => float(site, f64::floor),
        "Round" => float(site, f64::round_ties_even),
        "Reciprocal" => float(site, |x| 1.0 / x),
        "Sqrt" => float(site, f64::sqrt),
        "Exp" => float(site, f64::exp),
        "Log" => float(site, f64::ln),
        "Sigmoid" => float(site, sigmoid),
        "Tanh" => float(site, f64::tanh),
        "Softplus" => float(site, |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
        "Softsign" => float(site, |x| x / (1.0 + x.abs())),
        "Erf" => float(site, |x| f64::from(erf_of(x as f32))),
        op => Err(format!("{op} is not a function here").into()),
    }
}

/// The error function; with 64 bits it has the accuracy of 32.
fn erf_of(x: f32) -> f32 {
    struct Erf(f32);
    impl Kernel for Erf {
        type Output = f32;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> f32 {
            let mut lanes = [self.0; 16];
            let y = erf(simd, simd.load(&lanes, 0));
            simd.store(&mut lanes, 0, y);
            lanes[0]
        }
    }
    if x.is_nan() { x } else { Erf(x).run(Portable) }
}

/// LeakyRelu, Elu, Selu, Celu, HardSigmoid, ThresholdedRelu, Gelu.
pub(super) fn activation(site: &Site<'_>) -> Result<Built, Refused> {
    let alpha = |otherwise| f64::from(site.float("alpha", otherwise));
    match site.node.op {
        "LeakyRelu" => {
            let alpha = alpha(0.01);
            float(site, move |x| if x < 0.0 { alpha * x } else { x })
        }
        "Elu" => {
            let alpha = alpha(1.0);
            float(site, move |x| if x < 0.0 { alpha * x.exp_m1() } else { x })
        }
        "Celu" => {
            let alpha = alpha(1.0);
            float(site, move |x| if x < 0.0 { alpha * (x / alpha).exp_m1() } else { x })
        }
        "Selu" => {
            let (alpha, gamma) = (alpha(1.673_263_2), f64::from(site.float("gamma", 1.050_701)));
            float(site, move |x| gamma * if x < 0.0 { alpha * x.exp_m1() } else { x })
        }
        "HardSigmoid" => {
            let (alpha, beta) = (alpha(0.2), f64::from(site.float("beta", 0.5)));
            float(site, move |x| (alpha * x + beta).clamp(0.0, 1.0))
        }
        _ => match site.word("approximate", "none")? {
            "none" => float(site, |x| {
                let inner = (x as f32) * std::f32::consts::FRAC_1_SQRT_2;
                0.5 * x * (1.0 + f64::from(erf_of(inner)))
            }),
            "tanh" => float(site, |x| {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }),
            other => {
                Err(format!("approximate is `{other}`, and none and tanh are possible").into())
            }
        },
    }
}

pub(super) fn clip(site: &Site<'_>) -> Result<Built, Refused> {
    let bound = |at: usize, name: &str| -> Result<Option<(f64, i64)>, Refused> {
        if site.has(at) {
            let bound = &site.constant(at)?.data;
            let whole = match &**bound {
                Data::Int(all) => all.first().copied(),
                _ => None,
            };
            let float = bound.to_f64().first().copied();
            let float = float.ok_or_else(|| Refused::from("a bound has no element"))?;
            return Ok(Some((float, whole.unwrap_or(float as i64))));
        }
        let float = f64::from(site.float(name, 0.0));
        Ok(site.has_attribute(name).then_some((float, float as i64)))
    };
    let (least, whole_least) = bound(1, "min")?.unwrap_or((f64::NEG_INFINITY, i64::MIN));
    let (most, whole_most) = bound(2, "max")?.unwrap_or((f64::INFINITY, i64::MAX));
    // In this order NaN stays NaN, and the upper bound wins over the lower one.
    let clip = move |x| {
        let x = if x < least { least } else { x };
        if x > most { most } else { x }
    };
    unary(site, clip, move |x: i64| x.max(whole_least).min(whole_most))
}

/// The two operands of a node side by side, which are of one type.
fn pair(site: &Site<'_>) -> Result<(Broadcast, Element), Refused> {
    let (left, right) = (site.kind(0)?, site.kind(1)?);
    if left.element != right.element {
        return Err(
            format!("its inputs are {} and {}", left.element.name(), right.element.name()).into()
        );
    }
    Ok((Broadcast::of(site, 2)?, left.element))
}

fn zip<A: Clone, R>(
    broadcast: &Broadcast,
    rows: usize,
    left: &[A],
    right: &[A],
    f: impl Fn(A, A) -> R,
) -> Vec<R> {
    let [a, b] = broadcast.spreads.as_slice() else { return Vec::new() };
    let mut made = Vec::with_capacity(rows * broadcast.width);
    let pairs = a.each(left, rows, broadcast.width).zip(b.each(right, rows, broadcast.width));
    made.extend(pairs.map(|(a, b)| f(a, b)));
    made
}

fn binary(
    site: &Site<'_>,
    f: impl Fn(f64, f64) -> f64 + Send + Sync + 'static,
    ints: impl Fn(i64, i64) -> i64 + Send + Sync + 'static,
) -> Result<Built, Refused> {
    let (broadcast, element) = pair(site)?;
    if matches!(element, Element::Text | Element::Bool) {
        return Err(wrong(0, element));
    }
    let kind = Kind::new(element, broadcast.shape.clone());
    Ok(Built::one(kind, move |rows, data| match data {
        [Data::F32(a), Data::F32(b), ..] => {
            Data::F32(zip(&broadcast, rows, a, b, |a, b| f(f64::from(a), f64::from(b)) as f32))
        }
        [Data::F64(a), Data::F64(b), ..] => Data::F64(zip(&broadcast, rows, a, b, &f)),
        [Data::Int(a), Data::Int(b), ..] => Data::Int(zip(&broadcast, rows, a, b, &ints)),
        data => first(data),
    }))
}

pub(super) fn add(site: &Site<'_>) -> Result<Built, Refused> {
    match site.node.op {
        "Add" => binary(site, |a, b| a + b, i64::wrapping_add),
        "Sub" => binary(site, |a, b| a - b, i64::wrapping_sub),
        "Mul" => binary(site, |a, b| a * b, i64::wrapping_mul),
        _ => {
            let divisors = match site.operands.get(1) {
                Some(Operand::Constant(constant)) => Some(&*constant.data),
                _ => None,
            };
            let is_safe = matches!(divisors, Some(Data::Int(all)) if !all.contains(&0));
            if site.kind(0)?.element == Element::Int && !is_safe {
                return Err(
                    "whole numbers are divided by what may be 0: cast them to floats".into()
                );
            }
            binary(site, |a, b| a / b, |a, b| a.checked_div(b).unwrap_or(0))
        }
    }
}

pub(super) fn power(site: &Site<'_>) -> Result<Built, Refused> {
    let (base, exponent) = (site.numbers(0)?.element, site.numbers(1)?.element);
    if base == Element::Int {
        return Err("a power of whole numbers: cast them to floats".into());
    }
    let broadcast = Broadcast::of(site, 2)?;
    if exponent != base && !is_constant(site.operands.get(1)) {
        return Err("base and exponent are of two types".into());
    }
    let kind = Kind::new(base, broadcast.shape.clone());
    Ok(Built::one(kind, move |rows, data| {
        let [base, exponent, ..] = data else { return first(data) };
        // A square is a product, whatever a library makes of it.
        let power = |x: f64, y: f64| if y == 2.0 { x * x } else { x.powf(y) };
        let made = zip(&broadcast, rows, &base.to_f64(), &exponent.to_f64(), power);
        match base {
            Data::F32(_) => Data::F32(made.into_iter().map(|x| x as f32).collect()),
            _ => Data::F64(made),
        }
    }))
}

/// Min, Max, Sum and Mean of any number of operands, one pair after the other.
pub(super) fn fold(site: &Site<'_>) -> Result<Built, Refused> {
    let count = site.operands.len();
    let element = site.numbers(0)?.element;
    for at in 1..count {
        if site.numbers(at)?.element != element {
            return Err("its inputs are of several types".into());
        }
    }
    let broadcast = Broadcast::of(site, count)?;
    let kind = Kind::new(element, broadcast.shape.clone());
    let f: fn(f64, f64) -> f64 = match site.node.op {
        // In this form NaN stays NaN.
        "Min" => |a, b| if a < b || a.is_nan() { a } else { b },
        "Max" => |a, b| if a > b || a.is_nan() { a } else { b },
        _ => |a, b| a + b,
    };
    if element == Element::Int && !matches!(site.node.op, "Min" | "Max") {
        return Err(wrong(0, element));
    }
    let over = if site.node.op == "Mean" { count as f64 } else { 1.0 };
    Ok(Built::one(kind, move |rows, data| {
        let mut all: Option<Vec<f64>> = None;
        let mut ints: Option<Vec<i64>> = None;
        for (data, spread) in data.iter().zip(&broadcast.spreads) {
            if let Data::Int(own) = data {
                let own = spread.each(own, rows, broadcast.width);
                ints = Some(match ints {
                    None => own.collect(),
                    Some(all) => {
                        let is_least = f(0.0, 1.0) == 0.0;
                        let pick = |(a, b): (i64, i64)| if is_least { a.min(b) } else { a.max(b) };
                        all.into_iter().zip(own).map(pick).collect()
                    }
                });
                continue;
            }
            let own = data.to_f64();
            let own = spread.each(&own, rows, broadcast.width);
            all = Some(match all {
                None => own.collect(),
                // Rounded after each step, as sums of 32 bits are.
                Some(all) if matches!(data, Data::F32(_)) => {
                    all.into_iter().zip(own).map(|(a, b)| f64::from(f(a, b) as f32)).collect()
                }
                Some(all) => all.into_iter().zip(own).map(|(a, b)| f(a, b)).collect(),
            });
        }
        let all = all.unwrap_or_default();
        match element {
            Element::Int => Data::Int(ints.unwrap_or_default()),
            Element::F32 => Data::F32(all.into_iter().map(|x| (x / over) as f32).collect()),
            _ => Data::F64(all.into_iter().map(|x| x / over).collect()),
        }
    }))
}

/// Equal, Less, Greater and their kin.
pub(super) fn compare(site: &Site<'_>) -> Result<Built, Refused> {
    use std::cmp::Ordering::{self, Equal, Greater, Less};
    let (broadcast, element) = pair(site)?;
    let holds: fn(Ordering) -> bool = match site.node.op {
        "Equal" => |it| it == Equal,
        "Less" => |it| it == Less,
        "LessOrEqual" => |it| it != Greater,
        "Greater" => |it| it == Greater,
        _ => |it| it != Less,
    };
    if element == Element::Text && site.node.op != "Equal" {
        return Err(wrong(0, element));
    }
    fn made<T: PartialOrd + Clone>(
        broadcast: &Broadcast,
        rows: usize,
        (a, b): (&[T], &[T]),
        holds: fn(Ordering) -> bool,
    ) -> Data {
        Data::Bool(zip(broadcast, rows, a, b, |a, b| a.partial_cmp(&b).is_some_and(holds)))
    }
    let kind = Kind::new(Element::Bool, broadcast.shape.clone());
    Ok(Built::one(kind, move |rows, data| match data {
        [Data::F32(a), Data::F32(b), ..] => made(&broadcast, rows, (a, b), holds),
        [Data::F64(a), Data::F64(b), ..] => made(&broadcast, rows, (a, b), holds),
        [Data::Int(a), Data::Int(b), ..] => made(&broadcast, rows, (a, b), holds),
        [Data::Bool(a), Data::Bool(b), ..] => made(&broadcast, rows, (a, b), holds),
        [Data::Text(a), Data::Text(b), ..] => made(&broadcast, rows, (a, b), holds),
        data => first(data),
    }))
}

/// And, Or, Xor, Not.
pub(super) fn logic(site: &Site<'_>) -> Result<Built, Refused> {
    let bools = |at: usize| match site.kind(at)? {
        Kind { element: Element::Bool, .. } => Ok(()),
        other => Err(wrong(at, other.element)),
    };
    bools(0)?;
    if site.node.op == "Not" {
        return Ok(Built::one(site.kind(0)?, |_, data| match data.first() {
            Some(Data::Bool(all)) => Data::Bool(all.iter().map(|x| !x).collect()),
            _ => first(data),
        }));
    }
    bools(1)?;
    let f: fn(bool, bool) -> bool = match site.node.op {
        "And" => |a, b| a & b,
        "Or" => |a, b| a | b,
        _ => |a, b| a ^ b,
    };
    let (broadcast, _) = pair(site)?;
    let kind = Kind::new(Element::Bool, broadcast.shape.clone());
    Ok(Built::one(kind, move |rows, data| match data {
        [Data::Bool(a), Data::Bool(b), ..] => Data::Bool(zip(&broadcast, rows, a, b, f)),
        data => first(data),
    }))
}

pub(super) fn is_nan(site: &Site<'_>) -> Result<Built, Refused> {
    let mut kind = site.numbers(0)?;
    kind.element = Element::Bool;
    Ok(Built::one(kind, |_, data| {
        let numbers = data.first().map(|data| data.to_f64()).unwrap_or_default();
        Data::Bool(numbers.into_iter().map(f64::is_nan).collect())
    }))
}

pub(super) fn choose(site: &Site<'_>) -> Result<Built, Refused> {
    let (condition, yes, no) = (site.kind(0)?, site.kind(1)?, site.kind(2)?);
    if condition.element != Element::Bool {
        return Err(wrong(0, condition.element));
    }
    if yes.element != no.element {
        return Err("its inputs are of two types".into());
    }
    let broadcast = Broadcast::of(site, 3)?;
    fn chosen<T: Clone>(
        broadcast: &Broadcast,
        rows: usize,
        condition: &[bool],
        yes: &[T],
        no: &[T],
    ) -> Vec<T> {
        let [c, y, n] = broadcast.spreads.as_slice() else { return Vec::new() };
        let width = broadcast.width;
        let both = y.each(yes, rows, width).zip(n.each(no, rows, width));
        c.each(condition, rows, width).zip(both).map(|(c, (y, n))| if c { y } else { n }).collect()
    }
    let kind = Kind::new(yes.element, broadcast.shape.clone());
    Ok(Built::one(kind, move |rows, data| {
        let [Data::Bool(c), yes, no, ..] = data else { return first(data) };
        match (yes, no) {
            (Data::F32(y), Data::F32(n)) => Data::F32(chosen(&broadcast, rows, c, y, n)),
            (Data::F64(y), Data::F64(n)) => Data::F64(chosen(&broadcast, rows, c, y, n)),
            (Data::Int(y), Data::Int(n)) => Data::Int(chosen(&broadcast, rows, c, y, n)),
            (Data::Bool(y), Data::Bool(n)) => Data::Bool(chosen(&broadcast, rows, c, y, n)),
            (Data::Text(y), Data::Text(n)) => Data::Text(chosen(&broadcast, rows, c, y, n)),
            _ => first(data),
        }
    }))
}

pub(super) fn cast(site: &Site<'_>) -> Result<Built, Refused> {
    let mut kind = site.any_kind(0)?;
    if kind.labels.is_some() {
        site.kind(0)?;
    }
    let to = u64::try_from(site.int("to", 0)).unwrap_or(0);
    let Some(element) = Element::of_code(to) else {
        return Err(format!("it casts to type {to}, which is not known here").into());
    };
    let from = kind.element;
    if from == Element::Text && element != Element::Text {
        return Err("it casts text to numbers: read the column as a number instead".into());
    }
    if element == Element::Text && !matches!(from, Element::Text | Element::Int) {
        return Err("it casts floats to text: export it without".into());
    }
    kind.element = element;
    let (least, most) = range(to);
    let is_widest = (least, most) == (i64::MIN, i64::MAX);
    let built = Built::one(kind, move |_, data| {
        let Some(data) = data.first() else { return Data::Int(Vec::new()) };
        if data.element() == element && (element != Element::Int || is_widest) {
            return (*data).clone();
        }
        match element {
            Element::F32 => Data::F32(data.to_f32()),
            Element::F64 => Data::F64(data.to_f64()),
            Element::Bool => Data::Bool(data.to_f64().into_iter().map(|x| x != 0.0).collect()),
            Element::Text => match data {
                Data::Int(all) => {
                    Data::Text(all.iter().map(|x| Arc::from(x.to_string())).collect())
                }
                other => (*other).clone(),
            },
            Element::Int => Data::Int(match data {
                Data::Int(all) => all.iter().map(|x| wrapped(*x, least, most)).collect(),
                // Towards 0, and NaN to 0.
                other => {
                    other.to_f64().into_iter().map(|x| (x as i64).clamp(least, most)).collect()
                }
            }),
        }
    });
    let keeps = matches!(from, Element::F32 | Element::F64)
        && matches!(element, Element::F32 | Element::F64);
    Ok(if keeps { built.passing() } else { built })
}

/// The low bits of `x`, as a number from `least` to `most`.
fn wrapped(x: i64, least: i64, most: i64) -> i64 {
    let span = i128::from(most) - i128::from(least) + 1;
    let low = (i128::from(x) - i128::from(least)).rem_euclid(span) + i128::from(least);
    i64::try_from(low).unwrap_or(x)
}
