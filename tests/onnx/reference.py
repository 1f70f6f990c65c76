#!/usr/bin/env python3
"""Makes the models and goldens in this folder: small models of sklearn, XGBoost and LightGBM,
graphs by hand, and what onnxruntime makes of them.

    python3 -m venv v && v/bin/pip install "scikit-learn<1.8" skl2onnx onnxmltools xgboost \
        lightgbm onnxruntime onnx pandas
    v/bin/python tests/onnx/reference.py tests/onnx/models

Made with scikit-learn 1.7.2, skl2onnx 1.20.0, onnxmltools 1.16.0, xgboost 3.2.0, lightgbm 4.7.0,
onnx 1.23.2 and onnxruntime 1.32.0. Each NAME.json beside a NAME.onnx has `columns` (the
spec.task.columns, if any), `table` (the columns of the input) and `outputs` (of onnxruntime).
"""
import json
import math
import pathlib
import sys
import warnings

import lightgbm
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import xgboost
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
# Exporters hand numbers of numpy to onnx, which takes its own only.
plain_attribute = helper.make_attribute


def make_attribute(key, value, *more, **named):
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        value = [int(x) for x in value]
    elif isinstance(value, (list, tuple)):
        value = [x.item() if isinstance(x, np.generic) else x for x in value]
        value = [int(x) if isinstance(x, bool) else x for x in value]
    elif isinstance(value, np.integer):
        value = int(value)
    return plain_attribute(key, value, *more, **named)


helper.make_attribute = make_attribute

# After that, since they take the function when they are imported.
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as MlFloat
from skl2onnx import to_onnx
from skl2onnx.common.data_types import (DoubleTensorType, FloatTensorType, Int64TensorType,
                                        StringTensorType)
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (ExtraTreesClassifier, GradientBoostingClassifier,
                              GradientBoostingRegressor, HistGradientBoostingClassifier,
                              HistGradientBoostingRegressor, RandomForestClassifier,
                              RandomForestRegressor)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (MinMaxScaler, Normalizer, OneHotEncoder, OrdinalEncoder,
                                   PolynomialFeatures, RobustScaler, StandardScaler)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

warnings.filterwarnings("ignore")
OUT = pathlib.Path(sys.argv[1])
RANDOM = np.random.RandomState(7)
np.random.seed(7)  # what models draw from
ROWS = 37
NAMES = ["a", "b", "c", "d"]

X = RANDOM.randn(400, 4).astype(np.float32)
TWO = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int)
THREE = np.digitize(X[:, 0] + 0.3 * X[:, 2], [-0.5, 0.5])
AMOUNT = X[:, 0] * 2 + X[:, 1] * X[:, 2]
HOLES = X.copy()
HOLES[RANDOM.rand(*HOLES.shape) < 0.15] = np.nan


def number(x):
    """NaN and infinities as JSON has no numbers for them."""
    x = float(f"{float(x):.8g}") if isinstance(x, np.floating) else float(x)
    return x if math.isfinite(x) else str(x)


def listed(value):
    if isinstance(value, list):  # of a ZipMap
        return [[number(np.float64(x)) for x in row.values()] for row in value]
    if value.dtype.kind == "f":
        return [[number(np.float64(x)) for x in np.ravel(row)] for row in value]
    if value.dtype.kind == "b":
        return [[bool(x) for x in np.ravel(row)] for row in value]
    if value.dtype.kind in "iu":
        return [[int(x) for x in np.ravel(row)] for row in value]
    return [[str(x) for x in np.ravel(row)] for row in value]


def keep(name, model, feeds, columns=None, evaluator=None):
    """Writes a model with what onnxruntime makes of `feeds`: arrays by input. Where it does other
    than the specification says, onnx's own `evaluator` is asked."""
    data = model.SerializeToString()
    (OUT / f"{name}.onnx").write_bytes(data)
    session = onnxruntime.InferenceSession(data)
    outputs = [output.name for output in session.get_outputs()]
    results = (evaluator(model) if evaluator else session).run(outputs, feeds)
    table = {}
    names = iter(columns or [])
    for input in session.get_inputs():
        values = feeds[input.name].reshape(len(feeds[input.name]), -1)
        for at in range(values.shape[1]):
            column = values[:, at]
            key = next(names) if columns else input.name
            table[key] = [number(float(x)) if column.dtype.kind == "f" else x for x in column.tolist()]
    golden = {"columns": columns or [], "table": table,
              "outputs": {o: listed(r) for o, r in zip(outputs, results)}}
    (OUT / f"{name}.json").write_text(json.dumps(golden) + "\n")
    print(f"{name:28} {len(data):7} bytes  {outputs}")


def sklearn(name, model, y, train=X, feed=None, **options):
    model.fit(train, y)
    feed = train[:ROWS] if feed is None else feed
    made = to_onnx(model, initial_types=[("X", FloatTensorType([None, train.shape[1]]))], **options)
    keep(name, made, {"X": feed}, NAMES[:train.shape[1]])


def trees_of_libraries():
    for kind, y in [("two", TWO), ("three", THREE)]:
        model = xgboost.XGBClassifier(n_estimators=8, max_depth=3).fit(HOLES, y)
        made = convert_xgboost(model, initial_types=[("X", MlFloat([None, 4]))])
        keep(f"xgboost-{kind}", made, {"X": HOLES[:ROWS]}, NAMES)
        model = lightgbm.LGBMClassifier(n_estimators=8, max_depth=3, verbose=-1).fit(HOLES, y)
        made = convert_lightgbm(model, initial_types=[("X", MlFloat([None, 4]))])
        keep(f"lightgbm-{kind}", made, {"X": HOLES[:ROWS]}, NAMES)
    model = xgboost.XGBRegressor(n_estimators=8, max_depth=3).fit(HOLES, AMOUNT)
    made = convert_xgboost(model, initial_types=[("X", MlFloat([None, 4]))])
    keep("xgboost-amount", made, {"X": HOLES[:ROWS]}, NAMES)
    model = lightgbm.LGBMRegressor(n_estimators=8, max_depth=3, verbose=-1).fit(HOLES, AMOUNT)
    made = convert_lightgbm(model, initial_types=[("X", MlFloat([None, 4]))])
    keep("lightgbm-amount", made, {"X": HOLES[:ROWS]}, NAMES)
    # Categories are compared for equality.
    kinds = X.copy()
    kinds[:, 3] = RANDOM.randint(0, 6, len(kinds))
    y = (np.isin(kinds[:, 3], [1, 4]) ^ (kinds[:, 0] > 0)).astype(int)
    model = lightgbm.LGBMClassifier(n_estimators=6, max_depth=3, verbose=-1, min_child_samples=5,
                                    cat_smooth=1, min_data_per_group=5)
    model.fit(kinds, y, categorical_feature=[3])
    made = convert_lightgbm(model, initial_types=[("X", MlFloat([None, 4]))], zipmap=False)
    keep("lightgbm-categories", made, {"X": kinds[:ROWS]}, NAMES)


def models_of_sklearn():
    sklearn("logistic-two", make_pipeline(StandardScaler(), LogisticRegression()), TWO)
    sklearn("logistic-three", LogisticRegression(), THREE)
    sklearn("logistic-rest", OneVsRestClassifier(LogisticRegression()), THREE)
    sklearn("linear", LinearRegression(), np.stack([AMOUNT, X[:, 3]], 1))
    sklearn("ridge", make_pipeline(MinMaxScaler(clip=True), Ridge()), AMOUNT)
    sklearn("tree", DecisionTreeClassifier(max_depth=4), np.where(TWO, "late", "on time"))
    sklearn("forest-two", RandomForestClassifier(6, max_depth=4), TWO)
    sklearn("forest-three", RandomForestClassifier(6, max_depth=4), THREE,
            options={"zipmap": False})
    sklearn("forest-amount", RandomForestRegressor(6, max_depth=4), AMOUNT)
    sklearn("forest-amounts", RandomForestRegressor(4, max_depth=3),
            np.stack([AMOUNT, X[:, 3]], 1))
    sklearn("boosting-two", GradientBoostingClassifier(n_estimators=8), TWO)
    sklearn("boosting-three", GradientBoostingClassifier(n_estimators=5), THREE)
    sklearn("boosting-amount", GradientBoostingRegressor(n_estimators=8), AMOUNT)
    sklearn("histogram-two", HistGradientBoostingClassifier(max_iter=6, max_depth=3), TWO, HOLES)
    sklearn("histogram-three", HistGradientBoostingClassifier(max_iter=4, max_depth=3), THREE,
            HOLES)
    sklearn("histogram-amount", HistGradientBoostingRegressor(max_iter=6, max_depth=3), AMOUNT,
            HOLES)
    sklearn("perceptron-two", MLPClassifier((9,), max_iter=40), TWO)
    sklearn("perceptron-three", MLPClassifier((9, 5), activation="tanh", max_iter=40), THREE)
    sklearn("perceptron-amount", MLPRegressor(hidden_layer_sizes=(9,), activation="logistic",
                                              max_iter=40), AMOUNT)
    sklearn("bayes", GaussianNB(), THREE)
    sklearn("vectors", LinearSVC(), THREE)
    sklearn("parts", make_pipeline(Normalizer(), PCA(2), ExtraTreesClassifier(4, max_depth=3)),
            TWO)
    sklearn("polynomial", make_pipeline(SimpleImputer(), RobustScaler(), PolynomialFeatures(2),
                                        Lasso()), AMOUNT, HOLES)
    model = make_pipeline(StandardScaler(), Ridge()).fit(X.astype(float), AMOUNT)
    made = to_onnx(model, initial_types=[("X", DoubleTensorType([None, 4]))])
    keep("ridge-double", made, {"X": X[:ROWS].astype(float)}, NAMES)


def named_columns():
    table = pd.DataFrame({
        "delay": HOLES[:, 0], "distance": X[:, 1], "stops": RANDOM.randint(0, 4, len(X)),
        "carrier": RANDOM.choice(["AA", "B6", "UA"], len(X)),
        "class": RANDOM.choice(["economy", "first"], len(X)),
    })
    y = np.where(TWO ^ (table["carrier"] == "UA"), "late", "on time")
    types = [("delay", FloatTensorType([None, 1])), ("distance", FloatTensorType([None, 1])),
             ("stops", Int64TensorType([None, 1])), ("carrier", StringTensorType([None, 1])),
             ("class", StringTensorType([None, 1]))]
    for unknown in ["ignore", "error"]:
        prepare = ColumnTransformer([
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["delay", "distance"]),
            ("carrier", OneHotEncoder(handle_unknown=unknown), ["carrier", "stops"][:1]),
            ("stops", OneHotEncoder(handle_unknown=unknown), ["stops"]),
            ("class", OrdinalEncoder(), ["class"]),
        ])
        model = make_pipeline(prepare, LogisticRegression()).fit(table, y)
        made = to_onnx(model, initial_types=types)
        feeds = {name: table[name].to_numpy()[:ROWS].reshape(-1, 1) for name in table}
        for name in ["carrier", "class"]:
            feeds[name] = feeds[name].astype(object)
        if unknown == "ignore":
            feeds["carrier"][3, 0] = "ZZ"
        keep(f"columns-{unknown}", made, feeds)


def graph(name, nodes, inputs, outputs, tensors=(), feeds=None, columns=None, opset=17,
          ml=3, evaluator=None):
    """A graph by hand."""
    made = helper.make_graph(nodes, name, inputs, outputs,
                             [numpy_helper.from_array(v, k) for k, v in tensors])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", ml)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=8)
    keep(name, model, feeds, columns, evaluator)


def value(name, kind=TensorProto.FLOAT, shape=("N", None)):
    return helper.make_tensor_value_info(name, kind, shape)


def network():
    """What torch.onnx.export makes of a perceptron, with an embedding of nothing."""
    def weights(*shape):
        return (RANDOM.randn(*shape) * 0.5).astype(np.float32)
    nodes = [
        helper.make_node("Gemm", ["input", "w1", "b1"], ["h1"], transB=1, alpha=1.0, beta=1.0),
        helper.make_node("BatchNormalization", ["h1", "s", "b1", "m", "v"], ["n1"]),
        helper.make_node("Relu", ["n1"], ["r1"]),
        helper.make_node("Dropout", ["r1"], ["d1"]),
        helper.make_node("Gemm", ["d1", "w2", "b2"], ["h2"], transB=1),
        helper.make_node("LayerNormalization", ["h2", "s2", "b2"], ["n2"], axis=-1),
        helper.make_node("LeakyRelu", ["n2"], ["r2"], alpha=0.05),
        helper.make_node("MatMul", ["r2", "w3"], ["h3"]),
        helper.make_node("Softmax", ["h3"], ["output"], axis=1),
    ]
    tensors = [("w1", weights(40, 4)), ("b1", weights(40)), ("s", weights(40)), ("m", weights(40)),
               ("v", weights(40) ** 2 + 0.1), ("w2", weights(33, 40)), ("b2", weights(33)),
               ("s2", weights(33)), ("w3", weights(33, 5))]
    graph("network", nodes, [value("input", shape=("N", 4))], [value("output")], tensors,
          {"input": X[:ROWS]}, NAMES)


def operators():
    """Each operator by itself, as an output of its own."""
    f32 = np.float32
    tensors = [
        ("k", np.array([0.5, -1.5, 2.0, 0.25], f32)), ("one", np.array(1.0, f32)),
        ("two", np.array(2.0, f32)), ("cube", np.array(3.0, f32)),
        ("low", np.array(-0.5, f32)), ("high", np.array(0.75, f32)),
        ("s22", np.array([-1, 2, 2], np.int64)), ("s0", np.array([0, 4, 1], np.int64)),
        ("a1", np.array([1], np.int64)), ("a2", np.array([2], np.int64)),
        ("from", np.array([3], np.int64)), ("to", np.array([-9], np.int64)),
        ("back", np.array([-2], np.int64)), ("places", np.array([[3, 0], [-1, 1]], np.int64)),
        ("column", np.array([[0.5], [2.0]], f32)), ("byte", np.array(127, np.int64)),
    ]
    nodes, outputs = [], []

    def add(op, inputs, kind=TensorProto.FLOAT, keep=True, name=None, **attributes):
        out = name or f"{op}_{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [out], **attributes))
        if keep:
            outputs.append(value(out, kind))
        return out

    for op in ["Abs", "Neg", "Sign", "Relu", "Ceil", "Floor", "Round", "Exp", "Sigmoid", "Tanh",
               "Softplus", "Softsign", "Erf"]:
        add(op, ["x"])
    positive = add("Abs", ["x"], keep=False)
    positive = add("Add", [positive, "one"], keep=False)
    for op in ["Sqrt", "Log", "Reciprocal"]:
        add(op, [positive])
    add("LeakyRelu", ["x"], alpha=0.2)
    add("Elu", ["x"], alpha=0.7)
    add("Celu", ["x"], alpha=1.5)
    add("Selu", ["x"])
    add("HardSigmoid", ["x"])
    add("Clip", ["x", "low", "high"])
    add("Clip", ["x", "", "high"])
    for op in ["Add", "Sub", "Mul", "Div"]:
        add(op, ["x", "k"])
        add(op, ["one", positive])
        add(op, [positive, "x"])
    add("Pow", ["x", "two"])
    add("Pow", ["x", "cube"])
    for op in ["Min", "Max", "Sum", "Mean"]:
        add(op, ["x", "k", positive])
    bools = TensorProto.BOOL
    less = add("Less", ["x", "k"], keep=False)
    more = add("GreaterOrEqual", ["x", "low"], keep=False)
    for op in ["And", "Or", "Xor"]:
        both = add(op, [less, more], keep=False)
        add("Cast", [both], to=TensorProto.FLOAT)
    inverse = add("Not", [less], keep=False)
    add("Cast", [inverse], kind=TensorProto.INT64, to=TensorProto.INT64)
    add("Where", [less, "x", "k"])
    add("Where", [more, "one", "x"])
    whole = add("Cast", ["x"], kind=TensorProto.INT64, to=TensorProto.INT64)
    small = add("Cast", ["x"], keep=False, to=TensorProto.INT32)
    add("Mul", [small, small], kind=TensorProto.INT32)
    large = add("Add", [whole, "byte"], keep=False)
    large = add("Cast", [large], keep=False, to=TensorProto.INT8)
    add("Cast", [large], kind=TensorProto.INT64, to=TensorProto.INT64)
    equal = add("Equal", [whole, whole], keep=False)
    add("Cast", [equal], to=TensorProto.FLOAT)
    add("Cast", ["x"], kind=TensorProto.DOUBLE, to=TensorProto.DOUBLE)
    square = add("Reshape", ["x", "s22"], keep=False)
    turned = add("Transpose", [square], keep=False, perm=[0, 2, 1])
    add("Flatten", [turned])
    scaled = add("Mul", [square, "column"], keep=False)
    add("Flatten", [scaled])
    add("Reshape", ["x", "s0"])
    tall = add("Unsqueeze", ["x", "a2"], keep=False)
    add("Squeeze", [tall, "a2"])
    add("Concat", ["x", "x"], axis=-1)
    deep = add("Concat", [square, turned], keep=False, axis=1)
    add("Flatten", [deep])
    add("Slice", ["x", "from", "to", "a1", "back"])
    picked = add("Gather", ["x", "places"], keep=False, axis=1)
    add("Flatten", [picked])
    add("ReduceSum", ["x", "a1"], keepdims=0)
    for op in ["ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
               "ReduceSumSquare", "ReduceLogSumExp"]:
        add(op, [scaled], axes=[1])
        add(op, [scaled], axes=[-1], keepdims=0)
    add("ReduceLogSum", [positive], axes=[1])
    ints = TensorProto.INT64
    add("ArgMax", ["x"], kind=ints, axis=1)
    add("ArgMin", [scaled], kind=ints, axis=2, keepdims=0)
    add("Softmax", ["x"], axis=-1)
    add("LogSoftmax", ["x"], axis=1)
    add("Softmax", [scaled], axis=1)
    ml = {"domain": "ai.onnx.ml"}
    add("Binarizer", ["x"], threshold=0.25, **ml)
    for norm in ["MAX", "L1", "L2"]:
        add("Normalizer", ["x"], norm=norm, **ml)
    add("FeatureVectorizer", ["x", positive], inputdimensions=[4, 4], **ml)
    codes = add("LabelEncoder", [whole], keep=False, keys_int64s=[0, 1, 2],
                values_strings=["zero", "one", "two"], default_string="many", **ml)
    add("LabelEncoder", [codes], keys_strings=["one", "many"], values_floats=[1.5, 9.0],
        default_float=-2.0, **ml)
    add("CategoryMapper", [codes], kind=ints, cats_int64s=[5, 6], cats_strings=["one", "zero"],
        default_int64=-7, **ml)
    add("Imputer", ["x"], imputed_value_floats=[7.0], replaced_value_float=0.0, **ml)
    add("LinearRegressor", ["x"], coefficients=[1.0, 2.0, 3.0, 4.0], intercepts=[0.5], **ml)
    nodes.append(helper.make_node("LinearClassifier", ["x"], ["lone_label", "lone_scores"],
                                  coefficients=[1.0, 2.0, 3.0, 4.0], intercepts=[0.5],
                                  classlabels_ints=[3, 8], post_transform="NONE", **ml))
    nodes.append(helper.make_node("LinearClassifier", ["x"], ["word_label", "word_scores"],
                                  coefficients=[1.0, 2.0, 3.0, 4.0], intercepts=[0.5],
                                  classlabels_strings=["no", "yes"], post_transform="LOGISTIC",
                                  **ml))
    outputs.extend([value("lone_label", ints, ("N",)), value("lone_scores"),
                    value("word_label", TensorProto.STRING, ("N",)), value("word_scores")])
    shape = add("Shape", ["x"], keep=False)
    add("ConstantOfShape", [shape])
    feeds = np.concatenate([X[:ROWS - 2] * 2, np.zeros((1, 4)), [[1, -1, 2, -2]]]).astype(f32)
    graph("operators", nodes, [value("x", shape=("N", 4))], outputs, tensors, {"x": feeds}, NAMES)
    nodes = [
        helper.make_node("Gelu", ["x"], ["gelu"]),
        helper.make_node("Gelu", ["x"], ["gelu_tanh"], approximate="tanh"),
        helper.make_node("ReduceMean", ["x", "axis"], ["mean"]),
    ]
    graph("newer", nodes, [value("x", shape=("N", 4))],
          [value("gelu"), value("gelu_tanh"), value("mean")],
          [("axis", np.array([1], np.int64))], {"x": feeds}, NAMES, opset=20)
    del bools


def trees_by_hand():
    """Every mode of a node, aggregate, transform and form of base values."""
    modes = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
    nodes = {key: [] for key in ["treeids", "nodeids", "featureids", "modes", "values",
                                 "truenodeids", "falsenodeids", "missing_value_tracks_true"]}

    def add(tree, node, feature, mode, at, yes, no, missing):
        for key, item in zip(nodes, [tree, node, feature, mode, at, yes, no, missing]):
            nodes[key].append(item)

    leaves = []
    for tree, mode in enumerate(modes + modes):
        missing = tree // len(modes)
        add(tree, 4, tree % 4, mode, 1.0, 2, 7, missing)
        add(tree, 2, (tree + 1) % 4, "BRANCH_LEQ", 0.0, 1, 3, 1 - missing)
        for node in [1, 3, 7]:
            add(tree, node, 0, "LEAF", 0.0, 0, 0, 0)
            leaves.append((tree, node))
    attributes = {f"nodes_{key}": item for key, item in nodes.items()}
    feeds = np.array([[a, b, 2 - a, b * a] for a in [0, 1, 2, np.nan, -1] for b in
                      [0, 1, -1, np.nan, 3]], np.float32)
    ids = {"treeids": [t for t, _ in leaves], "nodeids": [n for _, n in leaves]}

    def weights(low, high):
        return [round(float(x), 3) for x in RANDOM.uniform(low, high, len(leaves))]

    made, outputs = [], []

    def ensemble(op, results, what, targets, own, **more):
        lists = {f"{what}_{key}": item for key, item in ids.items()}
        lists[f"{what}_ids"] = [at % targets if targets else 0 for at in range(len(leaves))]
        lists[f"{what}_weights"] = own
        made.append(helper.make_node(op, ["x"], results, domain="ai.onnx.ml", **attributes,
                                     **lists, **more))
        for result in results:
            is_label = "label" in result
            kind = TensorProto.INT64 if is_label else TensorProto.FLOAT
            outputs.append(value(result, kind, ("N",) if is_label else ("N", None)))

    for aggregate in ["SUM", "AVERAGE", "MIN", "MAX"]:
        for targets in [1, 3]:
            base = {"base_values": [0.5] * targets} if aggregate != "MAX" else {}
            ensemble("TreeEnsembleRegressor", [f"{aggregate}_{targets}"], "target", targets,
                     weights(-1, 1), n_targets=targets, aggregate_function=aggregate, **base)
    posts = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"]
    for post in posts:
        for base in [{}, {"base_values": [0.25]}, {"base_values": [0.25, -0.5]}]:
            count = len(base.get("base_values", []))
            for name, targets, low in [("lone", 0, -1), ("rate", 0, 0), ("both", 2, -1)]:
                top = 0.1 if name == "rate" else 1
                own = f"{name}_{post}_{count}"
                ensemble("TreeEnsembleClassifier", [f"label_{own}", f"scores_{own}"], "class",
                         targets, weights(low, top), classlabels_int64s=[0, 1],
                         post_transform=post, **base)
        ensemble("TreeEnsembleClassifier", [f"label_{post}", f"scores_{post}"], "class", 3,
                 weights(-1, 1), classlabels_int64s=[4, 5, 9], post_transform=post,
                 base_values=[0.1, 0.2, -0.3])
    ensemble("TreeEnsembleRegressor", ["probit"], "target", 1, weights(0.01, 0.07),
             n_targets=1, post_transform="PROBIT")
    # With numbers of 64 bits, which the lists of a node have no place for.
    double = {key: item for key, item in attributes.items() if key != "nodes_values"}
    double["nodes_values_as_tensor"] = numpy_helper.from_array(
        np.array(attributes["nodes_values"]) + 1e-12, "t")
    lists = {f"target_{key}": item for key, item in ids.items()}
    made.append(helper.make_node("Cast", ["x"], ["x64"], to=TensorProto.DOUBLE))
    made.append(helper.make_node(
        "TreeEnsembleRegressor", ["x64"], ["double"], domain="ai.onnx.ml", n_targets=1,
        target_ids=[0] * len(leaves),
        target_weights_as_tensor=numpy_helper.from_array(np.array(weights(-1, 1)), "w"),
        base_values_as_tensor=numpy_helper.from_array(np.array([0.5]), "b"), **double, **lists))
    outputs.append(value("double"))
    graph("trees", made, [value("x", shape=("N", 4))], outputs, (), {"x": feeds}, NAMES)


def as_onnxruntime_counts(model):
    """A session of a model as the specification has it: 1 is SOFTMAX and 2 LOGISTIC, which
    onnxruntime 1.32 takes the other way round (onnx's own evaluator does neither)."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    for node in other.graph.node:
        for attribute in node.attribute:
            if attribute.name == "post_transform":
                attribute.i = 3 - attribute.i
    return onnxruntime.InferenceSession(other.SerializeToString())


def trees_of_five():
    """TreeEnsemble of operator set 5: every mode, a branch behind two others, leaves alone."""
    leaf_targets, leaf_weights, roots, branches, members = [], [], [], [], []

    def leaf():
        leaf_targets.append(len(leaf_targets) % 3)
        leaf_weights.append(round(float(RANDOM.uniform(0.01, 0.07)), 3))
        return len(leaf_targets) - 1

    for tree in range(14):
        mode, missing = tree % 7, tree // 7
        first = len(branches)
        roots.append(first)
        branches.append((tree % 4, mode, 1.0, (first + 1, 0), (leaf(), 1), missing))
        branches.append(((tree + 1) % 4, 0, 0.0, (leaf(), 1), (first + 2, 0), 1 - missing))
        branches.append((2, 6, 0.0, (leaf(), 1), (leaf(), 1), missing))
        if mode == 6:
            members += [1.0, -1.0, np.nan]
        members += [2.0, 3.0, 0.0, np.nan]
    roots.append(len(branches))
    alone = leaf()
    branches.append((0, 0, 0.0, (alone, 1), (alone, 1), 0))
    feeds = np.array([[a, b, 2 - a, b * a] for a in [0, 1, 2, np.nan, -1] for b in
                      [0, 1, -1, np.nan, 3]], np.float32)
    features, modes, splits, yes, no, missing = zip(*branches)
    made, outputs = [], []

    def ensemble(name, input, kind, targets, **more):
        floats = {np.float32: TensorProto.FLOAT, np.float64: TensorProto.DOUBLE}[kind]

        def tensor(values, kind=kind):
            return numpy_helper.from_array(np.array(values, kind), "t")

        made.append(helper.make_node(
            "TreeEnsemble", [input], [name], domain="ai.onnx.ml", n_targets=targets,
            tree_roots=roots, nodes_featureids=features, nodes_modes=tensor(modes, np.uint8),
            nodes_splits=tensor(splits), nodes_truenodeids=[at for at, _ in yes],
            nodes_trueleafs=[is_leaf for _, is_leaf in yes],
            nodes_falsenodeids=[at for at, _ in no],
            nodes_falseleafs=[is_leaf for _, is_leaf in no],
            nodes_missing_value_tracks_true=missing, membership_values=tensor(members),
            leaf_targetids=[target % targets for target in leaf_targets],
            leaf_weights=tensor(leaf_weights), **more))
        outputs.append(value(name, floats))

    for aggregate in range(4):
        ensemble(f"one_{aggregate}", "x", np.float32, 1, aggregate_function=aggregate)
        ensemble(f"three_{aggregate}", "x", np.float32, 3, aggregate_function=aggregate)
    ensemble("zero", "x", np.float32, 3, post_transform=3)
    ensemble("probit", "x", np.float32, 1, post_transform=4)
    made.append(helper.make_node("Cast", ["x"], ["x64"], to=TensorProto.DOUBLE))
    ensemble("double", "x64", np.float64, 3)
    graph("trees-five", made, [value("x", shape=("N", 4))], outputs, (), {"x": feeds}, NAMES,
          opset=20, ml=5)
    made, outputs = [], []
    for post in [1, 2]:
        ensemble(f"post_{post}", "x", np.float32, 3, post_transform=post)
    graph("trees-five-posts", made, [value("x", shape=("N", 4))], outputs, (), {"x": feeds}, NAMES,
          opset=20, ml=5, evaluator=as_onnxruntime_counts)


def whole_numbers():
    """Whole numbers that are no floats, which onnxruntime 1.32 sums up as floats."""
    nodes, outputs, ints = [], [], TensorProto.INT64

    def add(op, inputs, **attributes):
        out = f"{op}_{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [out], **attributes))
        outputs.append(value(out, ints))

    for op in ["Abs", "Neg", "Sign"]:
        add(op, ["x"])
    add("Clip", ["x", "low", "high"])
    add("Clip", ["x", "", "high"])
    add("ReduceSum", ["x", "axis"])
    for op in ["ReduceMax", "ReduceMin", "ReduceProd"]:
        add(op, ["x"], axes=[1])
    high = 2**53 + 1
    tensors = [("low", np.array(-high, np.int64)), ("high", np.array(high, np.int64)),
               ("axis", np.array([1], np.int64))]
    feeds = np.array([[high, 1], [-high - 2, -1], [high + 2, 3], [2**62 + 1, -1], [0, 7]], np.int64)
    graph("whole", nodes, [value("x", ints, ("N", 2))], outputs, tensors, {"x": feeds}, NAMES[:2],
          evaluator=ReferenceEvaluator)


OUT.mkdir(exist_ok=True)
trees_of_libraries()
models_of_sklearn()
named_columns()
network()
operators()
trees_by_hand()
trees_of_five()
whole_numbers()
