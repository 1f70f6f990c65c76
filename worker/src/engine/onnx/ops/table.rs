//! Which operators there are, with the attributes that each may have.

use super::{Built, Site, arithmetic, ensemble, features, products, reductions, shapes};
use crate::engine::onnx::error::Refused;

/// An operator.
pub(in crate::engine::onnx) struct Operator {
    /// `ai.onnx`, which is written as nothing, or `ai.onnx.ml`.
    domain: &'static str,
    names: &'static [&'static str],
    /// Attributes that are understood, or do not matter.
    pub(in crate::engine::onnx) attributes: &'static [&'static str],
    pub(in crate::engine::onnx) build: fn(&Site<'_>) -> Result<Built, Refused>,
}

const AI: &str = "";
const ML: &str = "ai.onnx.ml";

const NODES: [&str; 25] = [
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_modes",
    "nodes_values",
    "nodes_values_as_tensor",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_missing_value_tracks_true",
    "nodes_hitrates",
    "nodes_hitrates_as_tensor",
    "base_values",
    "base_values_as_tensor",
    "post_transform",
    "class_treeids",
    "class_nodeids",
    "class_ids",
    "class_weights",
    "class_weights_as_tensor",
    "classlabels_int64s",
    "classlabels_strings",
    "target_treeids",
    "target_nodeids",
    "target_ids",
    "target_weights",
];
const TARGETS: [&str; 3] = ["target_weights_as_tensor", "n_targets", "aggregate_function"];

/// Finds the operator `name` of `domain`.
pub(in crate::engine::onnx) fn find(domain: &str, name: &str) -> Option<&'static Operator> {
    let is_it = |it: &&Operator| it.domain == domain && it.names.contains(&name);
    OPERATORS.iter().find(is_it)
}

/// Whether `attribute` may be on `operator`.
impl Operator {
    pub(in crate::engine::onnx) fn knows(&self, attribute: &str) -> bool {
        let is_tree = self
            .names
            .iter()
            .any(|name| matches!(*name, "TreeEnsembleClassifier" | "TreeEnsembleRegressor"));
        self.attributes.contains(&attribute)
            || is_tree && (NODES.contains(&attribute) || TARGETS.contains(&attribute))
    }
}

macro_rules! operators {
    ($($domain:ident $($name:literal)+ [$($attribute:literal)*] $build:path;)*) => {
        &[$(Operator {
            domain: $domain,
            names: &[$($name),+],
            attributes: &[$($attribute),*],
            build: $build,
        }),*]
    };
}

/// All of them. docs/models.md has the same list, which a test compares.
const OPERATORS: &[Operator] = operators! {
    AI "Abs" "Neg" "Sign" "Relu" "Ceil" "Floor" "Round" "Reciprocal" "Sqrt" "Exp" "Log" "Sigmoid"
        "Tanh" "Softplus" "Softsign" "Erf" [] arithmetic::function;
    AI "LeakyRelu" "Elu" "Celu" "Selu" "HardSigmoid" "Gelu" ["alpha" "beta" "gamma" "approximate"]
        arithmetic::activation;
    AI "Clip" ["min" "max"] arithmetic::clip;
    AI "Add" "Sub" "Mul" "Div" [] arithmetic::add;
    AI "Pow" [] arithmetic::power;
    AI "Min" "Max" "Sum" "Mean" [] arithmetic::fold;
    AI "Equal" "Less" "LessOrEqual" "Greater" "GreaterOrEqual" [] arithmetic::compare;
    AI "And" "Or" "Xor" "Not" [] arithmetic::logic;
    AI "IsNaN" [] arithmetic::is_nan;
    AI "Where" [] arithmetic::choose;
    AI "Cast" ["to" "saturate" "round_mode"] arithmetic::cast;
    AI "MatMul" [] products::matmul;
    AI "Gemm" ["alpha" "beta" "transA" "transB"] products::gemm;
    AI "Identity" [] shapes::identity;
    AI "Dropout" ["ratio" "seed"] shapes::identity;
    AI "Constant" ["value" "value_float" "value_floats" "value_int" "value_ints"] shapes::constant;
    AI "ConstantOfShape" ["value"] shapes::filled;
    AI "Reshape" ["allowzero"] shapes::reshape;
    AI "Flatten" ["axis"] shapes::flatten;
    AI "Squeeze" ["axes"] shapes::squeeze;
    AI "Unsqueeze" ["axes"] shapes::unsqueeze;
    AI "Transpose" ["perm"] shapes::transpose;
    AI "Concat" ["axis"] shapes::concat;
    AI "Slice" ["starts" "ends" "axes"] shapes::slice;
    AI "Gather" ["axis"] shapes::gather;
    AI "ReduceSum" "ReduceMean" "ReduceMax" "ReduceMin" "ReduceProd" "ReduceL1" "ReduceL2"
        "ReduceSumSquare" "ReduceLogSum" "ReduceLogSumExp" ["axes" "keepdims" "noop_with_empty_axes"]
        reductions::reduce;
    AI "ArgMax" "ArgMin" ["axis" "keepdims" "select_last_index"] reductions::arg;
    AI "Softmax" "LogSoftmax" ["axis"] reductions::softmax;
    AI "LayerNormalization" ["axis" "epsilon" "stash_type"] reductions::layer_norm;
    AI "BatchNormalization" ["epsilon" "momentum" "training_mode"] reductions::batch_norm;
    ML "TreeEnsembleClassifier" [] ensemble::classifier;
    ML "TreeEnsembleRegressor" [] ensemble::regressor;
    ML "TreeEnsemble" ["aggregate_function" "leaf_targetids" "leaf_weights" "membership_values"
        "n_targets" "nodes_falseleafs" "nodes_falsenodeids" "nodes_featureids" "nodes_hitrates"
        "nodes_missing_value_tracks_true" "nodes_modes" "nodes_splits" "nodes_trueleafs"
        "nodes_truenodeids" "post_transform" "tree_roots"] ensemble::ensemble;
    ML "LinearClassifier" ["classlabels_ints" "classlabels_strings" "coefficients" "intercepts"
        "multi_class" "post_transform"] products::classifier;
    ML "LinearRegressor" ["coefficients" "intercepts" "post_transform" "targets"]
        products::regressor;
    ML "Normalizer" ["norm"] reductions::normalizer;
    ML "Scaler" ["offset" "scale"] features::scaler;
    ML "Imputer" ["imputed_value_floats" "imputed_value_int64s" "replaced_value_float"
        "replaced_value_int64"] features::imputer;
    ML "Binarizer" ["threshold"] features::binarizer;
    ML "OneHotEncoder" ["cats_int64s" "cats_strings" "zeros"] features::one_hot;
    ML "LabelEncoder" ["classes_strings" "keys_strings" "keys_int64s" "keys_floats" "keys_tensor"
        "values_strings" "values_int64s" "values_floats" "values_tensor" "default_string"
        "default_int64" "default_float" "default_tensor"] features::label_encoder;
    ML "CategoryMapper" ["cats_int64s" "cats_strings" "default_int64" "default_string"]
        features::category_mapper;
    ML "ArrayFeatureExtractor" [] shapes::extract;
    ML "FeatureVectorizer" ["inputdimensions"] shapes::concat;
    ML "ZipMap" ["classlabels_int64s" "classlabels_strings"] features::zip_map;
};

#[cfg(test)]
pub(in crate::engine::onnx) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    OPERATORS.iter().flat_map(|it| it.names.iter().map(|name| (it.domain, *name)))
}
