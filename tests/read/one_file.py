#!/usr/bin/env python3
"""Facts about one file of predictions, read by pyarrow: one_file.py FILE (parquet, jsonl, csv)."""

import json
import sys

import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

path = sys.argv[1]
read = {
    "parquet": pyarrow.parquet.read_table,
    "jsonl": pyarrow.json.read_json,
    "csv": pyarrow.csv.read_csv,
}[path.rsplit(".", 1)[1]]
table = read(path)
ids = table["flight_id"].to_pylist()
scores = ["arr_delay_pred", "late"]
print(
    json.dumps(
        {
            "rows": table.num_rows,
            "columns": table.column_names,
            "ids_in_order": ids == list(range(1, len(ids) + 1)),
            "null_scores": sum(table[name].null_count for name in scores),
        }
    )
)
