"""Running a command and seeing how long it takes and how much memory, for the benchmarks of models."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import pyarrow.parquet as pq


def child(command):
    """Seconds and peak bytes of a command, and what it printed."""
    with tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        # What the kernel says at the end counts this process, of which the child was a copy.
        peaks = [0]
        watcher = threading.Thread(target=watch, args=(process.pid, peaks))
        watcher.start()
        out = process.stdout.read()
        status = process.wait()
        seconds = time.perf_counter() - started
        watcher.join()
        if status != 0:
            errors.seek(0)
            sys.exit(f"{command} ended with {status}:\n{errors.read()[-2000:]}")
    return seconds, peaks[-1], out


def watch(pid, peaks):
    """Appends the most bytes that the process had in memory so far, until it ends."""
    while True:
        try:
            lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            return
        found = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
        if not found:
            return
        peaks.append(found[0] * 1024)
        time.sleep(0.02)


def nightshift(binary, work, spec, workers=None, **fields):
    """Seconds and peak bytes of `nightshift run`, and the table that it wrote, by `id`.

    `spec` is the text of the spec, into which `{output}` and `fields` are put.
    """
    folder = work / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    flags = ["--workers", str(workers)] if workers else []
    (folder / "spec.yaml").write_text(spec.format(output=folder / "out", **fields))
    command = [str(binary), "run", str(folder / "spec.yaml"), "--output-format", "json", *flags]
    seconds, peak, _ = child(command)
    table = pq.read_table(sorted((folder / "out").glob("all/gen=*/part-*.parquet")))
    return seconds, peak, table.sort_by("id")
