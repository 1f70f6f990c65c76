//! Operators: for each a function that checks how a node uses it and makes a step of it.
//!
//! A step gets the number of rows and the values that the node reads, and makes those that it
//! writes. It sees the axes of one row only, so it cannot mix rows. Where nothing depends on the
//! input, the same step is run once, with all axes as those of a single row.

use super::error::Refused;
use super::proto::{Attribute, Node};
use super::value::{Constant, Data, Element, Kind, Operand};

mod arithmetic;
mod broadcast;
mod ensemble;
mod features;
mod products;
mod reductions;
mod scores;
mod shapes;
pub(super) mod table;

pub(super) use table::find;

/// Computes what a node writes, and says which rows it cannot be computed for.
pub(super) type Step = Box<dyn Fn(usize, &[&Data], &mut Unknown) -> Vec<Data> + Send + Sync>;

/// Rows with a category that the model does not know, and has no place for.
#[derive(Debug, Default)]
pub(super) struct Unknown(pub(super) Vec<(usize, String)>);

/// What a missing value, NaN, does in a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It spoils the result.
    Spoils,
    /// It goes through, to whoever reads the result.
    Passes,
    /// The node has a rule for it.
    Handled,
}

/// A node as a step.
pub(super) struct Built {
    /// What is written.
    pub(super) kinds: Vec<Kind>,
    pub(super) step: Step,
    /// The same for a first operand that lies column by column, if that is faster.
    pub(super) by_column: Option<Step>,
    pub(super) missing: Missing,
    /// Bytes of weights.
    pub(super) bytes: usize,
    /// Operations for a row, about.
    pub(super) work: usize,
}

impl Built {
    /// A step that writes one value.
    pub(super) fn one(
        kind: Kind,
        step: impl Fn(usize, &[&Data]) -> Data + Send + Sync + 'static,
    ) -> Self {
        let work = kind.width();
        Self {
            kinds: vec![kind],
            step: Box::new(move |rows, data, _| vec![step(rows, data)]),
            by_column: None,
            missing: Missing::Spoils,
            bytes: 0,
            work,
        }
    }

    /// A step that writes what its first operand holds.
    pub(super) fn same(kind: Kind) -> Self {
        Self::one(kind, |_, data| first(data)).passing()
    }

    /// The same, through which missing values go.
    pub(super) fn passing(self) -> Self {
        Self { missing: Missing::Passes, ..self }
    }
}

/// The first of the values that a node reads.
pub(super) fn first(data: &[&Data]) -> Data {
    data.first().map_or(Data::F32(Vec::new()), |data| (*data).clone())
}

/// A node where it stands.
pub(super) struct Site<'a> {
    pub(super) node: &'a Node<'a>,
    pub(super) operands: &'a [Operand],
    /// Version of the operators of its domain.
    pub(super) opset: u64,
}

impl<'a> Site<'a> {
    /// Whether the node reads anything that depends on the input.
    pub(super) fn has_rows(&self) -> bool {
        self.operands
            .iter()
            .any(|operand| !matches!(operand, Operand::Constant(_) | Operand::Absent))
    }

    /// Whether input `at` depends on the input.
    pub(super) fn is_rows(&self, at: usize) -> bool {
        matches!(self.operands.get(at), Some(Operand::Rows { .. }))
    }

    /// Whether input `at` is there.
    pub(super) fn has(&self, at: usize) -> bool {
        !matches!(self.operands.get(at), None | Some(Operand::Absent))
    }

    /// What is known of input `at`, which may lie or have labels.
    pub(super) fn any_kind(&self, at: usize) -> Result<Kind, Refused> {
        match self.operands.get(at) {
            Some(Operand::Rows { kind, .. }) => Ok(kind.clone()),
            Some(Operand::Constant(constant)) => {
                Ok(Kind::new(constant.data.element(), constant.shape.clone()))
            }
            Some(Operand::ShapeOfRows(_)) => {
                Err("it computes with the number of rows, which a row \
                must not depend on: export it without the operator Shape"
                    .into())
            }
            None | Some(Operand::Absent) => Err(format!("input {} is missing", at + 1).into()),
        }
    }

    /// What is known of input `at`.
    pub(super) fn kind(&self, at: usize) -> Result<Kind, Refused> {
        let kind = self.any_kind(at)?;
        if kind.is_lying {
            return Err("it reads rows that lie along the second axis, which only Cast, Reshape, \
                Transpose and LabelEncoder do here"
                .into());
        }
        if kind.labels.is_some() {
            return Err("it reads a sequence of maps: export the model with zipmap=False".into());
        }
        Ok(kind)
    }

    /// What is known of input `at`, which must be numbers.
    pub(super) fn numbers(&self, at: usize) -> Result<Kind, Refused> {
        let kind = self.kind(at)?;
        match kind.element {
            Element::Text | Element::Bool => Err(wrong(at, kind.element)),
            _ => Ok(kind),
        }
    }

    /// The constant that input `at` is.
    pub(super) fn constant(&self, at: usize) -> Result<&'a Constant, Refused> {
        match self.operands.get(at) {
            Some(Operand::Constant(constant)) => Ok(constant),
            None | Some(Operand::Absent) => Err(format!("input {} is missing", at + 1).into()),
            _ => Err(format!("input {} must not depend on the rows here", at + 1).into()),
        }
    }

    /// The whole numbers that input `at` is, which must be a constant.
    pub(super) fn constant_ints(&self, at: usize) -> Result<&'a [i64], Refused> {
        match &*self.constant(at)?.data {
            Data::Int(all) => Ok(all),
            other => Err(wrong(at, other.element())),
        }
    }

    /// The position of axis `axis` of input `at` among the axes of a row.
    pub(super) fn axis(&self, at: usize, axis: i64) -> Result<usize, Refused> {
        let rank = self.kind(at)?.shape.len();
        self.axis_of(rank, self.is_rows(at), axis)
    }

    /// The same, of a value of `rank` axes of a row.
    pub(super) fn axis_of(&self, rank: usize, is_rows: bool, axis: i64) -> Result<usize, Refused> {
        let base = i64::from(is_rows);
        let full = rank as i64 + base;
        let position = if axis < 0 { axis.saturating_add(full) } else { axis };
        if !(0..full).contains(&position) {
            return Err(format!("there is no axis {axis} of {full}").into());
        }
        usize::try_from(position - base)
            .map_err(|_| "it works along the rows, which must not depend on each other".into())
    }

    fn attribute(&self, name: &str) -> Option<&'a Attribute<'a>> {
        self.node.attributes.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn has_attribute(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    pub(super) fn float(&self, name: &str, otherwise: f32) -> f32 {
        self.attribute(name).and_then(|it| it.float).unwrap_or(otherwise)
    }

    pub(super) fn int(&self, name: &str, otherwise: i64) -> i64 {
        self.attribute(name).and_then(|it| it.int).unwrap_or(otherwise)
    }

    pub(super) fn floats(&self, name: &str) -> &'a [f32] {
        self.attribute(name).map_or(&[], |it| &it.floats)
    }

    pub(super) fn ints(&self, name: &str) -> &'a [i64] {
        self.attribute(name).map_or(&[], |it| &it.ints)
    }

    pub(super) fn texts(&self, name: &str) -> &'a [&'a [u8]] {
        self.attribute(name).map_or(&[], |it| &it.texts)
    }

    /// A word; `otherwise` where there is none.
    pub(super) fn word(&self, name: &str, otherwise: &'static str) -> Result<&'a str, Refused> {
        let Some(text) = self.attribute(name).and_then(|it| it.text) else { return Ok(otherwise) };
        std::str::from_utf8(text).map_err(|_| format!("attribute {name} is no text").into())
    }

    /// The tensor in attribute `name`.
    pub(super) fn tensor(&self, name: &str) -> Result<Option<Constant>, Refused> {
        let tensor = self.attribute(name).and_then(|it| it.tensor.as_ref());
        let constant = tensor.map(super::constant::constant).transpose();
        constant.map_err(|error| Refused(error.to_string()))
    }

    /// The axes in input `at` or attribute `axes`; none where there are none.
    pub(super) fn axes(&self, at: usize) -> Result<Option<Vec<i64>>, Refused> {
        if self.has(at) {
            return Ok(Some(self.constant_ints(at)?.to_vec()));
        }
        Ok(self.has_attribute("axes").then(|| self.ints("axes").to_vec()))
    }
}

/// Input `at` is of a type that the operator does not take.
pub(super) fn wrong(at: usize, found: Element) -> Refused {
    format!("input {} is {}, which it does not take here", at + 1, found.name()).into()
}
