#!/usr/bin/env python3
"""Judges an output root by its bytes, sharing no code with the writer.

    audit.py OUTPUT [--id COLUMN] [--partition P]... [--open-ok] [--expect-dates N]

Every run that has a plan is checked:

  I1  each planned input row is in exactly one of: committed output, committed rejects,
      quarantined shard (ids are compared with the input files themselves)
  I2  a committed record names files that exist, with that size and SHA-256
  I3  with `--memory FILE`: no document that an earlier audit saw is changed or gone
  I4  with `--redis HOST:PORT`: the ledger is not ahead of the store; see ledger.py
  I5  one final, and its totals are the sums over the records
  I6  visible files are exactly the committed attempts' bytes, one a shard, nothing else;
      under a gate there are none unless the verdict was accepted

A run whose removal is written down has no data left to judge: its documents are checked, a newer
generation must have succeeded, and data of it that a generation that stays names must be there.

Prints one JSON line, and exits 1 when anything is wrong. `--open-ok` accepts a run that has
no final yet (and then only checks what is there), and one that goes on during the audit.
"""

import argparse
import csv
import gzip
import hashlib
import io
import json
import math
import pathlib
import re
import sys

import pyarrow.parquet as pq

import ledger


class Audit:
    def __init__(self, root, id_column, copies=()):
        self.root = pathlib.Path(root)
        self.meta = self.root / "_nightshift" / "v1"
        self.id = id_column
        self.copies = [copy.split("=", 1) for copy in copies]
        self.faults = []
        self.counts = {"runs": 0, "shards": 0, "rows_in": 0, "rows_out": 0, "rows_rejected": 0, "removed": 0}

    def fault(self, run, text):
        self.faults.append(f"{run}: {text}")

    def read_json(self, path):
        return json.loads(path.read_text())

    def input_ids(self, file):
        """The id of every row of one input file, in order."""
        uri = file["uri"]
        for place, folder in self.copies:
            uri = uri.replace(place, folder, 1) if uri.startswith(place) else uri
        path = pathlib.Path(uri)
        if file["format"] == "parquet":
            return pq.read_table(path, columns=[self.id], partitioning=None).column(0).to_pylist()
        raw = path.read_bytes()
        kind = file.get("compression", "none")
        if kind == "gzip":
            raw = gzip.decompress(raw)
        elif kind == "zstd":
            import zstandard

            raw = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw), read_across_frames=True).read()
        if file["format"] == "jsonl":
            return [json.loads(line)[self.id] for line in raw.splitlines() if line.strip()]
        reader = csv.DictReader(io.StringIO(raw.decode(), newline=""))
        return [row[self.id] for row in reader]

    def output_ids(self, path, output_format):
        if output_format == "parquet":
            return pq.read_table(path, columns=[self.id], partitioning=None).column(0).to_pylist()
        if output_format == "jsonl":
            return [json.loads(line)[self.id] for line in path.read_text().splitlines()]
        with path.open(newline="") as text:
            return [row[self.id] for row in csv.DictReader(text)]

    def check_memory(self, path):
        """Compares all documents with those that an earlier audit saw, and remembers them."""
        earlier = json.loads(path.read_text()) if path.is_file() else {}
        kinds = ("root", "claims/*/*", "runs/*/plan", "runs/*/epoch/*", "runs/*/records/*", "finals/*/*", "approvals/*/*", "removals/*/*")
        now = {
            str(document.relative_to(self.meta)): hashlib.sha256(document.read_bytes()).hexdigest()
            for kind in kinds
            for document in self.meta.glob(f"{kind}.json")
        }
        for document, digest in earlier.items():
            if now.get(document) != digest:
                self.fault("store", f"{document} is {'changed' if document in now else 'gone'}")
        self.counts["documents_kept"] = len(earlier)
        path.write_text(json.dumps({**now, **earlier}))

    def check_file(self, run, stored, what, published, hidden):
        for place in ("staged",) if hidden else ("staged", "visible"):
            path = self.root / stored[place]
            if not path.is_file():
                # A record comes before its visible file.
                if place == "visible" and not published and (self.root / stored["staged"]).is_file():
                    continue
                # A volume without hard links moves the staged file to its visible name.
                if place == "visible" or not (self.root / stored["visible"]).is_file():
                    self.fault(run, f"{what}: {stored[place]} does not exist")
                continue
            data = path.read_bytes()
            if len(data) != stored["size_bytes"]:
                self.fault(run, f"{what}: {stored[place]} has {len(data)} bytes, the record says {stored['size_bytes']}")
            if hashlib.sha256(data).hexdigest() != stored["sha256"]:
                self.fault(run, f"{what}: {stored[place]} has another digest than its record")

    def check_scores(self, run, index, done, output_format):
        """Compares the statistics in a record with the numbers in its file."""
        for scores in done.get("scores", []):
            column = f"shard {index}: column {scores['column']}"
            if scores["rows"] != done["rows_out"]:
                self.fault(run, f"{column} has statistics of {scores['rows']} rows")
            if output_format != "parquet" or "mean" not in scores:
                continue
            table = pq.read_table(self.root / done["output"]["staged"], columns=[scores["column"]], partitioning=None)
            values = [v for v in table.column(0).to_pylist() if v is not None and math.isfinite(v)]
            real = {"min": min(values), "max": max(values), "mean": math.fsum(values) / len(values)}
            for name, value in real.items():
                if not math.isclose(scores[name], value, rel_tol=1e-9, abs_tol=1e-9):
                    self.fault(run, f"{column}: {name} is {value}, the record says {scores[name]}")
            counts = [n for n in scores["sketch"]["counts"] if n > 0]
            if sum(counts) != len(values):
                self.fault(run, f"{column}: the sketch counts {sum(counts)} of {len(values)} values")

    def accepted(self, plan, final, partition, generation):
        """Whether readers may see the run, as the stored documents say."""
        if "gate" not in plan:
            return True
        if final is None or final["state"] != "succeeded":
            return False
        if final["gate"]["verdict"] == "passed":
            return True
        path = self.meta / "approvals" / partition / f"g{generation}.json"
        return path.is_file() and self.read_json(path)["judgement"] == "approved"

    def check_removal(self, run, partition, generation, final):
        """Whether the data of a run was given up; only a superseded one may have been."""
        path = self.meta / "removals" / partition / f"g{generation}.json"
        if not path.is_file():
            return False
        removal = self.read_json(path)
        self.counts["removed"] += 1
        better = self.meta / "finals" / partition / f"g{removal['superseded_by']}.json"
        if removal["run"] != run or final is None:
            self.fault(run, "its data is removed, but it is undecided, or another run's")
        if removal["superseded_by"] <= generation or self.read_json(better)["state"] != "succeeded":
            self.fault(run, "its data is removed, but nothing newer had succeeded")
        if (self.meta / "removals" / partition / better.name).is_file() and not any(
            self.read_json(newer)["state"] == "succeeded" and not (self.meta / "removals" / partition / newer.name).is_file()
            for newer in better.parent.glob("g*.json")
        ):
            self.fault(run, "its data is removed, and that of every generation that succeeded")
        return True

    def check_run(self, run_dir, open_ok):
        plan = self.read_json(run_dir / "plan.json")
        run = plan["run"]
        self.counts["runs"] += 1
        match = re.fullmatch(r"(.+)-(all|\d{4}-\d\d-\d\d)-g(\d+)", run)
        name, partition, generation = match.groups()
        folder = "all" if partition == "all" else f"date={partition}"
        visible_dir = self.root / folder / f"gen={generation}"
        # What comes first in the run is read last, so that a run may go on meanwhile: a final
        # that is seen has all of its records, and a visible file that is seen has its record.
        final_path = self.meta / "finals" / partition / f"g{generation}.json"
        final = self.read_json(final_path) if final_path.is_file() else None
        removed = self.check_removal(run, partition, int(generation), final)
        found = {p.name for p in visible_dir.iterdir() if "#" not in p.name} if visible_dir.is_dir() else set()
        gated = "gate" in plan
        if gated and final_path.is_file():
            # Under a gate files come after the final, so it is read after them.
            final = self.read_json(final_path)
        # Nobody takes an acceptance back, so what is read here holds for all files that were seen.
        accepted = self.accepted(plan, final, partition, generation)
        hidden = gated and (open_ok or not accepted)
        records = {}
        for path in sorted((run_dir / "records").glob("*.json")):
            record = self.read_json(path)
            if int(path.stem) != record["shard"] or record["run"] != run:
                self.fault(run, f"{path.name} is the record of shard {record['shard']} of {record['run']}")
            records[record["shard"]] = record
        self.counts["shards"] += len(records)

        per_file = [self.input_ids(file) for file in plan["inputs"]]
        for file, ids in zip(plan["inputs"], per_file):
            if len(ids) != file["rows"]:
                self.fault(run, f"{file['uri']} has {len(ids)} rows, the plan says {file['rows']}")
        # The plan covers each input row once.
        covered = [[0] * len(ids) for ids in per_file]
        for shard in plan["shards"]:
            for s in shard["slices"]:
                for row in range(s["start"], s["start"] + s["rows"]):
                    covered[s["input"]][row] += 1
        if any(n != 1 for file in covered for n in file):
            self.fault(run, "the plan leaves out or repeats input rows")

        sums = {"committed": 0, "quarantined": 0, "rows_out": 0, "rows_rejected": 0, "rows_quarantined": 0}
        expected_visible = set()
        seen = set()
        for index, record in records.items():
            planned = [
                per_file[s["input"]][row]
                for s in plan["shards"][index]["slices"]
                for row in range(s["start"], s["start"] + s["rows"])
            ]
            verdict = record["verdict"]
            if "quarantined" in verdict:
                sums["quarantined"] += 1
                sums["rows_quarantined"] += len(planned)
                continue
            done = verdict["committed"]
            sums["committed"] += 1
            if removed:
                sums["rows_out"] += done["rows_out"]
                sums["rows_rejected"] += done["rows_rejected"]
                continue
            self.check_file(run, done["output"], f"shard {index}", final is not None, hidden)
            expected_visible.add(pathlib.Path(done["output"]["visible"]).name)
            self.check_scores(run, index, done, plan["task"]["output_format"])
            out = self.output_ids(self.root / done["output"]["staged"], plan["task"]["output_format"])
            rejected = []
            if done.get("rejects"):
                self.check_file(run, done["rejects"], f"rejects of shard {index}", final is not None, hidden)
                expected_visible.add(pathlib.Path(done["rejects"]["visible"]).name)
                for line in (self.root / done["rejects"]["staged"]).read_text().splitlines():
                    reject = json.loads(line)
                    uris = [file["uri"] for file in plan["inputs"]]
                    rejected.append(per_file[uris.index(reject["input"])][reject["row"]])
            as_text = lambda values: [str(value) for value in values]
            gone = set(as_text(rejected))
            if as_text(out) != [i for i in as_text(planned) if i not in gone]:
                self.fault(run, f"shard {index}: output rows are not the planned rows in order")
            if sorted(as_text(out) + as_text(rejected)) != sorted(as_text(planned)):
                self.fault(run, f"shard {index}: a row is missing or double")
            if seen & set(as_text(out)):
                self.fault(run, f"shard {index}: a row is in two outputs")
            seen |= set(as_text(out))
            if (done["rows_in"], done["rows_out"], done["rows_rejected"]) != (len(planned), len(out), len(rejected)):
                self.fault(run, f"shard {index}: the record's counts are wrong")
            sums["rows_out"] += len(out)
            sums["rows_rejected"] += len(rejected)
        self.counts["rows_in"] += plan["rows"]
        self.counts["rows_out"] += sums["rows_out"]
        self.counts["rows_rejected"] += sums["rows_rejected"]

        if gated and not accepted:
            expected_visible = set()
        if final is None:
            if not open_ok:
                self.fault(run, f"no final; {len(plan['shards']) - len(records)} shards are undecided")
            if found - expected_visible:
                self.fault(run, f"visible files without a record: {sorted(found - expected_visible)[:3]}")
            return
        if final["run"] != run:
            self.fault(run, f"its final is of {final['run']}")
        if len(records) != len(plan["shards"]):
            self.fault(run, "there is a final, but shards are undecided")
        for key, value in sums.items():
            if final["totals"][key] != value:
                self.fault(run, f"the final says {key} = {final['totals'][key]}, the records say {value}")
        if plan["rows"] != sums["rows_out"] + sums["rows_rejected"] + sums["rows_quarantined"]:
            self.fault(run, "rows in is not rows out + rejected + quarantined")
        state = "succeeded" if not sums["quarantined"] else "partial" if sums["committed"] else "failed"
        if final["state"] != state:
            self.fault(run, f"the final says {final['state']}, the records say {state}")
        success = visible_dir / "_SUCCESS"
        if gated != ("gate" in final):
            self.fault(run, "plan and final disagree about a gate")
        elif gated:
            passed = all(check["passed"] for check in final["gate"]["checks"])
            if (final["gate"]["verdict"] == "passed") != passed:
                self.fault(run, "the gate's verdict is not that of its checks")
        if removed:
            # A collector that was killed has left some; none may be what nobody committed.
            if success.is_file() and not open_ok:
                self.fault(run, "its data is removed, but _SUCCESS vouches for it")
            return
        if state == "succeeded" and accepted:
            expected_visible.add("_SUCCESS")
            if open_ok:
                found.add("_SUCCESS")  # It comes after the final.
            if success.is_file() and self.read_json(success)["verdict"] != final:
                self.fault(run, "_SUCCESS tells another story than the final")
        if gated and open_ok and found <= expected_visible:
            return  # Publishing goes on after the final.
        if found != expected_visible:
            self.fault(run, f"visible files differ from the records: {sorted(found ^ expected_visible)[:3]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("--id", default="flight_id")
    parser.add_argument("--copy", action="append", default=[], metavar="S3://PLACE=FOLDER", help="input that was copied here")
    parser.add_argument("--open-ok", action="store_true")
    parser.add_argument("--expect-runs", type=int)
    parser.add_argument("--memory", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--redis", metavar="HOST:PORT")
    parser.add_argument("--redis-complete", action="store_true", help="Redis is said to have everything")
    parser.add_argument("--redis-foreign-ok", action="store_true", help="Redis may be of another root")
    args = parser.parse_args()
    audit = Audit(args.output, args.id, args.copy)
    root = audit.read_json(audit.meta / "root.json") if args.redis else None
    said = ledger.Ledger(args.redis, root["name"]) if args.redis else None
    if args.memory:
        audit.check_memory(args.memory)
    runs = sorted((audit.meta / "runs").glob("*/plan.json")) if audit.meta.is_dir() else []
    for plan in runs:
        audit.check_run(plan.parent, args.open_ok)
    if args.redis:
        ledger.check(said, audit, root["name"], root["root_id"], args.redis_complete, args.redis_foreign_ok)
    if args.expect_runs is not None and audit.counts["runs"] != args.expect_runs:
        audit.faults.append(f"{audit.counts['runs']} runs were found, {args.expect_runs} expected")
    print(json.dumps({**audit.counts, "faults": audit.faults[:20], "fault_count": len(audit.faults)}))
    return 1 if audit.faults else 0


if __name__ == "__main__":
    sys.exit(main())
