#!/usr/bin/env python3
"""A Nightshift worker in Python: leases shards, scores them, commits, reports.

    worker.py --coordinator 127.0.0.1:7070 --worker-binary target/release/nightshift-worker
"""
import argparse, contextlib, hashlib, json, os, pathlib, secrets, signal, socket, subprocess, sys, tempfile, threading, time

import grpc
import pyarrow.parquet as pq

from score import BadRows, read, score

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "proto"))
pb, rpc = grpc.protos_and_services("nightshift/v1/leases.proto")
runs_pb, runs_rpc = grpc.protos_and_services("nightshift/v1/runs.proto")
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def ulid() -> str:
    number = int(time.time() * 1000) << 80 | secrets.randbits(80)
    return "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[number >> at & 31] for at in range(125, -1, -5))


def failed(kind, reason, message) -> dict:
    return {"failed": pb.Failed(**{"class": kind}, reason=reason, message=str(message)[:2000])}


class Worker:
    def __init__(self, args):
        channel = grpc.insecure_channel(args.coordinator)
        self.args, self.leases, self.runs = args, rpc.ShardLeasesStub(channel), runs_rpc.RunsStub(channel)
        self.me = f"{socket.gethostname()}:{os.getpid()}:{ulid()}"
        self.held, self.revoked, self.stop = {}, set(), False
        self.interval, self.sooner = 10.0, threading.Event()
        threading.Thread(target=self.heartbeats, daemon=True).start()
        signal.signal(signal.SIGTERM, self.sigterm)

    def call(self, method, request, timeout=5):
        """Repeats the same request until the coordinator answers, across its restarts too."""
        while True:
            try:
                return method(request, timeout=timeout)
            except grpc.RpcError as error:
                if error.code() not in AGAIN:
                    raise
                time.sleep(0.2)

    def heartbeats(self):
        while True:
            beat = pb.HeartbeatRequest(worker_id=self.me, leases=list(self.held.values()))
            with contextlib.suppress(grpc.RpcError):  # nothing that happens here stops the work
                for answer in self.leases.Heartbeat(beat, timeout=5).answers:
                    if answer.state == pb.LEASE_STATE_REVOKED:
                        self.revoked.add(answer.lease.SerializeToString())
            self.sooner.wait(self.interval)
            self.sooner.clear()

    def sigterm(self, *_):
        """Ends at once and gives the lease back, unless it commits: that is finished first."""
        self.stop = True
        if not any(one.phase == pb.PHASE_COMMITTING for one in self.held.values()):
            sys.exit(75)

    def attempt(self, grant, key, attempt):
        """Scores and commits one shard. Returns the outcome, or nothing if the lease was revoked."""
        stored = pathlib.Path(grant.output_root, grant.plan_path).read_bytes()
        if hashlib.sha256(stored).hexdigest() != grant.plan_sha256:
            raise RuntimeError("another plan is stored here; see that every worker mounts the same output")
        plan, lease = json.loads(stored), grant.lease
        rows = read(plan, lease.shard)
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.join(folder, "data.parquet")
            pq.write_table(score(rows, plan["task"]["id"]), data)
            if key in self.revoked:
                return None
            self.held[key] = pb.LeaseProgress(lease=lease, phase=pb.PHASE_COMMITTING, rows_done=len(rows))
            command = [self.args.worker_binary, "commit", "--output-root", grant.output_root, "--run", lease.run]
            command += ["--shard", lease.shard, "--attempt", attempt, "--data", data]
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

    def work(self, grant):
        key, attempt = grant.lease.SerializeToString(), ulid()
        self.held[key] = pb.LeaseProgress(lease=grant.lease, phase=pb.PHASE_SCORING)
        if grant.heartbeat_interval_ms / 1000 < self.interval:
            self.interval = grant.heartbeat_interval_ms / 1000
            self.sooner.set()
        try:
            outcome = self.attempt(grant, key, attempt)
        except BadRows as error:
            outcome = failed(pb.FAILURE_CLASS_DATA, "bad_rows", error)
        except Exception as error:  # another try, or another host, may do better
            outcome = failed(pb.FAILURE_CLASS_TRANSIENT, "python", error)
        if outcome:
            report = pb.ReportRequest(worker_id=self.me, lease=grant.lease, attempt=attempt, **outcome)
            while self.call(self.leases.Report, report).state == pb.REPORT_STATE_NO_RECORD:
                time.sleep(1)  # a store that is slow to show the record
        del self.held[key]

    def run(self) -> int:
        wait_ms = 1_000 if self.args.exit_when_idle else 20_000
        try:
            while not self.stop:
                wish = pb.AcquireRequest(worker_id=self.me, request_id=ulid(), max=1, wait_ms=wait_ms)
                answer = self.call(self.leases.Acquire, wish, timeout=wait_ms / 1000 + 5)
                for grant in answer.grants:
                    self.work(grant)
                if answer.directive != pb.DIRECTIVE_CONTINUE:
                    return 75 if answer.directive == pb.DIRECTIVE_DRAIN else 0
                if not answer.grants and self.args.exit_when_idle:
                    if not self.call(self.runs.List, runs_pb.ListRequest(unfinished=True, page_size=1)).runs:
                        return 0
                time.sleep(answer.retry_after_ms / 1000)
            return 75
        finally:
            mine = [one.lease for one in self.held.values()]
            with contextlib.suppress(grpc.RpcError):
                self.leases.Release(pb.ReleaseRequest(worker_id=self.me, leases=mine, leaving=True), timeout=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coordinator", required=True, metavar="HOST:PORT")
    parser.add_argument("--worker-binary", default="nightshift-worker", metavar="PATH", help="commits what was scored")
    parser.add_argument("--exit-when-idle", action="store_true", help="end when no run is under way")
    sys.exit(Worker(parser.parse_args()).run())
