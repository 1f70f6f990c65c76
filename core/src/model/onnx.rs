//! Which columns of a table a graph of ONNX reads.
//!
//! Planning asks this of a file without an engine, and the engine asks it again: both get the
//! columns from [`columns_of`], so that a run has the same fingerprint whoever plans it.

use std::collections::BTreeSet;

use thiserror::Error;

use super::wire::{Fields, InvalidWire, Value};

/// Most columns that a graph reads, over all of its inputs.
pub const COLUMNS_MAX: usize = 4096;
/// Longest name of an input, an output, a node or a value, in bytes.
pub const NAME_BYTES_MAX: usize = 1024;
/// Most axes of an input.
const AXES_MAX: usize = 8;
/// Characters of a name that a message shows.
const SHOWN_CHARS: usize = 60;

/// An input or an output of a graph, as the file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Type of its elements, as `TensorProto.DataType` numbers them; 0 where it is no tensor.
    pub element: u64,
    /// Length of each axis; none where it may be any.
    pub axes: Vec<Option<u64>>,
}

/// An input with the columns that it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputColumns {
    /// The input.
    pub input: Declared,
    /// Names of the columns, one for each element of a row.
    pub columns: Vec<String>,
}

/// Why no columns can be named.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidInputs {
    /// The bytes are no protocol buffer.
    #[error("it is damaged")]
    Wire(#[from] InvalidWire),
    /// A name is no text, empty, or too long.
    #[error("an input or output has no name, or one of more than {NAME_BYTES_MAX} bytes")]
    Name,
    /// Two inputs have one name.
    #[error("two inputs are called `{name}`: export the model again")]
    Twice {
        /// The name.
        name: String,
    },
    /// An input has more axes than a table gives.
    #[error(
        "input `{name}` has {axes} axes, and a table gives inputs of [rows] or [rows, columns]: export a model that reads a table"
    )]
    Axes {
        /// The input.
        name: String,
        /// Its axes.
        axes: usize,
    },
    /// The first axis of an input is of a fixed length.
    #[error(
        "input `{name}` takes exactly {rows} rows at a time: export the model with a first axis that may have any length (skl2onnx: [None, 1]; torch: dynamic_axes)"
    )]
    FixedRows {
        /// The input.
        name: String,
        /// Rows that it takes.
        rows: u64,
    },
    /// An input is made of many columns, and nothing says of which.
    #[error("input `{name}` is made of {width}: name them in their order in spec.task.columns")]
    Unnamed {
        /// The input.
        name: String,
        /// How many there are.
        width: String,
    },
    /// Another number of columns is named than the inputs are made of.
    #[error(
        "spec.task.columns names {named} columns, and the inputs of the model are made of {wanted}: {inputs}"
    )]
    Count {
        /// Columns that are named.
        named: usize,
        /// Columns of all inputs.
        wanted: String,
        /// The inputs with their widths.
        inputs: String,
    },
    /// The inputs are made of more columns than are read.
    #[error("the inputs are made of more than {COLUMNS_MAX} columns: use a model that reads fewer")]
    TooMany,
    /// The graph reads nothing.
    #[error("the graph has no inputs: export a model that reads a table")]
    None,
}

/// The input or output that the bytes of a `ValueInfoProto` declare.
///
/// # Errors
/// If the bytes are damaged, or the name cannot be one.
pub fn declared(bytes: &[u8]) -> Result<Declared, InvalidInputs> {
    let mut declared = Declared { name: String::new(), element: 0, axes: Vec::new() };
    for field in Fields::of(bytes) {
        match field? {
            (1, Value::Bytes(name)) => declared.name = name_of(name)?,
            // TypeProto, of which field 1 is a tensor.
            (2, Value::Bytes(kind)) => {
                for field in Fields::of(kind) {
                    if let (1, Value::Bytes(tensor)) = field? {
                        tensor_type(tensor, &mut declared)?;
                    }
                }
            }
            _ => {}
        }
    }
    if declared.name.is_empty() { Err(InvalidInputs::Name) } else { Ok(declared) }
}

/// `bytes` as a name.
///
/// # Errors
/// If they are no text, or longer than [`NAME_BYTES_MAX`].
pub fn name_of(bytes: &[u8]) -> Result<String, InvalidInputs> {
    let name = std::str::from_utf8(bytes).ok().filter(|name| name.len() <= NAME_BYTES_MAX);
    name.map(str::to_owned).ok_or(InvalidInputs::Name)
}

fn tensor_type(bytes: &[u8], declared: &mut Declared) -> Result<(), InvalidInputs> {
    for field in Fields::of(bytes) {
        match field? {
            (1, Value::Varint(element)) => declared.element = element,
            (2, Value::Bytes(shape)) => {
                for field in Fields::of(shape) {
                    let (1, Value::Bytes(axis)) = field? else { continue };
                    if declared.axes.len() == AXES_MAX {
                        let name = shown(&declared.name);
                        return Err(InvalidInputs::Axes { name, axes: AXES_MAX + 1 });
                    }
                    let mut length = None;
                    for field in Fields::of(axis) {
                        // Exporters write -1 and 0 too for "any".
                        if let (1, Value::Varint(fixed)) = field? {
                            length = Some(fixed).filter(|fixed| *fixed as i64 > 0);
                        }
                    }
                    declared.axes.push(length);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The columns of each of `inputs`: `named` ones in their order, or, where none are named, those
/// that have the names of the inputs.
///
/// # Errors
/// If the inputs cannot be made of columns, or are made of others than are named.
pub fn columns_of(
    inputs: &[Declared],
    named: &[String],
) -> Result<Vec<InputColumns>, InvalidInputs> {
    let mut names = BTreeSet::new();
    if let Some(twice) = inputs.iter().find(|input| !names.insert(input.name.as_str())) {
        return Err(InvalidInputs::Twice { name: shown(&twice.name) });
    }
    if inputs.is_empty() {
        return Err(InvalidInputs::None);
    }
    let mut widths = inputs.iter().map(width).collect::<Result<Vec<_>, _>>()?;
    let known = widths.iter().flatten().fold(0_usize, |sum, width| sum.saturating_add(*width));
    if known > COLUMNS_MAX || inputs.len() > COLUMNS_MAX {
        return Err(InvalidInputs::TooMany);
    }
    if named.is_empty() {
        if let Some((input, width)) =
            inputs.iter().zip(&widths).find(|(_, width)| width.is_some_and(|width| width != 1))
        {
            let width = width.map_or_else(String::new, |width| format!("{width} columns"));
            return Err(InvalidInputs::Unnamed { name: shown(&input.name), width });
        }
        if let Some((input, _)) = inputs.iter().zip(&widths).find(|(_, width)| width.is_none()) {
            let width = "columns, and does not say of how many".to_owned();
            return Err(InvalidInputs::Unnamed { name: shown(&input.name), width });
        }
        let own = inputs
            .iter()
            .map(|input| InputColumns { input: input.clone(), columns: vec![input.name.clone()] });
        return Ok(own.collect());
    }
    // What one input leaves open follows from how many columns there are.
    let open = widths.iter().filter(|width| width.is_none()).count();
    if open == 1
        && let Some(left) = named.len().checked_sub(known).filter(|left| *left > 0)
        && let Some(width) = widths.iter_mut().find(|width| width.is_none())
    {
        *width = Some(left);
    }
    let total = widths.iter().try_fold(0_usize, |sum, width| width.map(|width| sum + width));
    if total != Some(named.len()) {
        return Err(miscounted(inputs, &widths, known, named.len()));
    }
    let mut rest = named.iter();
    let made = inputs.iter().zip(&widths).map(|(input, width)| InputColumns {
        input: input.clone(),
        columns: rest.by_ref().take(width.unwrap_or_default()).cloned().collect(),
    });
    Ok(made.collect())
}

/// Elements of a row of `input`; none where it leaves that open.
fn width(input: &Declared) -> Result<Option<usize>, InvalidInputs> {
    if let Some(Some(rows)) = input.axes.first() {
        return Err(InvalidInputs::FixedRows { name: shown(&input.name), rows: *rows });
    }
    match input.axes.get(1..).unwrap_or_default() {
        // Without a shape anything goes; a column is the simplest.
        [] => Ok(Some(1)),
        [width] => Ok(width.map(|width| usize::try_from(width).unwrap_or(usize::MAX))),
        _ => Err(InvalidInputs::Axes { name: shown(&input.name), axes: input.axes.len() }),
    }
}

fn miscounted(
    inputs: &[Declared],
    widths: &[Option<usize>],
    known: usize,
    named: usize,
) -> InvalidInputs {
    /// Inputs that a message lists.
    const SHOWN: usize = 8;
    let mut listed: Vec<String> = inputs
        .iter()
        .zip(widths)
        .take(SHOWN)
        .map(|(input, width)| {
            let width = width.map_or_else(|| "any number".to_owned(), |width| width.to_string());
            format!("{} ({width})", shown(&input.name))
        })
        .collect();
    if inputs.len() > SHOWN {
        listed.push(format!("and {} more", inputs.len() - SHOWN));
    }
    let open = widths.iter().any(Option::is_none);
    let wanted = if open { format!("more than {known}") } else { known.to_string() };
    InvalidInputs::Count { named, wanted, inputs: listed.join(", ") }
}

/// As much of a name as a message shows.
pub fn shown(name: &str) -> String {
    name.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, axes: &[Option<u64>]) -> Declared {
        Declared { name: name.to_owned(), element: 1, axes: axes.to_vec() }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn columns(inputs: &[Declared], named: &[&str]) -> Vec<Vec<String>> {
        let made = columns_of(inputs, &names(named)).unwrap();
        made.into_iter().map(|input| input.columns).collect()
    }

    fn refused(inputs: &[Declared], named: &[&str]) -> String {
        columns_of(inputs, &names(named)).unwrap_err().to_string()
    }

    #[test]
    fn inputs_of_one_column_have_their_names() {
        let inputs = [input("a", &[None, Some(1)]), input("b", &[None]), input("c", &[])];
        assert_eq!(columns(&inputs, &[]), [["a"], ["b"], ["c"]]);
        assert_eq!(columns(&inputs, &["x", "y", "z"]), [["x"], ["y"], ["z"]]);
    }

    #[test]
    fn a_matrix_is_made_of_the_columns_that_are_named() {
        let fixed = [input("a", &[None, Some(1)]), input("x", &[None, Some(2)])];
        assert_eq!(columns(&fixed, &["p", "q", "r"]), [names(&["p"]), names(&["q", "r"])]);
        let open = [input("a", &[None, None]), input("x", &[None, Some(2)])];
        assert_eq!(columns(&open, &["p", "q", "r"]), [names(&["p"]), names(&["q", "r"])]);
        assert!(refused(&fixed, &[]).starts_with("input `x` is made of 2 columns: name them"));
        assert!(refused(&open[..1], &[]).contains("does not say of how many"));
        assert_eq!(
            refused(&fixed, &["p"]),
            "spec.task.columns names 1 columns, and the inputs of the model are made of 3: a (1), x (2)"
        );
        assert!(refused(&open, &["p", "q"]).contains("more than 2: a (any number), x (2)"));
    }

    #[test]
    fn what_no_table_gives_is_refused() {
        let fixed = [input("a", &[Some(1), Some(3)])];
        assert!(refused(&fixed, &["p", "q", "r"]).contains("takes exactly 1 rows at a time"));
        assert!(refused(&[input("a", &[None, Some(3), Some(2)])], &[]).contains("has 3 axes"));
        assert!(refused(&[input("a", &[None, Some(u64::MAX)])], &[]).contains("more than 4096"));
        assert!(refused(&[input("a", &[]), input("a", &[])], &[]).contains("two inputs"));
        assert!(refused(&[], &[]).contains("no inputs"));
    }

    #[test]
    fn a_declaration_is_read() {
        // a: tensor(float), [N, 2]
        let bytes = [
            0x0a, 1, b'a', 0x12, 15, 0x0a, 13, 0x08, 1, 0x12, 9, 0x0a, 3, 0x12, 1, b'N', 0x0a, 2,
            0x08, 2,
        ];
        assert_eq!(declared(&bytes).unwrap(), input("a", &[None, Some(2)]));
        assert_eq!(declared(&[]).unwrap_err(), InvalidInputs::Name);
        for end in 0..bytes.len() {
            let _ = declared(&bytes[..end]);
        }
    }
}
