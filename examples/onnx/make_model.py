"""Trains the model of this example and writes the rows that it scores.

    pip install scikit-learn skl2onnx pandas
    python make_model.py
"""
import pathlib

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

HERE = pathlib.Path(__file__).parent
random = np.random.RandomState(2013)
ROWS = 400
flights = pd.DataFrame({
    "flight": np.arange(ROWS),
    "dep_delay": random.exponential(15, ROWS).round() - 5,
    "distance": random.randint(100, 2500, ROWS),
    "carrier": random.choice(["AA", "B6", "DL", "UA"], ROWS),
})
late = flights["dep_delay"] - flights["distance"] / 400 + 6 * (flights["carrier"] == "B6")
label = np.where(late + random.randn(ROWS) * 3 > 12, "late", "on time")

columns = ColumnTransformer([("numbers", StandardScaler(), ["dep_delay", "distance"]),
                             ("carrier", OneHotEncoder(handle_unknown="ignore"), ["carrier"])])
model = make_pipeline(columns, LogisticRegression()).fit(flights, label)
types = [("dep_delay", FloatTensorType([None, 1])), ("distance", FloatTensorType([None, 1])),
         ("carrier", StringTensorType([None, 1]))]
made = to_onnx(model, initial_types=types, target_opset={"": 17, "ai.onnx.ml": 3})
(HERE / "model").mkdir(exist_ok=True)
(HERE / "model/model.onnx").write_bytes(made.SerializeToString())

rows = flights.head(20).copy()
rows.loc[7, "dep_delay"] = np.nan  # no delay is known: the row is rejected
rows.to_csv(HERE / "flights.csv", index=False)
