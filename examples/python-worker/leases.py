"""The protocol: leases of shards, kept alive, reported and given back. Any framework can use it."""
import contextlib, os, pathlib, secrets, signal, socket, sys, threading, time

import grpc

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "proto"))
pb, rpc = grpc.protos_and_services("nightshift/v1/leases.proto")
runs_pb, runs_rpc = grpc.protos_and_services("nightshift/v1/runs.proto")
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def ulid() -> str:
    number = int(time.time() * 1000) << 80 | secrets.randbits(80)
    return "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[number >> at & 31] for at in range(125, -1, -5))


class Leases:
    """`run` hands every grant to `attempt(leases, grant, attempt_id)`, which returns the outcome."""

    def __init__(self, address: str, attempt):
        channel = grpc.insecure_channel(address)
        self.leases, self.runs = rpc.ShardLeasesStub(channel), runs_rpc.RunsStub(channel)
        self.attempt, self.me = attempt, f"{socket.gethostname()}:{os.getpid()}:{ulid()}"
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

    def committing(self, lease, rows) -> bool:
        """Says that the attempt commits from now on; false if its lease was taken away before."""
        key = lease.SerializeToString()
        self.held[key] = pb.LeaseProgress(lease=lease, phase=pb.PHASE_COMMITTING, rows_done=rows)
        return key not in self.revoked

    def work(self, grant):
        key, attempt = grant.lease.SerializeToString(), ulid()
        if grant.heartbeat_interval_ms / 1000 < self.interval:
            self.interval = grant.heartbeat_interval_ms / 1000
            self.sooner.set()
        self.held[key] = pb.LeaseProgress(lease=grant.lease, phase=pb.PHASE_SCORING)
        outcome = self.attempt(self, grant, attempt)
        if outcome:
            report = pb.ReportRequest(worker_id=self.me, lease=grant.lease, attempt=attempt, **outcome)
            while self.call(self.leases.Report, report).state == pb.REPORT_STATE_NO_RECORD:
                time.sleep(1)  # a store that is slow to show the record
        del self.held[key]

    def run(self, exit_when_idle=False) -> int:
        """Works until it is told to end; the exit code."""
        wait_ms = 1_000 if exit_when_idle else 20_000
        try:
            while not self.stop:
                wish = pb.AcquireRequest(worker_id=self.me, request_id=ulid(), max=1, wait_ms=wait_ms)
                answer = self.call(self.leases.Acquire, wish, timeout=wait_ms / 1000 + 5)
                for grant in answer.grants:
                    self.work(grant)
                if answer.directive != pb.DIRECTIVE_CONTINUE:
                    return 75 if answer.directive == pb.DIRECTIVE_DRAIN else 0
                if not answer.grants and exit_when_idle:
                    if not self.call(self.runs.List, runs_pb.ListRequest(unfinished=True, page_size=1)).runs:
                        return 0
                time.sleep(answer.retry_after_ms / 1000)
            return 75
        finally:
            mine = [one.lease for one in self.held.values()]
            with contextlib.suppress(grpc.RpcError):
                self.leases.Release(pb.ReleaseRequest(worker_id=self.me, leases=mine, leaving=True), timeout=1)
