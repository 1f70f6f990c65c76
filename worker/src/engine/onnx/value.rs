//! Values while a graph is computed.

use std::sync::Arc;

/// What a value is made of. Whole numbers of every width are computed with 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F32,
    F64,
    Int,
    Bool,
    Text,
}

impl Element {
    /// For messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "32-bit floats",
            Self::F64 => "64-bit floats",
            Self::Int => "whole numbers",
            Self::Bool => "booleans",
            Self::Text => "text",
        }
    }

    /// The element that `TensorProto.DataType` numbers `code`.
    pub(super) fn of_code(code: u64) -> Option<Self> {
        match code {
            1 => Some(Self::F32),
            11 => Some(Self::F64),
            // uint8, int8, uint16, int16, int32, int64, uint32
            2..=7 | 12 => Some(Self::Int),
            8 => Some(Self::Text),
            9 => Some(Self::Bool),
            _ => None,
        }
    }
}

/// The smallest and largest whole number of the type that `TensorProto.DataType` numbers `code`.
pub(super) fn range(code: u64) -> (i64, i64) {
    match code {
        2 => (0, u8::MAX.into()),
        3 => (i8::MIN.into(), i8::MAX.into()),
        4 => (0, u16::MAX.into()),
        5 => (i16::MIN.into(), i16::MAX.into()),
        6 => (i32::MIN.into(), i32::MAX.into()),
        12 => (0, u32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

/// The elements of a value, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
    Int(Vec<i64>),
    Bool(Vec<bool>),
    Text(Vec<Arc<str>>),
}

impl Data {
    pub(super) fn element(&self) -> Element {
        match self {
            Self::F32(_) => Element::F32,
            Self::F64(_) => Element::F64,
            Self::Int(_) => Element::Int,
            Self::Bool(_) => Element::Bool,
            Self::Text(_) => Element::Text,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::F32(all) => all.len(),
            Self::F64(all) => all.len(),
            Self::Int(all) => all.len(),
            Self::Bool(all) => all.len(),
            Self::Text(all) => all.len(),
        }
    }

    /// Bytes in memory, without those of texts.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::F32(all) => size_of_val(&**all),
            Self::F64(all) => size_of_val(&**all),
            Self::Int(all) => size_of_val(&**all),
            Self::Bool(all) => size_of_val(&**all),
            Self::Text(all) => size_of_val(&**all),
        }
    }

    /// The elements as 32-bit floats, those of text as 0: whoever calls has looked at the type.
    pub(super) fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::F32(all) => all.clone(),
            Self::F64(all) => all.iter().map(|x| *x as f32).collect(),
            Self::Int(all) => all.iter().map(|x| *x as f32).collect(),
            Self::Bool(all) => all.iter().map(|x| f32::from(u8::from(*x))).collect(),
            Self::Text(all) => vec![0.0; all.len()],
        }
    }

    /// As [`to_f32`](Self::to_f32), with 64 bits.
    pub(super) fn to_f64(&self) -> Vec<f64> {
        match self {
            Self::F32(all) => all.iter().map(|x| f64::from(*x)).collect(),
            Self::F64(all) => all.clone(),
            Self::Int(all) => all.iter().map(|x| *x as f64).collect(),
            Self::Bool(all) => all.iter().map(|x| f64::from(u8::from(*x))).collect(),
            Self::Text(all) => vec![0.0; all.len()],
        }
    }

    /// The elements at `places`, in that order; there are none beyond the end.
    pub(super) fn pick(&self, places: impl Iterator<Item = usize>) -> Self {
        fn picked<T: Clone>(all: &[T], places: impl Iterator<Item = usize>) -> Vec<T> {
            places.filter_map(|at| all.get(at).cloned()).collect()
        }
        match self {
            Self::F32(all) => Self::F32(picked(all, places)),
            Self::F64(all) => Self::F64(picked(all, places)),
            Self::Int(all) => Self::Int(picked(all, places)),
            Self::Bool(all) => Self::Bool(picked(all, places)),
            Self::Text(all) => Self::Text(picked(all, places)),
        }
    }

    /// No elements of type `element`, with room for so many.
    pub(super) fn with_room(element: Element, room: usize) -> Self {
        match element {
            Element::F32 => Self::F32(Vec::with_capacity(room)),
            Element::F64 => Self::F64(Vec::with_capacity(room)),
            Element::Int => Self::Int(Vec::with_capacity(room)),
            Element::Bool => Self::Bool(Vec::with_capacity(room)),
            Element::Text => Self::Text(Vec::with_capacity(room)),
        }
    }

    /// Appends `len` elements of `other`, which is of the same type, from `first` on.
    pub(super) fn append(&mut self, other: &Self, first: usize, len: usize) {
        fn part<T>(all: &[T], first: usize, len: usize) -> &[T] {
            all.get(first..first + len).unwrap_or_default()
        }
        match (self, other) {
            (Self::F32(all), Self::F32(more)) => all.extend_from_slice(part(more, first, len)),
            (Self::F64(all), Self::F64(more)) => all.extend_from_slice(part(more, first, len)),
            (Self::Int(all), Self::Int(more)) => all.extend_from_slice(part(more, first, len)),
            (Self::Bool(all), Self::Bool(more)) => all.extend_from_slice(part(more, first, len)),
            (Self::Text(all), Self::Text(more)) => all.extend_from_slice(part(more, first, len)),
            _ => debug_assert!(false, "values of two types are appended"),
        }
    }
}

/// What is known of a value before there are rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) element: Element,
    /// Axes of a row: without the first one, which is the rows.
    pub(super) shape: Vec<usize>,
    /// Whether the rows are the last axis and all before it have length 1, as
    /// ArrayFeatureExtractor makes of a list of classes.
    pub(super) is_lying: bool,
    /// Names of the elements of a row, as ZipMap gives them.
    pub(super) labels: Option<Arc<[String]>>,
}

impl Kind {
    pub(super) fn new(element: Element, shape: impl Into<Vec<usize>>) -> Self {
        Self { element, shape: shape.into(), is_lying: false, labels: None }
    }

    /// Elements of a row.
    pub(super) fn width(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A value that depends on no input.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    /// All of its axes.
    pub(super) shape: Vec<usize>,
    pub(super) data: Arc<Data>,
}

/// What a node reads.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    /// Nothing: the input is optional.
    Absent,
    /// A value of which each row has its own.
    Rows { slot: usize, kind: Kind },
    /// A value that is the same for all rows.
    Constant(Constant),
    /// The shape of a value, whose first number is how many rows there are.
    ShapeOfRows(Vec<usize>),
}
