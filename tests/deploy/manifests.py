"""Reads Kubernetes manifests, strictly, and what is in them."""

from pathlib import Path

import yaml

WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"}


class Strict(yaml.SafeLoader):
    """Refuses a key that is there twice, of which other readers take one or the other."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load(path: Path) -> list[dict]:
    """The documents of a file."""
    with open(path, encoding="utf-8") as file:
        return [document for document in yaml.load_all(file, Strict) if document is not None]


def name(document: dict) -> str:
    metadata = document.get("metadata", {})
    return f"{document.get('kind')} {metadata.get('name') or metadata.get('generateName')}"


# Lists of a pod whose elements have a name, and what that is, as in docs/kubernetes.md#the-overlay.
MERGE_KEYS = {"containers": "name", "initContainers": "name", "volumes": "name", "env": "name", "volumeMounts": "mountPath"}


def overlaid(base, overlay, field: str = ""):
    """What a coordinator makes of a part of its job template and an overlay."""
    if isinstance(overlay, dict) and isinstance(base, dict):
        return base | {name: overlaid(base.get(name), value, name) for name, value in overlay.items()}
    if isinstance(overlay, list) and isinstance(base, list) and field in MERGE_KEYS:
        key = MERGE_KEYS[field]
        laid = {element[key]: element for element in overlay}
        merged = [overlaid(element, laid.pop(element[key], {})) for element in base]
        return merged + list(laid.values())
    return overlay


def with_embedded(documents: list[dict]) -> list[dict]:
    """The documents, and the Jobs that lie as text in ConfigMaps with the overlays beside them, in the
    namespace of those."""
    embedded = []
    for document in documents:
        if document.get("kind") != "ConfigMap":
            continue
        for key, text in document.get("data", {}).items():
            if key.endswith("-job.yaml"):
                job = yaml.load(text, Strict)
                for name_of, part in document["data"].items():
                    if name_of.endswith("-overlay.yaml"):
                        template = job["spec"]["template"]
                        job["spec"]["template"] = overlaid(template, yaml.load(part, Strict))
                job["metadata"]["namespace"] = document["metadata"].get("namespace")
                embedded.append(job)
    return documents + embedded


def pod_templates(document: dict) -> list[dict]:
    """The pods that a document makes: metadata and spec."""
    kind = document["kind"]
    if kind == "Pod":
        return [document]
    if kind in WORKLOADS:
        return [document["spec"]["template"]]
    if kind == "CronJob":
        return [document["spec"]["jobTemplate"]["spec"]["template"]]
    return []


def labels(template: dict) -> dict:
    return template.get("metadata", {}).get("labels", {})


def containers(template: dict) -> list[dict]:
    return template["spec"].get("initContainers", []) + template["spec"]["containers"]


def selects(selector: dict, of: dict) -> bool:
    """Whether a label selector selects these labels."""
    if any(of.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for expression in selector.get("matchExpressions", []):
        value, operator = of.get(expression["key"]), expression["operator"]
        if operator == "In" and value not in expression["values"]:
            return False
        if operator == "NotIn" and value in expression["values"]:
            return False
        if operator == "Exists" and value is None:
            return False
        if operator == "DoesNotExist" and value is not None:
            return False
    return True
