//! Sizes that follow from a configuration: inputs, logits, tensors.

use super::{Activation, Config, Feature, Output, Unknown};

/// A tensor that a model must have: its name in `model.safetensors` and its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Name.
    pub name: String,
    /// Shape; a `weight` is `[outputs, inputs]` or `[table rows, embedding]`, a `bias` `[outputs]`.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// Numbers in the tensor.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Feature {
    /// Inputs of the first layer that the feature makes.
    pub fn width(&self) -> usize {
        match self {
            Self::Numeric(feature) => 1 + usize::from(feature.indicator),
            Self::Categorical(feature) => feature.embedding,
            Self::Datetime(feature) => feature.parts.len().saturating_mul(2),
        }
    }

    /// Rows of the embedding table; none where there is no table.
    pub fn table_rows(&self) -> Option<usize> {
        match self {
            Self::Categorical(feature) => {
                Some(feature.vocabulary.len() + usize::from(feature.unknown == Unknown::Other))
            }
            Self::Numeric(_) | Self::Datetime(_) => None,
        }
    }

    /// Name of the embedding table in `model.safetensors`.
    pub fn table_name(&self) -> String {
        format!("embeddings.{}.weight", self.name())
    }
}

impl Output {
    /// Logits that the output needs.
    pub fn logits(&self) -> usize {
        match self {
            Self::Regression(_) => 1,
            Self::Class(output) => output.labels.len(),
        }
    }

    /// Names of the columns that the output makes, in order.
    pub fn columns(&self) -> Vec<String> {
        let mut columns = vec![self.name().to_owned()];
        if let Self::Class(output) = self
            && output.labels.len() > 1
        {
            columns.extend(output.labels.iter().map(|label| format!("{}_{label}", output.name)));
        }
        columns
    }
}

impl Config {
    /// Inputs of the first layer: those of the features, in order.
    pub fn input_width(&self) -> usize {
        self.features.iter().fold(0, |sum, feature| sum.saturating_add(feature.width()))
    }

    /// Outputs of the last layer: the logits of the outputs, in order.
    pub fn logits_width(&self) -> usize {
        self.outputs.iter().fold(0, |sum, output| sum.saturating_add(output.logits()))
    }

    /// Every layer as (outputs, inputs, activation), the last one included.
    pub fn dense_layers(&self) -> impl Iterator<Item = (usize, usize, Activation)> + '_ {
        let last = std::iter::once((self.logits_width(), Activation::Identity));
        let hidden = self.layers.iter().map(|layer| (layer.units, layer.activation));
        let mut inputs = self.input_width();
        hidden.chain(last).map(move |(units, activation)| {
            (units, std::mem::replace(&mut inputs, units), activation)
        })
    }

    /// Names of the (weight, bias) of layer `index` of [`dense_layers`](Self::dense_layers).
    pub fn layer_names(&self, index: usize) -> (String, String) {
        if index < self.layers.len() {
            (format!("layers.{index}.weight"), format!("layers.{index}.bias"))
        } else {
            ("output.weight".to_owned(), "output.bias".to_owned())
        }
    }

    /// The tensors of the model: embedding tables in the order of the features, then weight and
    /// bias of each layer.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let mut tensors: Vec<TensorSpec> = self
            .features
            .iter()
            .filter_map(|feature| {
                let shape = vec![feature.table_rows()?, feature.width()];
                Some(TensorSpec { name: feature.table_name(), shape })
            })
            .collect();
        for (index, (units, inputs, _)) in self.dense_layers().enumerate() {
            let (weight, bias) = self.layer_names(index);
            tensors.push(TensorSpec { name: weight, shape: vec![units, inputs] });
            tensors.push(TensorSpec { name: bias, shape: vec![units] });
        }
        tensors
    }
}
