#!/usr/bin/env python3
"""Reads OpenLineage events with the classes of the OpenLineage project, and prints what it read.

    lineage_events.py EVENTS.jsonl

Every event and every facet must be one that the class of its schema takes: with no field that the
class does not know, every field that it needs, and values that its validators accept. Facets must
name the schema of their class, so that a reader finds the right one.
"""

import importlib
import json
import pkgutil
import sys
import uuid

from openlineage.client import generated
from openlineage.client.generated import base

# Schema address -> class, over everything that the package has.
CLASSES = {}
for module in pkgutil.iter_modules(generated.__path__):
    names = vars(importlib.import_module(f"openlineage.client.generated.{module.name}"))
    for value in names.values():
        if isinstance(value, type) and hasattr(value, "_get_schema"):
            CLASSES[value._get_schema()] = value


def facets(described):
    read = {}
    for name, fields in (described or {}).items():
        fields = dict(fields)
        schema, producer = fields.pop("_schemaURL"), fields.pop("_producer")
        read[name] = CLASSES[schema](producer=producer, **fields)
    return read


def dataset(kind, described, own):
    described = dict(described)
    described["facets"] = facets(described.get("facets"))
    described[own] = facets(described.get(own))
    return kind(**described)


def event(line):
    fields = json.loads(line)
    assert fields.pop("schemaURL") == base.RunEvent._get_schema()
    run, job = fields.pop("run"), fields.pop("job")
    assert str(uuid.UUID(run["runId"])) == run["runId"] and uuid.UUID(run["runId"]).version == 7
    return base.RunEvent(
        run=base.Run(runId=run["runId"], facets=facets(run.get("facets"))),
        job=base.Job(
            namespace=job["namespace"], name=job["name"], facets=facets(job.get("facets"))
        ),
        eventType=base.EventType[fields.pop("eventType")],
        inputs=[dataset(base.InputDataset, d, "inputFacets") for d in fields.pop("inputs")],
        outputs=[dataset(base.OutputDataset, d, "outputFacets") for d in fields.pop("outputs")],
        **fields,
    )


def main():
    read = []
    with open(sys.argv[1], encoding="utf-8") as lines:
        for line in lines:
            one = event(line)
            error = one.run.facets.get("errorMessage")
            columns = one.inputs[0].facets.get("schema")
            written = one.outputs[0].outputFacets.get("outputStatistics")
            read.append(
                {
                    "type": one.eventType.name,
                    "run": one.run.runId,
                    "job": f"{one.job.namespace}/{one.job.name}",
                    "read": one.inputs[0].inputFacets["inputStatistics"].rowCount,
                    "columns": [field["name"] for field in columns.fields],
                    "written": written.rowCount if written else None,
                    "error": error.message if error else None,
                }
            )
    print(json.dumps(read))


main()
