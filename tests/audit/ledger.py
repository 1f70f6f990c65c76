"""Judges the Redis ledger of one output root, sharing no code with its writer.

  I4  Redis is never ahead: every member of every `run:<id>:done` has a record, every entry of
      `dates` has that final with that state, and `meta` names this root

Redis is read whole before the store is looked at, so that a run may go on meanwhile: what Redis
has said must be found in a store that is only later.
"""

import json
import re
import socket
import time

PATIENCE_S = 20  # a server that is stopped never answers


class Redis:
    """One connection, and the five kinds of reply of RESP2."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        self.replies = self.socket.makefile("rb")

    def ask(self, *words, may_fail=False):
        words = [str(word).encode() for word in words]
        sent = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        self.socket.sendall(b"*%d\r\n%s" % (len(words), sent))
        reply = self.reply()
        if isinstance(reply, ConnectionError):
            if not may_fail:
                raise reply
            return str(reply)
        return reply

    def pairs(self, key):
        flat = self.ask("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))

    def reply(self):
        line = self.replies.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("redis closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            return ConnectionError(rest)
        if kind == b"$":
            return None if rest == "-1" else self.replies.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest


class Ledger:
    """What Redis says about one name, at one moment."""

    def __init__(self, address, name):
        redis = Redis(address)
        while str(loading := redis.ask("PING", may_fail=True)).startswith("LOADING"):
            time.sleep(0.01)
        assert loading == "PONG", loading
        prefix = f"nightshift:{{{name}}}:"
        keys = [key for key in redis.ask("KEYS", "*") if key.startswith(prefix)]
        runs = [match[1] for key in keys if (match := re.fullmatch(r"run:(.+):done", key[len(prefix) :]))]
        # A ledger that changes hands meanwhile is read again. (A server without memory refuses
        # even to read in a transaction.)
        whose, self.meta = None, redis.pairs(prefix + "meta")
        while whose != self.meta:
            whose = self.meta
            self.done = {run: set(map(int, redis.ask("SMEMBERS", f"{prefix}run:{run}:done"))) for run in runs}
            self.dates = {date: json.loads(text) for date, text in redis.pairs(prefix + "dates").items()}
            self.meta = redis.pairs(prefix + "meta")


def check(ledger, audit, name, root_id, complete, foreign_ok):
    """Adds to `audit` what is wrong with `ledger`, which was read before the store."""
    fault = lambda text: audit.fault("redis", text)
    finals, records = {}, {}
    for path in (audit.meta / "finals").glob("*/g*.json"):
        finals.setdefault(path.parent.name, {})[int(path.stem[1:])] = audit.read_json(path)
    for path in (audit.meta / "runs").glob("*/records/*.json"):
        records.setdefault(path.parent.parent.name, set()).add(int(path.stem))
    said = ledger.meta.get("root_id")
    audit.counts["redis_dates"] = len(ledger.dates)
    audit.counts["redis_done"] = sum(map(len, ledger.done.values()))
    audit.counts["redis_root"] = "none" if said is None else "own" if said == root_id else "foreign"
    if said is None and complete:
        fault("`meta` does not name the root, although the ledger is said to be complete")
    elif said not in (None, root_id) and not foreign_ok:
        fault(f"`meta` names the root {said}, the root is {root_id}")
    if said != root_id:
        return  # It is empty, being made anew, or of another root: nobody believes it.

    for run, shards in ledger.done.items():
        ahead = shards - records.get(run, set())
        if ahead:
            fault(f"shards {sorted(ahead)[:5]} of {run} are done, but have no record")
    for partition, entry in ledger.dates.items():
        final = finals.get(partition, {}).get(entry["generation"])
        if final is None:
            fault(f"{partition} is said to be {entry['state']}, but generation {entry['generation']} has no final")
            continue
        told = {
            "root": root_id,
            "run": final["run"],
            "state": final["state"],
            "fingerprint": final["fingerprint"],
            "rows": final["totals"]["rows_in"],
            "finished_at": final["decided_at"],
        }
        for key, value in told.items():
            if entry.get(key) != value:
                fault(f"{partition} has {key} {entry.get(key)} in Redis, {value} in the final")

    if not complete:
        return
    for partition, generations in finals.items():
        entry = ledger.dates.get(partition)
        if entry is None or entry["generation"] != max(generations):
            fault(f"{partition} has a final of generation {max(generations)}, Redis says {entry}")
    for run, shards in records.items():
        name_of, partition, generation = re.fullmatch(r"(.+)-(all|\d{4}-\d\d-\d\d)-g(\d+)", run).groups()
        if int(generation) not in finals.get(partition, {}) and ledger.done.get(run, set()) != shards:
            fault(f"{run} is under way with {len(shards)} records, Redis has {len(ledger.done.get(run, set()))}")
