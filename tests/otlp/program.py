#!/usr/bin/env python3
"""A program of somebody else that tells what it does with the ordinary OpenTelemetry SDK.

    program.py SIDECAR TRACES_PORT [gzip]

It sends metrics and spans to the OTLP/gRPC receiver at SIDECAR, as in 127.0.0.1:4317, and is itself
the collector at TRACES_PORT to which the sidecar passes spans on. It prints as JSON what came there.
Settings are those that a pod would have in its environment.
"""

import json
import os
import sys
import threading
from concurrent import futures

SIDECAR, PORT = sys.argv[1], int(sys.argv[2])
os.environ.update(
    OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{SIDECAR}",
    OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
    OTEL_SERVICE_NAME="python-worker",
)
if "gzip" in sys.argv[3:]:
    os.environ["OTEL_EXPORTER_OTLP_COMPRESSION"] = "gzip"

import grpc
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Observation
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

PATIENCE_SECONDS = 60


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the names of spans, with the name of the service that they are of."""

    def __init__(self):
        self.spans, self.came = [], threading.Event()

    def Export(self, request, context):
        for resource in request.resource_spans:
            named = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append([named["service.name"], span.name])
        self.came.set()
        return trace_service_pb2.ExportTraceServiceResponse()


collector = Collector()
server = grpc.server(futures.ThreadPoolExecutor(2))
trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
assert server.add_insecure_port(f"127.0.0.1:{PORT}") == PORT
server.start()

# A minute between two exports: what arrives was flushed.
reader = PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=60_000)
meters = MeterProvider([reader])
meter = meters.get_meter("program")
rows = meter.create_counter("worker.rows", "{row}", "Rows scored.")
rows.add(40, {"task": "embed"})
rows.add(2, {"task": "embed"})
queue = meter.create_up_down_counter("worker.queue", "{batch}", "Batches that wait.")
queue.add(5)
queue.add(-2)
meter.create_observable_gauge("worker.memory", [lambda _: [Observation(1.5e6)]], "By", "Memory.")
duration = meter.create_histogram(
    "worker.batch.duration", "s", "Time of a batch.", explicit_bucket_boundaries_advisory=[0.1, 1]
)
for seconds in (0.05, 0.5, 5.0):
    duration.record(seconds)
assert meters.force_flush(), "the metrics were not taken"

tracers = TracerProvider()
tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = tracers.get_tracer("program")
with tracer.start_as_current_span("shard"):
    with tracer.start_as_current_span("batch"):
        pass
assert tracers.force_flush(), "the spans were not taken"
assert collector.came.wait(PATIENCE_SECONDS), "no span came"
print(json.dumps({"spans": sorted(collector.spans)}))
tracers.shutdown()
meters.shutdown()
server.stop(None)
