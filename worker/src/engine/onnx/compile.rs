//! From the nodes of a graph to steps, in their order.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use nightshift_core::model::onnx::{InputColumns, columns_of, shown};
use nightshift_core::plan::OnnxSettings;

use super::constant::constant;
use super::error::{OnnxError, Refused, described};
use super::ops::{Built, Missing, Site, Step, Unknown, find};
use super::proto::{File, Node};
use super::value::{Constant, Data, Element, Kind, Operand, range};
use super::{CONSTANT_ELEMENTS_MAX, ML_OPSET_MAX, OPSET_MAX, OPSET_MIN, WIDTHS_MAX, WORK_MAX};

/// A graph, ready to be computed.
pub(super) struct Program {
    pub(super) inputs: Vec<Input>,
    pub(super) steps: Vec<Placed>,
    pub(super) outputs: Vec<Output>,
    /// Values that depend on the input.
    pub(super) slots: usize,
    /// Elements of a row in all values.
    pub(super) width: usize,
    /// Operations for a row, about.
    pub(super) work: usize,
    /// Bytes of weights.
    pub(super) bytes: usize,
}

/// An input of the graph; inputs are the first slots, in their order.
pub(super) struct Input {
    pub(super) columns: Vec<String>,
    pub(super) element: Element,
    /// The smallest and largest whole number that it takes.
    pub(super) range: (i64, i64),
    /// Whether a missing value may be NaN.
    pub(super) takes_missing: bool,
    pub(super) order: Order,
}

/// How the values of an input lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Row after row, as all other values do.
    Rows,
    /// Column after column, as it is read: for steps that would turn rows into columns again.
    Columns,
}

/// A step with its place.
pub(super) struct Placed {
    pub(super) reads: Vec<Read>,
    pub(super) writes: Vec<usize>,
    pub(super) step: Step,
    by_column: Option<Step>,
    missing: Missing,
    /// Values that nobody reads any more.
    pub(super) frees: Vec<usize>,
}

/// What a step reads.
pub(super) enum Read {
    Nothing,
    Slot(usize),
    Constant(Arc<Data>),
}

/// An output that is written.
pub(super) struct Output {
    pub(super) name: String,
    pub(super) slot: usize,
    pub(super) kind: Kind,
}

/// Compiles `file` for `settings`.
pub(super) fn compile(file: &File<'_>, settings: &OnnxSettings) -> Result<Program, OnnxError> {
    check_opsets(file)?;
    if let Some(tensor) = file.tensors.iter().find(|tensor| tensor.is_external) {
        return Err(OnnxError::External { tensor: shown(tensor.name) });
    }
    let outputs = chosen(file, settings)?;
    let needed = needed(file, &outputs);
    let mut compiler = Compiler::new(file, settings, &needed)?;
    for node in &file.nodes {
        if node.outputs.iter().any(|output| needed.contains(output)) {
            compiler.node(node)?;
        }
    }
    compiler.finish(outputs)
}

fn check_opsets(file: &File<'_>) -> Result<(), OnnxError> {
    for (domain, version) in &file.opsets {
        let (oldest, newest) = match *domain {
            "" | "ai.onnx" => (OPSET_MIN, OPSET_MAX),
            "ai.onnx.ml" => (1, ML_OPSET_MAX),
            // What no node uses does not matter.
            _ => continue,
        };
        if !(oldest..=newest).contains(version) {
            let domain = if domain.is_empty() { "ai.onnx" } else { domain }.to_owned();
            return Err(OnnxError::Opset { domain, version: *version, oldest, newest });
        }
    }
    Ok(())
}

/// Names of the outputs that are written.
fn chosen(file: &File<'_>, settings: &OnnxSettings) -> Result<Vec<String>, OnnxError> {
    let known: Vec<&str> = file.outputs.iter().map(|output| output.name.as_str()).collect();
    let mut seen = BTreeSet::new();
    if let Some(twice) = known.iter().find(|name| !seen.insert(**name)) {
        return Err(OnnxError::Twice { value: shown(twice) });
    }
    if settings.outputs.is_empty() {
        return Ok(known.into_iter().map(str::to_owned).collect());
    }
    if let Some(output) = settings.outputs.iter().find(|name| !seen.contains(name.as_str())) {
        let known = known.iter().take(20).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
        return Err(OnnxError::NoOutput { output: shown(output), known });
    }
    Ok(settings.outputs.clone())
}

/// The values that `outputs` need, each other included.
fn needed<'a>(file: &'a File<'_>, outputs: &'a [String]) -> BTreeSet<&'a str> {
    let mut needed: BTreeSet<&str> = outputs.iter().map(String::as_str).collect();
    for node in file.nodes.iter().rev() {
        if node.outputs.iter().any(|output| needed.contains(output)) {
            needed.extend(node.inputs.iter().filter(|input| !input.is_empty()));
        }
    }
    needed
}

struct Compiler<'a> {
    opsets: &'a [(&'a str, u64)],
    values: HashMap<&'a str, Operand>,
    inputs: Vec<Input>,
    steps: Vec<Placed>,
    slots: usize,
    width: usize,
    folded: usize,
    folded_work: usize,
    work: usize,
    bytes: usize,
}

impl<'a> Compiler<'a> {
    fn new(
        file: &'a File<'a>,
        settings: &OnnxSettings,
        needed: &BTreeSet<&str>,
    ) -> Result<Self, OnnxError> {
        let mut made = Self {
            opsets: &file.opsets,
            values: HashMap::new(),
            inputs: Vec::new(),
            steps: Vec::new(),
            slots: 0,
            width: 0,
            folded: 0,
            folded_work: 0,
            work: 0,
            bytes: 0,
        };
        let mut names = BTreeSet::new();
        for tensor in &file.tensors {
            if !names.insert(tensor.name) {
                return Err(OnnxError::Twice { value: shown(tensor.name) });
            }
            if needed.contains(tensor.name) {
                let constant = constant(tensor)?;
                made.bytes += constant.data.bytes();
                made.values.insert(tensor.name, Operand::Constant(constant));
            }
        }
        // Files of the first versions list weights among the inputs.
        let own = file.inputs.iter().filter(|input| !names.contains(input.name.as_str()));
        let declared: Vec<_> = own.clone().cloned().collect();
        let columns = columns_of(&declared, &settings.columns)?;
        for (declared, InputColumns { input, columns }) in own.zip(columns) {
            let element = Element::of_code(input.element)
                .ok_or_else(|| OnnxError::InputType { input: shown(&input.name) })?;
            let shape = if input.axes.len() < 2 { Vec::new() } else { vec![columns.len()] };
            let kind = Kind::new(element, shape);
            let slot = made.slot(&kind);
            made.values.insert(declared.name.as_str(), Operand::Rows { slot, kind });
            let range = range(input.element);
            made.inputs.push(Input {
                columns,
                element,
                range,
                takes_missing: false,
                order: Order::Rows,
            });
        }
        Ok(made)
    }

    fn slot(&mut self, kind: &Kind) -> usize {
        self.width = self.width.saturating_add(kind.width());
        self.slots += 1;
        self.slots - 1
    }

    fn node(&mut self, node: &'a Node<'a>) -> Result<(), OnnxError> {
        let operator = match node.domain {
            "" | "ai.onnx.ml" => find(node.domain, node.op),
            domain => return Err(OnnxError::Domain { domain: shown(domain) }),
        };
        let is_shape = node.domain.is_empty() && node.op == "Shape";
        if operator.is_none() && !is_shape {
            return Err(OnnxError::Operator { node: described(node) });
        }
        let same = |domain: &str| if domain == "ai.onnx" { "" } else { domain } == node.domain;
        let opset =
            self.opsets.iter().find(|(domain, _)| same(domain)).map(|(_, version)| *version);
        let Some(opset) = opset else {
            let domain = if node.domain.is_empty() { "ai.onnx" } else { node.domain };
            let problem = format!("the file does not say which operator set of {domain} it uses");
            return Err(OnnxError::node(node, problem.into()));
        };
        let mut operands = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            operands.push(match (input.is_empty(), self.values.get(input)) {
                (true, _) => Operand::Absent,
                (false, Some(value)) => value.clone(),
                (false, None) => {
                    let (node, value) = (described(node), shown(input));
                    return Err(OnnxError::Order { node, value });
                }
            });
        }
        let Some(operator) = operator else { return self.shape(node, operands.first()) };
        if let Some(other) = node.attributes.iter().find(|it| !operator.knows(it.name)) {
            let problem = format!("attribute `{}` is not known here", shown(other.name));
            return Err(OnnxError::node(node, problem.into()));
        }
        let site = Site { node, operands: &operands, opset };
        let built = (operator.build)(&site).map_err(|problem| OnnxError::node(node, problem))?;
        self.bytes = self.bytes.saturating_add(built.bytes);
        match site.has_rows() {
            true => self.place(node, &operands, built),
            false => self.fold(node, &operands, built),
        }
    }

    /// The shape of a value: a constant, or that of rows.
    fn shape(&mut self, node: &'a Node<'a>, operand: Option<&Operand>) -> Result<(), OnnxError> {
        let refused = |problem: &str| OnnxError::node(node, problem.into());
        if !node.attributes.is_empty() {
            return Err(refused("start and end are not known here"));
        }
        let value = match operand {
            Some(Operand::Rows { kind, .. }) if !kind.is_lying && kind.labels.is_none() => {
                Operand::ShapeOfRows(kind.shape.clone())
            }
            Some(Operand::Constant(constant)) => {
                let dims: Vec<i64> = constant.shape.iter().map(|dim| *dim as i64).collect();
                let (shape, data) = (vec![dims.len()], Arc::new(Data::Int(dims)));
                Operand::Constant(Constant { shape, data })
            }
            _ => return Err(refused("it asks for the shape of what has none here")),
        };
        let output = node.outputs.first().copied().unwrap_or_default();
        self.define(output, value)
    }

    fn define(&mut self, name: &'a str, value: Operand) -> Result<(), OnnxError> {
        if name.is_empty() {
            return Ok(());
        }
        match self.values.insert(name, value) {
            None => Ok(()),
            Some(_) => Err(OnnxError::Twice { value: shown(name) }),
        }
    }

    /// Adds a step.
    fn place(
        &mut self,
        node: &'a Node<'a>,
        operands: &[Operand],
        built: Built,
    ) -> Result<(), OnnxError> {
        let Built { kinds, step, by_column, missing, work, .. } = built;
        check_outputs(node, kinds.len())?;
        self.work = self.work.saturating_add(work);
        if self.work > WORK_MAX {
            let (what, found) = ("operations for a row", self.work);
            return Err(OnnxError::TooMany { what, found, limit: WORK_MAX });
        }
        let writes: Vec<usize> = kinds.iter().map(|kind| self.slot(kind)).collect();
        // What is prepared for a node is as large as its operands, each as wide as the result.
        let widest = kinds.iter().map(Kind::width).max().unwrap_or(0);
        self.width = self.width.saturating_add(widest.saturating_mul(operands.len()) / 4);
        if self.width > WIDTHS_MAX {
            let (what, found) = ("elements in all values of a row", self.width);
            return Err(OnnxError::TooMany { what, found, limit: WIDTHS_MAX });
        }
        for ((name, kind), slot) in node.outputs.iter().zip(kinds).zip(&writes) {
            self.define(name, Operand::Rows { slot: *slot, kind })?;
        }
        let read = |operand: &Operand| match operand {
            Operand::Rows { slot, .. } => Read::Slot(*slot),
            Operand::Constant(constant) => Read::Constant(Arc::clone(&constant.data)),
            Operand::Absent | Operand::ShapeOfRows(_) => Read::Nothing,
        };
        let reads = operands.iter().map(read).collect();
        self.steps.push(Placed { reads, writes, step, by_column, missing, frees: Vec::new() });
        Ok(())
    }

    /// Computes what depends on no input.
    fn fold(
        &mut self,
        node: &'a Node<'a>,
        operands: &[Operand],
        built: Built,
    ) -> Result<(), OnnxError> {
        check_outputs(node, built.kinds.len())?;
        self.folded_work = self.folded_work.saturating_add(built.work);
        if self.folded_work > WORK_MAX {
            let (what, found) = ("operations on values without input", self.folded_work);
            return Err(OnnxError::TooMany { what, found, limit: WORK_MAX });
        }
        for kind in &built.kinds {
            self.folded =
                self.folded.saturating_add(kind.width().saturating_mul(operands.len().max(1)));
        }
        if self.folded > CONSTANT_ELEMENTS_MAX {
            let (what, found) = ("elements of values without input", self.folded);
            return Err(OnnxError::TooMany { what, found, limit: CONSTANT_ELEMENTS_MAX });
        }
        let nothing = Data::Int(Vec::new());
        let data: Vec<&Data> = operands
            .iter()
            .map(|operand| match operand {
                Operand::Constant(constant) => &*constant.data,
                _ => &nothing,
            })
            .collect();
        let mut unknown = Unknown::default();
        let made = (built.step)(1, &data, &mut unknown);
        if let Some((_, category)) = unknown.0.first() {
            let problem = format!("`{}` is no category of it", shown(category));
            return Err(OnnxError::node(node, problem.into()));
        }
        for ((name, kind), data) in node.outputs.iter().zip(built.kinds).zip(made) {
            if data.len() != kind.width() {
                let problem = "its result has another size than its shape".to_owned();
                return Err(OnnxError::node(node, Refused(problem)));
            }
            self.define(
                name,
                Operand::Constant(Constant { shape: kind.shape, data: Arc::new(data) }),
            )?;
        }
        Ok(())
    }

    fn finish(mut self, outputs: Vec<String>) -> Result<Program, OnnxError> {
        let mut written = Vec::with_capacity(outputs.len());
        for name in outputs {
            match self.values.get(name.as_str()) {
                Some(Operand::Rows { slot, kind }) => {
                    written.push(Output { slot: *slot, kind: kind.clone(), name });
                }
                None => {
                    let (node, value) = ("of the end".to_owned(), shown(&name));
                    return Err(OnnxError::Order { node, value });
                }
                Some(_) => {
                    let problem = "does not depend on the rows".to_owned();
                    return Err(OnnxError::Output { output: shown(&name), problem });
                }
            }
        }
        self.follow_missing(&written);
        self.turn(&written);
        self.free(&written);
        let Self { inputs, steps, slots, width, work, bytes, .. } = self;
        Ok(Program { inputs, steps, outputs: written, slots, width, work, bytes })
    }

    /// Finds the inputs whose missing values reach only what has a rule for them.
    fn follow_missing(&mut self, outputs: &[Output]) {
        let mut takes = vec![true; self.slots];
        let mut refuse =
            |slot: usize| takes.iter_mut().skip(slot).take(1).for_each(|it| *it = false);
        outputs.iter().for_each(|output| refuse(output.slot));
        for placed in self.steps.iter().rev() {
            let all = match placed.missing {
                Missing::Handled => true,
                Missing::Spoils => false,
                Missing::Passes => placed.writes.iter().all(|slot| takes.get(*slot) == Some(&true)),
            };
            for read in placed.reads.iter().filter(|_| !all) {
                if let Read::Slot(slot) = read {
                    takes.iter_mut().skip(*slot).take(1).for_each(|it| *it = false);
                }
            }
        }
        for (input, takes) in self.inputs.iter_mut().zip(takes) {
            input.takes_missing = takes && matches!(input.element, Element::F32 | Element::F64);
        }
    }

    /// Leaves inputs column by column that only steps read which like it better so.
    fn turn(&mut self, outputs: &[Output]) {
        for (slot, input) in self.inputs.iter_mut().enumerate() {
            let is_own = |read: &Read| matches!(read, Read::Slot(own) if *own == slot);
            let likes = |placed: &Placed| {
                let others = placed.reads.iter().skip(1).filter(|read| is_own(read)).count();
                placed.by_column.is_some() && others == 0
            };
            let is_reader = |placed: &&Placed| placed.reads.iter().any(is_own);
            let mut readers = self.steps.iter().filter(is_reader).peekable();
            let is_written = outputs.iter().any(|output| output.slot == slot);
            let is_float = matches!(input.element, Element::F32 | Element::F64);
            if is_written || !is_float || readers.peek().is_none() || !readers.all(likes) {
                continue;
            }
            input.order = Order::Columns;
            for placed in self.steps.iter_mut().filter(|placed| is_reader(&&**placed)) {
                if let Some(step) = placed.by_column.take() {
                    placed.step = step;
                }
            }
        }
    }

    /// Says after which step each value may go.
    fn free(&mut self, outputs: &[Output]) {
        let mut kept: BTreeSet<usize> = outputs.iter().map(|output| output.slot).collect();
        for placed in self.steps.iter_mut().rev() {
            let reads = placed.reads.iter().filter_map(|read| match read {
                Read::Slot(slot) => Some(*slot),
                _ => None,
            });
            let own: Vec<usize> = reads.chain(placed.writes.iter().copied()).collect();
            placed.frees = own.into_iter().filter(|slot| kept.insert(*slot)).collect();
        }
    }
}

fn check_outputs(node: &Node<'_>, count: usize) -> Result<(), OnnxError> {
    match node.outputs.get(count..).unwrap_or_default().iter().find(|name| !name.is_empty()) {
        None => Ok(()),
        Some(name) => {
            let problem = format!("it makes `{}` too, which is not known here", shown(name));
            Err(OnnxError::node(node, problem.into()))
        }
    }
}
