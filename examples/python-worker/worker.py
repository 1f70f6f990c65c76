#!/usr/bin/env python3
"""A Nightshift worker in Python: leases shards, scores them, commits, reports.

    worker.py --coordinator 127.0.0.1:7070 --worker-binary target/release/nightshift-worker
"""
import argparse, functools, hashlib, json, os, pathlib, subprocess, sys, tempfile

import pyarrow.parquet as pq

from leases import Leases, pb
from score import BadRows, read, score


def failed(kind, reason, message) -> dict:
    return {"failed": pb.Failed(**{"class": kind}, reason=reason, message=str(message)[:2000])}


def attempt(binary, leases, grant, attempt_id):
    """One attempt at a shard. Returns its outcome, or nothing if the lease was revoked."""
    try:
        return score_and_commit(binary, leases, grant, attempt_id)
    except BadRows as error:
        return failed(pb.FAILURE_CLASS_DATA, "bad_rows", error)
    except Exception as error:  # another try, or another host, may do better
        return failed(pb.FAILURE_CLASS_TRANSIENT, "python", error)


def score_and_commit(binary, leases, grant, attempt_id):
    stored, lease = pathlib.Path(grant.output_root, grant.plan_path).read_bytes(), grant.lease
    if hashlib.sha256(stored).hexdigest() != grant.plan_sha256:
        raise RuntimeError("another plan is stored here; see that every worker mounts the same output")
    plan = json.loads(stored)
    rows = read(plan, lease.shard)
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data.parquet")
        pq.write_table(score(rows, plan["task"]["id"]), data)
        if not leases.committing(lease, len(rows)):
            return None
        command = [binary, "commit", "--output-root", grant.output_root, "--run", lease.run]
        command += ["--shard", lease.shard, "--attempt", attempt_id, "--data", data]
        command += ["--rows-in", len(rows), "--rows-out", len(rows)]
        # In a session of its own, so that a Ctrl-C at the terminal does not reach it.
        done = subprocess.run(map(str, command), capture_output=True, text=True, start_new_session=True)
    if done.returncode != 0:
        raise (BadRows if done.returncode == 65 else RuntimeError)(done.stderr)
    said = json.loads(done.stdout)
    print(f"shard {lease.shard} of {lease.run}: {said['outcome']}", flush=True)
    if said["outcome"] == "lost":
        return {"lost": pb.Lost(winner=said["winner"])}
    return {"committed": pb.Committed(rows_out=len(rows))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coordinator", required=True, metavar="HOST:PORT")
    parser.add_argument("--worker-binary", default="nightshift-worker", metavar="PATH", help="commits what was scored")
    parser.add_argument("--exit-when-idle", action="store_true", help="end when no run is under way")
    args = parser.parse_args()
    sys.exit(Leases(args.coordinator, functools.partial(attempt, args.worker_binary)).run(args.exit_when_idle))
