#!/usr/bin/env python3
"""Facts about an output root, as pyarrow and DuckDB read it.

    outputs.py OUTPUT FORMAT [--dataset] [--input GLOB]

FORMAT is parquet, jsonl or csv. With --dataset the root as a whole is read as one Hive dataset
by pyarrow; it must skip what is private. With --input, ids are compared with those of the
Parquet input. Prints one JSON document; judging it is the test's business.
"""

import argparse
import glob
import hashlib
import json
import pathlib

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.json
import pyarrow.parquet as pq

DUCKDB = {
    "parquet": "read_parquet(?, hive_partitioning = true)",
    "jsonl": "read_json(?, format = 'newline_delimited', hive_partitioning = true)",
    "csv": "read_csv(?, header = true, hive_partitioning = true)",
}


def read(path, kind):
    if kind == "parquet":
        return pq.read_table(path, partitioning=None)
    return pyarrow.json.read_json(path) if kind == "jsonl" else pyarrow.csv.read_csv(path)


def footers(parts, root):
    """Whether each footer names what the record of its shard says, digests computed here."""
    records = {}
    for path in root.glob("_nightshift/v1/runs/*/records/*.json"):
        record = json.loads(path.read_text())
        records[(record["run"], record["shard"])] = record
    faults = []
    for part in parts:
        footer = {k.decode(): v.decode() for k, v in (pq.read_metadata(part).metadata or {}).items()}
        record = records.get((footer.get("nightshift.run"), int(footer.get("nightshift.shard", -1))))
        if record is None:
            faults.append(f"{part}: run or shard is not in the footer, or has no record")
            continue
        if footer.get("nightshift.attempt") != record["attempt"]:
            faults.append(f"{part}: the footer names another attempt")
        model = pathlib.Path(footer.get("nightshift.model", ""))
        # As in the shell: sha256sum config.json model.safetensors | sha256sum
        lines = "".join(
            f"{hashlib.sha256((model / name).read_bytes()).hexdigest()}  {name}\n"
            for name in ("config.json", "model.safetensors")
        )
        if footer.get("nightshift.model_digest") != hashlib.sha256(lines.encode()).hexdigest():
            faults.append(f"{part}: the footer names another model digest")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("format")
    parser.add_argument("--dataset", action="store_true")
    parser.add_argument("--input")
    args = parser.parse_args()
    extension = args.format
    # The newest generation of each partition, parts in shard order.
    folders = sorted(max(p.glob("gen=*")) for p in args.output.iterdir() if not p.name.startswith("_"))
    parts = [part for folder in folders for part in sorted(folder.glob(f"part-*.{extension}"))]
    tables = [read(part, extension) for part in parts]
    table = pa.concat_tables(tables, promote_options="permissive")
    ids = table["flight_id"].to_pylist()
    facts = {
        "parts": len(parts),
        "rows": table.num_rows,
        "columns": table.column_names,
        "ids_unique": len(set(ids)) == len(ids),
        "ids_in_order": ids == sorted(ids),
        "first_id": ids[0],
        "last_id": ids[-1],
        "nulls": {name: table[name].null_count for name in table.column_names if table[name].null_count},
    }
    pattern = [str(part) for part in parts]
    source = DUCKDB[extension]
    row = duckdb.execute(
        f"select count(*), count(distinct flight_id), min(flight_id), max(flight_id) from {source}", [pattern]
    ).fetchone()
    facts["duckdb"] = dict(zip(("rows", "distinct", "first_id", "last_id"), row))
    if extension == "parquet":
        facts["footer_faults"] = footers(parts, args.output)
    if args.dataset:
        whole = pyarrow.dataset.dataset(str(args.output), format="parquet", partitioning="hive")
        facts["dataset_rows"] = whole.count_rows()
        facts["dataset_columns"] = whole.schema.names
        everywhere = str(args.output / "date=*" / "gen=*" / "*.parquet")
        dates = duckdb.execute(f"select count(distinct date), count(*) from {source}", [everywhere])
        facts["duckdb_dates"], facts["duckdb_rows"] = dates.fetchone()
    if args.input:
        wanted = []
        for path in sorted(glob.glob(args.input)):
            wanted += pq.read_table(path, columns=["flight_id"], partitioning=None)["flight_id"].to_pylist()
        facts["ids_are_the_inputs"] = sorted(wanted) == sorted(ids)
        facts["order_is_the_inputs"] = wanted == ids
    print(json.dumps(facts))


main()
