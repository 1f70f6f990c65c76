#!/usr/bin/env python3
"""Prints the documents of a file of manifests as JSON: {"documents": [...]}."""

import json
import sys
from pathlib import Path

from manifests import load

print(json.dumps({"documents": load(Path(sys.argv[1]))}))
