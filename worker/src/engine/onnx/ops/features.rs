//! Operators that prepare columns, and ZipMap.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::scores::names;
use super::{Built, Missing, Site, first, wrong};
use crate::engine::onnx::error::Refused;
use crate::engine::onnx::value::{Data, Element, Kind};

/// One number for each of `width` columns: as many as there are, or the same for all.
fn each(name: &str, numbers: &[f32], width: usize, otherwise: f32) -> Result<Vec<f64>, Refused> {
    match numbers {
        [] => Ok(vec![otherwise.into(); width]),
        [one] => Ok(vec![(*one).into(); width]),
        all if all.len() == width => Ok(all.iter().copied().map(f64::from).collect()),
        all => Err(format!("{name} has {} numbers for {width} columns", all.len()).into()),
    }
}

pub(super) fn scaler(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = Kind { element: Element::F32, ..site.numbers(0)? };
    let width = kind.width().max(1);
    let offset = each("offset", site.floats("offset"), width, 0.0)?;
    let scale = each("scale", site.floats("scale"), width, 1.0)?;
    let lines: Vec<(f64, f64)> = offset.into_iter().zip(scale).collect();
    Ok(Built::one(kind, move |_, data| {
        let all = data.first().map(|data| data.to_f64()).unwrap_or_default();
        let scaled = all.chunks_exact(width).flat_map(|row| {
            // Rounded after the difference, as 32-bit arithmetic does.
            row.iter()
                .zip(&lines)
                .map(|(x, (offset, scale))| (f64::from((x - offset) as f32) * scale) as f32)
        });
        Data::F32(scaled.collect())
    }))
}

pub(super) fn imputer(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.numbers(0)?;
    let width = kind.width().max(1);
    if kind.element == Element::Int {
        let fill = site.ints("imputed_value_int64s").to_vec();
        if fill.len() != 1 && fill.len() != width {
            return Err(format!("it has {} values for {width} columns", fill.len()).into());
        }
        let replaced = site.int("replaced_value_int64", 0);
        return Ok(Built::one(kind, move |_, data| match data.first() {
            Some(Data::Int(all)) => Data::Int(
                all.iter()
                    .enumerate()
                    .map(|(at, x)| match *x == replaced {
                        true => fill.get(at % width).or(fill.first()).copied().unwrap_or(*x),
                        false => *x,
                    })
                    .collect(),
            ),
            _ => first(data),
        }));
    }
    if site.floats("imputed_value_floats").is_empty() {
        return Err("it has no values to put in".into());
    }
    let fill = each("imputed_value_floats", site.floats("imputed_value_floats"), width, 0.0)?;
    let replaced = site.float("replaced_value_float", 0.0);
    let is_missing = move |x: f64| {
        if replaced.is_nan() { x.is_nan() } else { x == f64::from(replaced) }
    };
    let built = Built::one(kind, move |_, data| {
        let filled = |(at, x): (usize, f64)| match is_missing(x) {
            true => fill.get(at % width).copied().unwrap_or(x),
            false => x,
        };
        match data.first() {
            Some(Data::F32(all)) => {
                let all = all.iter().copied().map(f64::from).enumerate();
                Data::F32(all.map(|it| filled(it) as f32).collect())
            }
            Some(Data::F64(all)) => {
                Data::F64(all.iter().copied().enumerate().map(filled).collect())
            }
            _ => first(data),
        }
    });
    let missing = if replaced.is_nan() { Missing::Handled } else { Missing::Spoils };
    Ok(Built { missing, ..built })
}

pub(super) fn binarizer(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.numbers(0)?;
    let threshold = f64::from(site.float("threshold", 0.0));
    Ok(Built::one(kind, move |_, data| {
        // NaN stays NaN.
        let f = |x: f64| if x.is_nan() { x } else { f64::from(u8::from(x > threshold)) };
        match data.first() {
            Some(Data::F32(all)) => Data::F32(all.iter().map(|x| f((*x).into()) as f32).collect()),
            Some(Data::F64(all)) => Data::F64(all.iter().map(|x| f(*x)).collect()),
            Some(Data::Int(all)) => Data::Int(all.iter().map(|x| f(*x as f64) as i64).collect()),
            _ => first(data),
        }
    }))
}

/// A number as a key: one for all NaN, one for both zeros.
fn bits(x: f32) -> u32 {
    if x.is_nan() { f32::NAN.to_bits() } else { (x + 0.0).to_bits() }
}

/// Keys of a mapping, and the place of each.
enum Keys {
    Ints(HashMap<i64, usize>),
    Floats(HashMap<u32, usize>),
    Texts(HashMap<Arc<str>, usize>),
}

fn placed<K: Hash + Eq>(keys: impl Iterator<Item = K>) -> HashMap<K, usize> {
    let mut places = HashMap::new();
    for (at, key) in keys.enumerate() {
        // The first of equal ones.
        places.entry(key).or_insert(at);
    }
    places
}

impl Keys {
    fn of(data: &Data) -> Result<Self, Refused> {
        match data {
            Data::Int(all) => Ok(Self::Ints(placed(all.iter().copied()))),
            Data::F32(all) => Ok(Self::Floats(placed(all.iter().map(|x| bits(*x))))),
            Data::Text(all) => Ok(Self::Texts(placed(all.iter().cloned()))),
            other => Err(format!("its keys are {}", other.element().name()).into()),
        }
    }

    /// The place of each element of `data`.
    fn find(&self, data: &Data) -> Vec<Option<usize>> {
        match (self, data) {
            (Self::Ints(keys), Data::Int(all)) => {
                all.iter().map(|x| keys.get(x).copied()).collect()
            }
            // Towards 0, as a cast does it.
            (Self::Ints(keys), other) => {
                other.to_f64().iter().map(|x| keys.get(&(*x as i64)).copied()).collect()
            }
            (Self::Floats(keys), other) => {
                other.to_f32().iter().map(|x| keys.get(&bits(*x)).copied()).collect()
            }
            (Self::Texts(keys), Data::Text(all)) => {
                all.iter().map(|x| keys.get(x).copied()).collect()
            }
            (Self::Texts(_), other) => vec![None; other.len()],
        }
    }
}

pub(super) fn one_hot(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.kind(0)?;
    let (ints, texts) = (site.ints("cats_int64s"), site.texts("cats_strings"));
    let (keys, count) = match (kind.element, ints, texts) {
        (Element::Text, [], texts) if !texts.is_empty() => {
            (Keys::of(&Data::Text(names(texts)?))?, texts.len())
        }
        (Element::Int | Element::F32 | Element::F64, ints, []) if !ints.is_empty() => {
            (Keys::of(&Data::Int(ints.to_vec()))?, ints.len())
        }
        _ => return Err(wrong(0, kind.element)),
    };
    let width = kind.width().max(1);
    let mut shape = kind.shape.clone();
    shape.push(count);
    super::broadcast::checked_width(&shape, site.has_rows())?;
    let has_place = site.int("zeros", 1) != 0;
    let work = width * count;
    let step = move |_: usize, data: &[&Data], unknown: &mut super::Unknown| {
        let Some(data) = data.first() else { return Vec::new() };
        let found = keys.find(data);
        let mut made = vec![0.0; found.len() * count];
        for (at, (place, line)) in found.iter().zip(made.chunks_exact_mut(count)).enumerate() {
            match place.and_then(|place| line.get_mut(place)) {
                Some(to) => *to = 1.0,
                None if has_place => {}
                None => {
                    let shown = match data {
                        Data::Text(all) => all.get(at).map(|text| text.to_string()),
                        other => other.to_f64().get(at).map(f64::to_string),
                    };
                    unknown.0.push((at / width, shown.unwrap_or_default()));
                }
            }
        }
        vec![Data::F32(made)]
    };
    let kinds = vec![Kind::new(Element::F32, shape)];
    Ok(Built {
        kinds,
        step: Box::new(step),
        by_column: None,
        missing: Missing::Spoils,
        bytes: 0,
        work,
    })
}

/// A step that puts `values` where `keys` are found, and `otherwise` elsewhere.
fn mapping(kind: Kind, keys: Keys, values: Data, otherwise: Data) -> Built {
    let kind = Kind { element: values.element(), ..kind };
    let absent = values.len();
    let mut all = values;
    all.append(&otherwise, 0, 1);
    Built::one(kind, move |_, data| {
        let places = data.first().map(|data| keys.find(data)).unwrap_or_default();
        all.pick(places.into_iter().map(|place| place.unwrap_or(absent)))
    })
}

pub(super) fn label_encoder(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.any_kind(0)?;
    if kind.labels.is_some() {
        site.kind(0)?;
    }
    let list = |part: &str| -> Result<Option<Data>, Refused> {
        let [texts, ints, floats, tensor] =
            ["strings", "int64s", "floats", "tensor"].map(|kind| format!("{part}_{kind}"));
        if let Some(tensor) = site.tensor(&tensor)? {
            return Ok(Some((*tensor.data).clone()));
        }
        Ok(if site.has_attribute(&texts) {
            Some(Data::Text(names(site.texts(&texts))?))
        } else if site.has_attribute(&ints) {
            Some(Data::Int(site.ints(&ints).to_vec()))
        } else if site.has_attribute(&floats) {
            Some(Data::F32(site.floats(&floats).to_vec()))
        } else {
            None
        })
    };
    if site.has_attribute("classes_strings") {
        // The first form: places of texts, or texts of places.
        return mapper(site, kind, "classes_strings", None);
    }
    let keys = list("keys")?.ok_or("it has no keys")?;
    let values = list("values")?.ok_or("it has no values")?;
    if keys.len() != values.len() || keys.len() == 0 {
        return Err(format!("it has {} keys and {} values", keys.len(), values.len()).into());
    }
    if keys.element() != kind.element {
        return Err(wrong(0, kind.element));
    }
    let otherwise = match (site.tensor("default_tensor")?, values.element()) {
        (Some(own), element) if own.data.element() == element && own.data.len() == 1 => {
            (*own.data).clone()
        }
        (Some(_), _) => return Err("its default is not one value of the type of the values".into()),
        (None, Element::Text) => Data::Text(vec![default_text(site)?]),
        (None, Element::Int) => Data::Int(vec![site.int("default_int64", -1)]),
        (None, _) => Data::F32(vec![site.float("default_float", -0.0)]),
    };
    Ok(mapping(kind, Keys::of(&keys)?, values, otherwise))
}

fn default_text(site: &Site<'_>) -> Result<Arc<str>, Refused> {
    Ok(Arc::from(site.word("default_string", "_Unused")?))
}

/// Texts to whole numbers, or back: `ints` are those of the texts, or their places if none.
fn mapper(
    site: &Site<'_>,
    kind: Kind,
    texts: &str,
    ints: Option<&[i64]>,
) -> Result<Built, Refused> {
    let texts = Data::Text(names(site.texts(texts))?);
    let ints = ints.map_or_else(|| (0..texts.len() as i64).collect(), <[i64]>::to_vec);
    if ints.len() != texts.len() || ints.is_empty() {
        return Err(format!("it has {} texts and {} numbers", texts.len(), ints.len()).into());
    }
    let ints = Data::Int(ints);
    match kind.element {
        Element::Text => {
            let otherwise = Data::Int(vec![site.int("default_int64", -1)]);
            Ok(mapping(kind, Keys::of(&texts)?, ints, otherwise))
        }
        Element::Int => {
            let otherwise = Data::Text(vec![default_text(site)?]);
            Ok(mapping(kind, Keys::of(&ints)?, texts, otherwise))
        }
        other => Err(wrong(0, other)),
    }
}

pub(super) fn category_mapper(site: &Site<'_>) -> Result<Built, Refused> {
    mapper(site, site.kind(0)?, "cats_strings", Some(site.ints("cats_int64s")))
}

/// ZipMap: the numbers stay what they are, and get names.
pub(super) fn zip_map(site: &Site<'_>) -> Result<Built, Refused> {
    let kind = site.numbers(0)?;
    let labels: Vec<String> =
        match (site.ints("classlabels_int64s"), site.texts("classlabels_strings")) {
            (ints, []) => ints.iter().map(i64::to_string).collect(),
            (_, texts) => names(texts)?.iter().map(|text| text.to_string()).collect(),
        };
    if kind.shape != [labels.len()] {
        return Err(format!("{} labels are not {} columns", labels.len(), kind.width()).into());
    }
    Ok(Built::same(Kind { labels: Some(labels.into()), ..kind }))
}
