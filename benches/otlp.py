#!/usr/bin/env python3
"""What traces, metrics and a log at the level debug cost a run.

Scores a large table of flights several times each way, in turn: without anything, with OTLP to a
sidecar that drops the spans, with `--log debug`, and with both. It prints the median time
of each, of the clock and of the processor, and the median of the ratios to the first of the same
round: what else the machine does weighs on both. Lines of the log go to a file. Every run writes
the same rows, which is checked.

    make bench-otlp

The aim is a ratio of at most 1.01 with OTLP.
"""

import argparse
import hashlib
import os
import pathlib
import re
import resource
import statistics
import subprocess
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
WAYS = {
    "plain": (False, False),
    "OTLP": (True, False),
    "debug log": (False, True),
    "OTLP and debug log": (True, True),
}


def start_sidecar(binaries: pathlib.Path, folder: pathlib.Path) -> tuple[subprocess.Popen, str]:
    """A sidecar on free ports, and where it takes OTLP."""
    said = folder / "sidecar.log"
    command = [binaries / "nightshift-sidecar", "--otlp", "127.0.0.1:0", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stderr=said.open("w"))
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := re.search(r"receiving OTLP on (\S+)", said.read_text()):
            return process, f"http://{found[1]}"
        time.sleep(0.01)
    process.kill()
    raise SystemExit(f"the sidecar does not start: {said.read_text()}")


def digest(output: pathlib.Path) -> str:
    """Of all visible rows, file by file."""
    summed = hashlib.sha256()
    for part in sorted(output.glob("all/gen=*/part-*")):
        summed.update(part.name.encode() + part.read_bytes())
    return summed.hexdigest()


def run(binaries: pathlib.Path, example: pathlib.Path, folder: pathlib.Path, way: str, endpoint: str) -> tuple[float, float, str]:
    """Seconds of one run by the clock and of the processor, and the digest of what it wrote."""
    sends, logs = WAYS[way]
    output = folder / "out"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "NIGHTSHIFT_"))}
    if sends:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    level = "debug" if logs else "warn"
    command = [binaries / "nightshift", "run", example / "large.yaml", "--output", output]
    command += ["--without-sync", "--log", level, "--log-format", "json"]
    with (folder / "log").open("w") as log:
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=log)
        seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = digest(output)
    subprocess.run(["rm", "-rf", output], check=True)
    return seconds, processor, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="the first is compared with")
    parser.add_argument("--binaries", type=pathlib.Path, default=REPOSITORY / "target" / "release")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        example = folder / "example"
        command = [arguments.binaries / "nightshift", "example", example, "--rows", str(arguments.rows)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        spec = example / "large.yaml"
        # Lines of text, since the footer of a Parquet file names its attempt.
        spec.write_text(re.sub(r"(?m)^(\s+)uri: out\b.*$", r"\g<0>\n\g<1>format: jsonl", spec.read_text()))
        sidecar, endpoint = start_sidecar(arguments.binaries, folder)
        times: dict[str, list[tuple[float, float]]] = {way: [] for way in arguments.ways}
        digests = set()
        try:
            for _ in range(arguments.rounds):
                for way in arguments.ways:
                    clock, processor, found = run(arguments.binaries, example, folder, way, endpoint)
                    times[way].append((clock, processor))
                    digests.add(found)
        finally:
            sidecar.terminate()
            sidecar.wait()
    if len(digests) != 1:
        raise SystemExit("the rows differ from run to run")
    print(f"{arguments.rows:,} rows, {arguments.rounds} rounds")
    print(f"{'':20} {'clock':>8}   {'ratio':>6}  {'processor':>9}   {'ratio':>6}")
    for way, seconds in times.items():
        cells = []
        for kind in (0, 1):
            ratios = [own[kind] / plain[kind] for own, plain in zip(seconds, times[arguments.ways[0]])]
            cells += [statistics.median(own[kind] for own in seconds), statistics.median(ratios)]
        print("{:20} {:8.3f} s {:6.3f}  {:9.3f} s {:6.3f}".format(way, *cells))


if __name__ == "__main__":
    main()
