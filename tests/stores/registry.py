"""Registers models in an MLflow server by its REST API, for tests.

registry.py URL version NAME FOLDER   registers FOLDER as the next version; prints its number
registry.py URL local NAME FOLDER DIR the same, of a run whose artifacts lie below DIR
registry.py URL alias NAME ALIAS N    points ALIAS at version N
"""

import json
import pathlib
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid


class Server:
    def __init__(self, url):
        self.url = url

    def send(self, method, path, body):
        request = urllib.request.Request(self.url + path, data=body, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"{}")

    def call(self, call, **fields):
        return self.send("POST", "/api/2.0/mlflow/" + call, json.dumps(fields).encode())

    def register(self, name, source, **more):
        try:
            self.call("registered-models/create", name=name)
        except urllib.error.HTTPError as error:
            if b"RESOURCE_ALREADY_EXISTS" not in error.read():
                raise
        made = self.call("model-versions/create", name=name, source=source, **more)
        print(made["model_version"]["version"])

    def run(self, experiment):
        return self.call("runs/create", experiment_id=experiment, start_time=0)["run"]["info"]

    def version(self, name, folder):
        run = self.run("0")
        place = run["artifact_uri"].removeprefix("mlflow-artifacts:/") + "/model"
        for file in pathlib.Path(folder).rglob("*"):
            if file.is_file():
                path = urllib.parse.quote(f"{place}/{file.relative_to(folder)}")
                call = "/api/2.0/mlflow-artifacts/artifacts/" + path
                self.send("PUT", call, file.read_bytes())
        self.register(name, run["artifact_uri"] + "/model", run_id=run["run_id"])

    def local(self, name, folder, artifacts):
        fields = dict(name=uuid.uuid4().hex, artifact_location="file://" + artifacts)
        run = self.run(self.call("experiments/create", **fields)["experiment_id"])
        shutil.copytree(folder, urllib.parse.urlparse(run["artifact_uri"]).path + "/model")
        self.register(name, run["artifact_uri"] + "/model", run_id=run["run_id"])

    def alias(self, name, alias, version):
        self.call("registered-models/alias", name=name, alias=alias, version=version)


if __name__ == "__main__":
    _, url, verb, *words = sys.argv
    getattr(Server(url), verb)(*words)
