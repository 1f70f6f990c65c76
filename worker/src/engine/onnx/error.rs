//! Why a graph cannot be used.

use nightshift_core::model::onnx::{InvalidInputs, shown};
use nightshift_core::model::wire::InvalidWire;
use thiserror::Error;

use super::proto::Node;

/// Why a graph cannot be used.
#[derive(Debug, Error)]
pub enum OnnxError {
    /// There is no `model.onnx`.
    #[error(
        "there is no such file: a model of `kind: onnx` is a folder with `model.onnx`, name or copy the file so"
    )]
    NoFile,
    /// The bytes are no protocol buffer.
    #[error("its {what} cannot be read: the file is damaged or no ONNX, copy or export it again")]
    Wire {
        /// The part of the file.
        what: &'static str,
        /// What is wrong.
        #[source]
        source: InvalidWire,
    },
    /// A name or text is not UTF-8, or too long.
    #[error("its {what} has a name that is no text or too long: export the model again")]
    Text {
        /// The part of the file.
        what: &'static str,
    },
    /// The file has no graph.
    #[error("it has no graph: the file is damaged or no ONNX, copy or export it again")]
    NoGraph,
    /// There is more of something than is read.
    #[error("it has {found} {what}, and at most {limit} are read: use a smaller model")]
    TooMany {
        /// What is too many.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A tensor lies in another file.
    #[error(
        "tensor `{tensor}` lies in another file, which is never read: save the model with its data inside (onnx.save(model, path))"
    )]
    External {
        /// The tensor.
        tensor: String,
    },
    /// A tensor cannot be used.
    #[error("tensor `{tensor}` {problem}: export the model again")]
    Tensor {
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The operator set of a domain is not known.
    #[error(
        "it uses operator set {version} of {domain}, and {oldest} to {newest} are known: export it with target_opset={newest}"
    )]
    Opset {
        /// The domain.
        domain: String,
        /// Its version.
        version: u64,
        /// The oldest that is known.
        oldest: u64,
        /// The newest that is known.
        newest: u64,
    },
    /// The domain is not known.
    #[error(
        "it uses operators of the domain `{domain}`, and those of ai.onnx and ai.onnx.ml are known: export it with standard operators"
    )]
    Domain {
        /// The domain.
        domain: String,
    },
    /// Functions or training information.
    #[error("it has {what}, which are not known here: export it for inference, without them")]
    Extra {
        /// What there is.
        what: &'static str,
    },
    /// An operator is not known.
    #[error(
        "node {node} is not possible here: docs/models.md lists the operators that are, export a model of those"
    )]
    Operator {
        /// Operator and name of the node.
        node: String,
    },
    /// An operator is used in a way that is not possible here.
    #[error("node {node}: {problem}")]
    Node {
        /// Operator and name of the node.
        node: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A value is read before it is made.
    #[error(
        "node {node} reads `{value}`, which nothing before it makes: nodes must be in order and without cycles, export the model again"
    )]
    Order {
        /// Operator and name of the node.
        node: String,
        /// The value.
        value: String,
    },
    /// Two things make one value.
    #[error("`{value}` is made twice: export the model again")]
    Twice {
        /// The value.
        value: String,
    },
    /// The inputs cannot be made of columns.
    #[error("its inputs cannot be made of columns")]
    Inputs {
        /// Why.
        #[from]
        source: InvalidInputs,
    },
    /// An input is of a type that no column has.
    #[error(
        "input `{input}` is no tensor of numbers, booleans or text: export a model that reads a table"
    )]
    InputType {
        /// The input.
        input: String,
    },
    /// An output that is asked for does not exist.
    #[error("spec.task.outputs names `{output}`, and the outputs of the model are {known}")]
    NoOutput {
        /// The name.
        output: String,
        /// The outputs that there are.
        known: String,
    },
    /// An output cannot be written.
    #[error("output `{output}` {problem}: name other outputs in spec.task.outputs")]
    Output {
        /// The output.
        output: String,
        /// Why.
        problem: String,
    },
}

impl OnnxError {
    /// A node that is used in a way that is not possible here.
    pub(super) fn node(node: &Node<'_>, problem: Refused) -> Self {
        Self::Node { node: described(node), problem: problem.0 }
    }
}

/// Operator and name of a node, for messages.
pub(super) fn described(node: &Node<'_>) -> String {
    let domain = if node.domain.is_empty() { "ai.onnx" } else { node.domain };
    let name = if node.name.is_empty() {
        node.outputs.first().map(|output| format!("that makes `{}`", shown(output)))
    } else {
        Some(format!("`{}`", shown(node.name)))
    };
    format!("{} {} ({})", shown(node.op), name.unwrap_or_default(), shown(domain))
}

/// Why a node is not possible, and what to do.
#[derive(Debug)]
pub(super) struct Refused(pub(super) String);

impl<T: Into<String>> From<T> for Refused {
    fn from(problem: T) -> Self {
        Self(problem.into())
    }
}
