//! What planning has to know of a graph of ONNX without an engine: the columns that it reads.
//!
//! The weights are passed over on the disk, so that planning takes little memory however large the
//! file is.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use nightshift_core::model::ONNX_FILE;
use nightshift_core::model::onnx::{
    COLUMNS_MAX, Declared, InvalidInputs, columns_of, declared, name_of,
};
use nightshift_core::model::wire::InvalidWire;

use super::{ModelError, hashing};

/// Longest declaration of an input, in bytes.
const DECLARATION_BYTES_MAX: u64 = 64 << 10;
/// Most tensors of a graph whose names are kept.
const TENSORS_MAX: usize = 100_000;

/// Numbers of fields, in `onnx.proto3`.
const MODEL_GRAPH: u64 = 7;
const GRAPH_INITIALIZER: u64 = 5;
const GRAPH_INPUT: u64 = 11;
const TENSOR_NAME: u64 = 8;

/// Names of the columns that the graph in `directory` reads, in the order of its inputs; `named`
/// is `spec.task.columns`. The rest of the graph is not looked at: the engine checks it.
///
/// # Errors
/// If the file cannot be read, or its inputs cannot be made of columns.
pub async fn graph_columns(directory: &Path, named: &[String]) -> Result<Vec<String>, ModelError> {
    let (path, named) = (directory.join(ONNX_FILE), named.to_vec());
    hashing(move || {
        let shown = || path.display().to_string();
        let file = File::open(&path).map_err(|source| ModelError::unreadable(&path, source))?;
        let columns = inputs(file).and_then(|inputs| Ok(columns_of(&inputs, &named)?));
        match columns {
            Ok(columns) => Ok(columns.into_iter().flat_map(|input| input.columns).collect()),
            Err(Skimmed::Io(source)) => Err(ModelError::unreadable(&path, source)),
            Err(Skimmed::Inputs(source)) => Err(ModelError::Graph { path: shown(), source }),
        }
    })
    .await
}

/// Why a file could not be looked through.
enum Skimmed {
    Io(io::Error),
    Inputs(InvalidInputs),
}

impl From<io::Error> for Skimmed {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => InvalidWire::Truncated.into(),
            _ => Self::Io(error),
        }
    }
}

impl From<InvalidInputs> for Skimmed {
    fn from(error: InvalidInputs) -> Self {
        Self::Inputs(error)
    }
}

impl From<InvalidWire> for Skimmed {
    fn from(error: InvalidWire) -> Self {
        Self::Inputs(error.into())
    }
}

/// The inputs of the graph that are no tensors of the file.
fn inputs(file: File) -> Result<Vec<Declared>, Skimmed> {
    let end = file.metadata()?.len();
    let mut skim = Skim { file: BufReader::new(file), at: 0 };
    let (mut inputs, mut tensors) = (Vec::new(), BTreeSet::new());
    while let Some((field, end)) = skim.message(end)? {
        if field != MODEL_GRAPH {
            skim.pass(end)?;
            continue;
        }
        while let Some((field, end)) = skim.message(end)? {
            match field {
                GRAPH_INPUT => {
                    if inputs.len() == COLUMNS_MAX {
                        return Err(InvalidInputs::TooMany.into());
                    }
                    inputs.push(declared(&skim.bytes(end)?)?);
                }
                GRAPH_INITIALIZER if tensors.len() < TENSORS_MAX => {
                    while let Some((field, end)) = skim.message(end)? {
                        if field == TENSOR_NAME {
                            tensors.insert(name_of(&skim.bytes(end)?)?);
                        }
                        skim.pass(end)?;
                    }
                }
                _ => {}
            }
            skim.pass(end)?;
        }
    }
    // Files of the first versions list weights among the inputs.
    inputs.retain(|input| !tensors.contains(&input.name));
    Ok(inputs)
}

/// A reader of fields that passes over what is not wanted.
struct Skim {
    file: BufReader<File>,
    at: u64,
}

impl Skim {
    /// The next message, text or bytes before `end`: number of the field, and where it ends.
    fn message(&mut self, end: u64) -> Result<Option<(u64, u64)>, Skimmed> {
        while self.at < end {
            let tag = self.varint()?;
            let past = match tag & 7 {
                0 => {
                    self.varint()?;
                    continue;
                }
                1 => self.at.checked_add(8),
                2 => {
                    let length = self.varint()?;
                    let past = self.at.checked_add(length).filter(|past| *past <= end);
                    return Ok(Some((tag >> 3, past.ok_or(InvalidWire::Truncated)?)));
                }
                5 => self.at.checked_add(4),
                _ => return Err(InvalidWire::Tag { tag }.into()),
            };
            self.pass(past.filter(|past| *past <= end).ok_or(InvalidWire::Truncated)?)?;
        }
        Ok(None)
    }

    /// Goes on at `to`.
    fn pass(&mut self, to: u64) -> Result<(), Skimmed> {
        let by = i64::try_from(to.saturating_sub(self.at)).map_err(|_| InvalidWire::Truncated)?;
        self.file.seek_relative(by)?;
        self.at = self.at.max(to);
        Ok(())
    }

    /// The bytes up to `end`.
    fn bytes(&mut self, end: u64) -> Result<Vec<u8>, Skimmed> {
        let length = end.saturating_sub(self.at);
        if length > DECLARATION_BYTES_MAX {
            return Err(InvalidInputs::Name.into());
        }
        let mut bytes = vec![0; length as usize];
        io::Read::read_exact(&mut self.file, &mut bytes)?;
        self.at = end;
        Ok(bytes)
    }

    fn varint(&mut self) -> Result<u64, Skimmed> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.file.fill_buf()?.first().copied().ok_or(InvalidWire::Truncated)?;
            self.file.consume(1);
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(InvalidWire::Varint.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(field: u8, bytes: &[u8]) -> Vec<u8> {
        let mut made = vec![field << 3 | 2];
        let mut length = bytes.len();
        while length > 127 {
            made.push(length as u8 | 0x80);
            length >>= 7;
        }
        made.push(length as u8);
        made.extend(bytes);
        made
    }

    fn input(name: &[u8]) -> Vec<u8> {
        let axes = [message(1, &[]), message(1, &[8, 1])].concat();
        let tensor = [vec![8, 1], message(2, &axes)].concat();
        message(11, &[message(1, name), message(2, &message(1, &tensor))].concat())
    }

    async fn columns(bytes: &[u8]) -> Result<Vec<String>, ModelError> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(ONNX_FILE), bytes).unwrap();
        graph_columns(directory.path(), &[]).await
    }

    #[tokio::test]
    async fn inputs_are_found_behind_weights() {
        let weights = [message(8, b"w"), message(9, &[7; 70_000])].concat();
        let graph = [message(1, b"x"), message(5, &weights), input(b"a"), input(b"w"), input(b"b")];
        let model = [vec![8, 9], message(7, &graph.concat()), message(2, b"later")].concat();
        assert_eq!(columns(&model).await.unwrap(), ["a", "b"]);
    }

    #[tokio::test]
    async fn damage_is_refused() {
        let graph = [input(b"a"), input(b"b")].concat();
        let model = [vec![8, 9], message(7, &graph)].concat();
        for end in 0..model.len() {
            assert!(columns(&model[..end]).await.is_err(), "cut at {end}");
        }
        for at in 0..model.len() {
            for bit in [1, 128] {
                let mut other = model.clone();
                other[at] ^= bit;
                let _ = columns(&other).await;
            }
        }
        assert!(matches!(columns(&[]).await.unwrap_err(), ModelError::Graph { .. }));
    }
}
