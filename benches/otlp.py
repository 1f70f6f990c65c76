#!/usr/bin/env python3
"""What traces, metrics and a log at the level debug cost a run.

Runs the example with the flights several times each way, in turn: without anything, with OTLP to a
sidecar that drops the spans, with `--log debug`, and with both. It prints the median time of each and its ratio to the
first. Lines of the log go to a file. Every run writes the same rows, which is checked.

    make bench-otlp

The aim is a ratio of at most 1.05 with both.
"""

import argparse
import hashlib
import os
import pathlib
import re
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
    for part in sorted(output.glob("date=*/gen=*/part-*")):
        summed.update(part.name.encode() + part.read_bytes())
    return summed.hexdigest()


def run(binaries: pathlib.Path, example: pathlib.Path, folder: pathlib.Path, way: str, endpoint: str) -> tuple[float, str]:
    """Seconds of one run of all dates, and the digest of what it wrote."""
    sends, logs = WAYS[way]
    output = folder / "out"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "NIGHTSHIFT_"))}
    if sends:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    level = "debug" if logs else "warn"
    command = [binaries / "nightshift", "run", example / "spec.yaml", "--dates", "2013-01-01..2013-01-14"]
    command += ["--output", output, "--without-sync", "--log", level, "--log-format", "json"]
    with (folder / "log").open("w") as log:
        begun = time.perf_counter()
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=log)
        seconds = time.perf_counter() - begun
    found = digest(output)
    subprocess.run(["rm", "-rf", output], check=True)
    return seconds, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--binaries", type=pathlib.Path, default=REPOSITORY / "target" / "release")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        example = folder / "example"
        subprocess.run([arguments.binaries / "nightshift", "example", example], check=True, stdout=subprocess.DEVNULL)
        spec = example / "spec.yaml"
        # Lines of text, since the footer of a Parquet file names its attempt.
        spec.write_text(re.sub(r"(?m)^(\s+)uri: out\b.*$", r"\g<0>\n\g<1>format: jsonl", spec.read_text()))
        sidecar, endpoint = start_sidecar(arguments.binaries, folder)
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        digests = set()
        try:
            for _ in range(arguments.rounds):
                for way in WAYS:
                    seconds, found = run(arguments.binaries, example, folder, way, endpoint)
                    times[way].append(seconds)
                    digests.add(found)
        finally:
            sidecar.terminate()
            sidecar.wait()
    if len(digests) != 1:
        raise SystemExit("the rows differ from run to run")
    plain = statistics.median(times["plain"])
    for way, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{way:20} {median:8.3f} s  {median / plain:6.3f} of plain")


if __name__ == "__main__":
    main()
