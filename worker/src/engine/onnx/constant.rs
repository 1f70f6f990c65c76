//! Tensors of a file as constants.

use std::sync::Arc;

use half::{bf16, f16};
use nightshift_core::model::onnx::shown;
use nightshift_core::model::wire::{Value as Wire, varint};

use super::CONSTANT_ELEMENTS_MAX;
use super::error::OnnxError;
use super::proto::Tensor;
use super::value::{Constant, Data, Element};

/// The constant that `tensor` holds.
pub(super) fn constant(tensor: &Tensor<'_>) -> Result<Constant, OnnxError> {
    let refused = |problem: String| OnnxError::Tensor { tensor: shown(tensor.name), problem };
    if tensor.is_external {
        return Err(OnnxError::External { tensor: shown(tensor.name) });
    }
    let shape: Option<Vec<usize>> =
        tensor.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
    let elements = shape
        .as_ref()
        .and_then(|shape| shape.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim)));
    let (Some(shape), Some(elements)) =
        (shape, elements.filter(|elements| *elements <= CONSTANT_ELEMENTS_MAX))
    else {
        return Err(refused(format!("claims more than {CONSTANT_ELEMENTS_MAX} elements")));
    };
    let data = match tensor.raw {
        Some(raw) => raw_data(tensor.element, raw),
        None => listed_data(tensor),
    };
    let data = data.map_err(refused)?;
    if data.len() != elements {
        let (found, shape) = (data.len(), &tensor.dims);
        return Err(refused(format!("has {found} elements and claims a shape of {shape:?}")));
    }
    Ok(Constant { shape, data: Arc::new(data) })
}

fn raw_data(element: u64, raw: &[u8]) -> Result<Data, String> {
    macro_rules! read {
        ($size:literal, $make:expr) => {{
            let (chunks, rest) = raw.as_chunks::<$size>();
            if !rest.is_empty() {
                return Err("ends within an element".to_owned());
            }
            chunks.iter().copied().map($make).collect()
        }};
    }
    Ok(match element {
        1 => Data::F32(read!(4, f32::from_le_bytes)),
        2 => Data::Int(read!(1, |[byte]| i64::from(byte))),
        3 => Data::Int(read!(1, |bytes| i64::from(i8::from_le_bytes(bytes)))),
        4 => Data::Int(read!(2, |bytes| i64::from(u16::from_le_bytes(bytes)))),
        5 => Data::Int(read!(2, |bytes| i64::from(i16::from_le_bytes(bytes)))),
        6 => Data::Int(read!(4, |bytes| i64::from(i32::from_le_bytes(bytes)))),
        7 => Data::Int(read!(8, i64::from_le_bytes)),
        9 => Data::Bool(read!(1, |[byte]| byte != 0)),
        10 => Data::F32(read!(2, |bytes| f16::from_le_bytes(bytes).to_f32())),
        11 => Data::F64(read!(8, f64::from_le_bytes)),
        12 => Data::Int(read!(4, |bytes| i64::from(u32::from_le_bytes(bytes)))),
        16 => Data::F32(read!(2, |bytes| bf16::from_le_bytes(bytes).to_f32())),
        other => return Err(unknown(other)),
    })
}

/// Elements that are listed one by one, in the field for their type.
fn listed_data(tensor: &Tensor<'_>) -> Result<Data, String> {
    let (element, field) = match (Element::of_code(tensor.element), tensor.element) {
        (Some(Element::F32), _) => (Element::F32, 4),
        (Some(Element::F64), _) => (Element::F64, 10),
        (Some(Element::Int), 7) => (Element::Int, 7),
        (Some(Element::Int), 12) => (Element::Int, 11),
        (Some(Element::Int), _) => (Element::Int, 5),
        (Some(Element::Bool), _) => (Element::Bool, 5),
        (Some(Element::Text), _) => {
            let text = |bytes: &&[u8]| std::str::from_utf8(bytes).ok().map(Arc::from);
            let texts: Option<Vec<Arc<str>>> = tensor.texts.iter().map(text).collect();
            return texts.map(Data::Text).ok_or_else(|| "holds bytes that are no text".to_owned());
        }
        (None, other) => return Err(unknown(other)),
    };
    let damaged = || "is damaged".to_owned();
    let mut data = Data::with_room(element, 0);
    for (_, value) in tensor.packed.iter().filter(|(at, _)| *at == field) {
        match (&mut data, value) {
            (Data::F32(all), Wire::Fixed32(bytes)) => all.push(f32::from_le_bytes(*bytes)),
            (Data::F32(all), Wire::Bytes(bytes)) => {
                all.extend(bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes));
            }
            (Data::F64(all), Wire::Fixed64(bytes)) => all.push(f64::from_le_bytes(*bytes)),
            (Data::F64(all), Wire::Bytes(bytes)) => {
                all.extend(bytes.as_chunks().0.iter().copied().map(f64::from_le_bytes));
            }
            (Data::Int(all), Wire::Varint(int)) => all.push(*int as i64),
            (Data::Bool(all), Wire::Varint(int)) => all.push(*int != 0),
            (data, Wire::Bytes(bytes)) => {
                let mut rest = *bytes;
                while !rest.is_empty() {
                    let int = varint(&mut rest).map_err(|_| damaged())?;
                    if data.len() == CONSTANT_ELEMENTS_MAX {
                        return Err(format!("has more than {CONSTANT_ELEMENTS_MAX} elements"));
                    }
                    match &mut *data {
                        Data::Int(all) => all.push(int as i64),
                        Data::Bool(all) => all.push(int != 0),
                        _ => return Err(damaged()),
                    }
                }
            }
            _ => return Err(damaged()),
        }
    }
    Ok(data)
}

fn unknown(element: u64) -> String {
    format!("has elements of type {element}, which are not known here")
}
