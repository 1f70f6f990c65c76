#!/usr/bin/env python3
"""Runs a command and tells its peak memory: peak.py COMMAND... prints one JSON document.

The kernel counts the peak for the children of this process that were waited for, so that
none is missed, however short. The command's standard error is passed on.
"""

import json
import resource
import subprocess
import sys

code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"code": code, "peak_kb": peak_kb}))
sys.exit(code)
