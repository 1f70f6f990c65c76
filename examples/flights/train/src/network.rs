//! The network while it learns: the tensors of a model directory as candle variables.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var};
use nightshift_worker::engine::tabular::{Config, Reference};

use crate::random::Random;

/// Bound of the first values in an embedding table.
const EMBEDDING_BOUND: f64 = 0.3;

/// Variables named as in `model.safetensors`, and the engine's own reference computation over them.
#[derive(Debug)]
pub struct Network {
    variables: BTreeMap<String, Var>,
    reference: Reference,
}

impl Network {
    /// A network of the shape that `config` asks for, with values drawn from `random`: weights after
    /// He et al. 2015, biases 0.
    ///
    /// # Errors
    /// When no model can be made of `config`.
    pub fn new(config: &Config, random: &mut Random) -> Result<Self> {
        let mut variables = BTreeMap::new();
        for tensor in config.tensors() {
            let variable = match *tensor.shape.as_slice() {
                [rows, width] => {
                    let table = tensor.name.starts_with("embeddings.");
                    let bound = if table { EMBEDDING_BOUND } else { (6.0 / width as f64).sqrt() };
                    let values = random.uniform(bound, rows * width);
                    Var::from_vec(values, (rows, width), &Device::Cpu)?
                }
                _ => Var::zeros(tensor.shape.as_slice(), DType::F32, &Device::Cpu)?,
            };
            variables.insert(tensor.name, variable);
        }
        let reference = Reference::new(config, &named(&variables))?;
        Ok(Self { variables, reference })
    }

    /// All variables, in the order of their names.
    pub fn variables(&self) -> Vec<Var> {
        self.variables.values().cloned().collect()
    }

    /// The tensors as they stand, by name.
    pub fn tensors(&self) -> HashMap<String, Tensor> {
        named(&self.variables)
    }

    /// The computation that training differentiates; it follows every change of the variables.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }
}

fn named(variables: &BTreeMap<String, Var>) -> HashMap<String, Tensor> {
    variables.iter().map(|(name, value)| (name.clone(), value.as_tensor().clone())).collect()
}
