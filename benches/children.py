"""Running a command and seeing how long it takes and how much memory, for the benchmarks of text."""

import pathlib
import subprocess
import sys
import threading
import time


def child(command):
    """Seconds and peak bytes of a command, and what it printed."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    # What the kernel says at the end counts this process, of which the child was a copy.
    peaks = [0]
    watcher = threading.Thread(target=watch, args=(process.pid, peaks))
    watcher.start()
    out = process.stdout.read()
    status = process.wait()
    seconds = time.perf_counter() - started
    watcher.join()
    if status != 0:
        sys.exit(f"{command} ended with {status}")
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
