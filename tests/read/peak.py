#!/usr/bin/env python3
"""Runs a command and tells its peak memory: peak.py COMMAND... prints one JSON document.

The kernel counts the peak for the children of this process that were waited for, so that
none is missed, however short. The command's standard error is passed on.

`mapped_kb` is how much of that was pages of files, above all of the program itself. The kernel
keeps no peak of it, so it is looked at while the command runs; it hardly ever falls.
"""

import json
import resource
import subprocess
import sys

LOOK_EVERY_SECONDS = 0.005


def mapped_kb_of(pid):
    """Resident pages of files now; 0 for a process that has ended."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        lines = [line.split() for line in status if line.startswith("RssFile:")]
    return int(lines[0][1]) if lines else 0


mapped_kb = 0
with subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL) as command:
    code = None
    while code is None:
        mapped_kb = max(mapped_kb, mapped_kb_of(command.pid))
        try:
            code = command.wait(LOOK_EVERY_SECONDS)
        except subprocess.TimeoutExpired:
            pass
peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"code": code, "peak_kb": peak_kb, "mapped_kb": mapped_kb}))
sys.exit(code)
