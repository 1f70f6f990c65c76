#!/usr/bin/env python3
"""Makes a large input for benchmarks out of the flights example.

The two weeks of flights in examples/flights/data are repeated until there are enough rows. Every row
gets a fresh flight_id, 1 to N, so that ids stay unique; all other values stay real. The result is one
Parquet file in row groups of 100,000 rows, in snappy, as pyarrow or Spark would commonly leave it.

    pip install pyarrow==26.0.1
    benches/million_flights.py out/million/flights.parquet                  # 1,000,000 rows
    benches/million_flights.py out/ten/flights.parquet --rows 10000000

Memory stays at one row group, whatever the number of rows.
"""

import argparse
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DATA = pathlib.Path(__file__).resolve().parent.parent / "examples" / "flights" / "data"


def read_example() -> pa.Table:
    """All committed flights, in the order of their dates."""
    files = sorted(DATA.glob("date=*/flights.parquet"))
    if not files:
        raise SystemExit(f"no flights under {DATA}: run examples/flights/make_data.py")
    # partitioning=None: the date in the path stays a matter of the path.
    return pa.concat_tables(pq.read_table(file, partitioning=None) for file in files).combine_chunks()


def write_repeated(flights: pa.Table, out: pathlib.Path, rows: int, group_rows: int) -> None:
    """Writes `rows` rows, `group_rows` of them in a row group."""
    out.parent.mkdir(parents=True, exist_ok=True)
    id_column = flights.schema.get_field_index("flight_id")
    with pq.ParquetWriter(out, flights.schema, compression="snappy") as writer:
        for start in range(0, rows, group_rows):
            number = np.arange(start, min(start + group_rows, rows), dtype=np.int64)
            group = flights.take(pa.array(number % flights.num_rows))
            group = group.set_column(id_column, flights.schema.field(id_column), pa.array(number + 1))
            writer.write_table(group, row_group_size=group_rows)


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("out", type=pathlib.Path, help="file to write")
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--row-group", type=int, default=100_000)
    given = arguments.parse_args()
    write_repeated(read_example(), given.out, given.rows, given.row_group)
    print(f"{given.out}: {given.rows} rows, {given.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
