//! The file as messages: names and numbers of fields as in `onnx.proto3`.

use nightshift_core::model::onnx::{Declared, NAME_BYTES_MAX, declared, shown};
use nightshift_core::model::wire::{Fields, Value, varint};

use super::error::OnnxError;
use super::{AXES_MAX, LIST_ELEMENTS_MAX, NODES_MAX, OPERANDS_MAX, TENSORS_MAX};

/// Most attributes of a node.
const ATTRIBUTES_MAX: usize = 64;
/// Most operator sets of a file.
const OPSETS_MAX: usize = 64;

/// A file.
#[derive(Debug, Default)]
pub(super) struct File<'a> {
    /// Domains and versions of the operators.
    pub(super) opsets: Vec<(&'a str, u64)>,
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) tensors: Vec<Tensor<'a>>,
    pub(super) inputs: Vec<Declared>,
    pub(super) outputs: Vec<Declared>,
}

/// A node of a graph.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) name: &'a str,
    pub(super) op: &'a str,
    pub(super) domain: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// An attribute of a node.
#[derive(Debug, Default)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) float: Option<f32>,
    pub(super) int: Option<i64>,
    pub(super) text: Option<&'a [u8]>,
    pub(super) tensor: Option<Tensor<'a>>,
    pub(super) floats: Vec<f32>,
    pub(super) ints: Vec<i64>,
    pub(super) texts: Vec<&'a [u8]>,
}

/// A tensor: its shape and where its elements are.
#[derive(Debug, Default)]
pub(super) struct Tensor<'a> {
    pub(super) name: &'a str,
    pub(super) dims: Vec<u64>,
    pub(super) element: u64,
    /// Little-endian elements.
    pub(super) raw: Option<&'a [u8]>,
    /// Packed elements of the field for their type, and its number.
    pub(super) packed: Vec<(u64, Value<'a>)>,
    pub(super) texts: Vec<&'a [u8]>,
    pub(super) is_external: bool,
}

/// Reads a file; `budget` is what is left of [`LIST_ELEMENTS_MAX`].
struct Reader {
    budget: usize,
}

/// The file that `bytes` hold.
pub(super) fn parse(bytes: &[u8]) -> Result<File<'_>, OnnxError> {
    let mut reader = Reader { budget: LIST_ELEMENTS_MAX };
    let (mut file, mut has_graph) = (File::default(), false);
    for field in fields(bytes, "model") {
        match field? {
            (7, Value::Bytes(graph)) => {
                has_graph = true;
                reader.graph(graph, &mut file)?;
            }
            (8, Value::Bytes(opset)) => {
                at_most("operator sets", file.opsets.len(), OPSETS_MAX)?;
                let (mut domain, mut version) = ("", 0);
                for field in fields(opset, "operator sets") {
                    match field? {
                        (1, Value::Bytes(name)) => domain = text(name, "operator sets")?,
                        (2, Value::Varint(number)) => version = number,
                        _ => {}
                    }
                }
                file.opsets.push((domain, version));
            }
            (25, _) => return Err(OnnxError::Extra { what: "functions" }),
            _ => {}
        }
    }
    if has_graph { Ok(file) } else { Err(OnnxError::NoGraph) }
}

impl Reader {
    fn graph<'a>(&mut self, bytes: &'a [u8], file: &mut File<'a>) -> Result<(), OnnxError> {
        for field in fields(bytes, "graph") {
            match field? {
                (1, Value::Bytes(node)) => {
                    at_most("nodes", file.nodes.len(), NODES_MAX)?;
                    file.nodes.push(self.node(node)?);
                }
                (5, Value::Bytes(bytes)) => {
                    at_most("tensors", file.tensors.len(), TENSORS_MAX)?;
                    file.tensors.push(self.tensor(bytes)?);
                }
                (11, Value::Bytes(input)) => {
                    at_most("inputs", file.inputs.len(), OPERANDS_MAX + TENSORS_MAX)?;
                    file.inputs.push(declared(input)?);
                }
                (12, Value::Bytes(output)) => {
                    at_most("outputs", file.outputs.len(), OPERANDS_MAX)?;
                    file.outputs.push(declared(output)?);
                }
                (15, _) => return Err(OnnxError::Extra { what: "sparse tensors" }),
                _ => {}
            }
        }
        Ok(())
    }

    fn node<'a>(&mut self, bytes: &'a [u8]) -> Result<Node<'a>, OnnxError> {
        let mut node = Node::default();
        for field in fields(bytes, "nodes") {
            match field? {
                (1, Value::Bytes(name)) => {
                    at_most("inputs of a node", node.inputs.len(), OPERANDS_MAX)?;
                    node.inputs.push(text(name, "nodes")?);
                }
                (2, Value::Bytes(name)) => {
                    at_most("outputs of a node", node.outputs.len(), OPERANDS_MAX)?;
                    node.outputs.push(text(name, "nodes")?);
                }
                (3, Value::Bytes(name)) => node.name = text(name, "nodes")?,
                (4, Value::Bytes(name)) => node.op = text(name, "nodes")?,
                (5, Value::Bytes(attribute)) => {
                    at_most("attributes of a node", node.attributes.len(), ATTRIBUTES_MAX)?;
                    node.attributes.push(self.attribute(attribute)?);
                }
                (7, Value::Bytes(name)) => {
                    let domain = text(name, "nodes")?;
                    // Two names of one domain.
                    node.domain = if domain == "ai.onnx" { "" } else { domain };
                }
                _ => {}
            }
        }
        Ok(node)
    }

    fn attribute<'a>(&mut self, bytes: &'a [u8]) -> Result<Attribute<'a>, OnnxError> {
        let mut made = Attribute::default();
        for field in fields(bytes, "attributes") {
            match field? {
                (1, Value::Bytes(name)) => made.name = text(name, "attributes")?,
                (2, Value::Fixed32(float)) => made.float = Some(f32::from_le_bytes(float)),
                (3, Value::Varint(int)) => made.int = Some(int as i64),
                (4, Value::Bytes(text)) => made.text = Some(text),
                (5, Value::Bytes(tensor)) => made.tensor = Some(self.tensor(tensor)?),
                (6 | 11, _) => return Err(OnnxError::Extra { what: "graphs within nodes" }),
                (7, Value::Fixed32(float)) => {
                    self.take(1)?;
                    made.floats.push(f32::from_le_bytes(float));
                }
                (7, Value::Bytes(packed)) => {
                    let floats = packed.as_chunks::<4>().0;
                    self.take(floats.len())?;
                    made.floats.extend(floats.iter().copied().map(f32::from_le_bytes));
                }
                (8, Value::Varint(int)) => {
                    self.take(1)?;
                    made.ints.push(int as i64);
                }
                (8, Value::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        self.take(1)?;
                        let int =
                            varint(&mut packed).map_err(|source| wire("attributes", source))?;
                        made.ints.push(int as i64);
                    }
                }
                (9, Value::Bytes(text)) => {
                    self.take(1)?;
                    made.texts.push(text);
                }
                (10 | 22 | 23, _) => return Err(OnnxError::Extra { what: "lists of tensors" }),
                _ => {}
            }
        }
        Ok(made)
    }

    fn tensor<'a>(&mut self, bytes: &'a [u8]) -> Result<Tensor<'a>, OnnxError> {
        let mut made = Tensor::default();
        for field in fields(bytes, "tensors") {
            match field? {
                (1, Value::Varint(dim)) => made.dims.push(dim),
                (1, Value::Bytes(mut packed)) => {
                    while !packed.is_empty() && made.dims.len() <= AXES_MAX {
                        let dim = varint(&mut packed).map_err(|source| wire("tensors", source))?;
                        made.dims.push(dim);
                    }
                }
                (2, Value::Varint(element)) => made.element = element,
                (field @ (4 | 5 | 7 | 10 | 11), value) => {
                    self.take(1)?;
                    made.packed.push((field, value));
                }
                (6, Value::Bytes(text)) => {
                    self.take(1)?;
                    made.texts.push(text);
                }
                (8, Value::Bytes(name)) => made.name = text(name, "tensors")?,
                (9, Value::Bytes(raw)) => made.raw = Some(raw),
                (13, _) => made.is_external = true,
                (14, Value::Varint(location)) => made.is_external |= location != 0,
                _ => {}
            }
            if made.dims.len() > AXES_MAX {
                let problem = format!("has more than {AXES_MAX} axes");
                return Err(OnnxError::Tensor { tensor: shown(made.name), problem });
            }
        }
        Ok(made)
    }

    /// Takes `count` elements off what all lists may have.
    fn take(&mut self, count: usize) -> Result<(), OnnxError> {
        match self.budget.checked_sub(count) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => {
                let (what, limit) = ("elements in lists of attributes or more", LIST_ELEMENTS_MAX);
                Err(OnnxError::TooMany { what, found: limit + count, limit })
            }
        }
    }
}

fn wire(what: &'static str, source: nightshift_core::model::wire::InvalidWire) -> OnnxError {
    OnnxError::Wire { what, source }
}

fn fields<'a>(
    bytes: &'a [u8],
    what: &'static str,
) -> impl Iterator<Item = Result<(u64, Value<'a>), OnnxError>> {
    Fields::of(bytes).map(move |field| field.map_err(|source| wire(what, source)))
}

fn text<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a str, OnnxError> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= NAME_BYTES_MAX);
    text.ok_or(OnnxError::Text { what })
}

/// Whether one more may follow `len`.
fn at_most(what: &'static str, len: usize, limit: usize) -> Result<(), OnnxError> {
    if len < limit { Ok(()) } else { Err(OnnxError::TooMany { what, found: len + 1, limit }) }
}
