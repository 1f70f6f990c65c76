#!/usr/bin/env python3
"""Holds every manifest against the published schemas of several Kubernetes versions.

    schemas.py FILE...

Prints {"checked": n, "findings": [...]}. Files that are patches cannot be held against a schema,
being parts; they are in the rendered output, which is given as well. What has no published schema
is listed here, and nothing else is let through.
"""

import json
import sys
from pathlib import Path

import kubernetes_validate
import yaml
from manifests import load, name, with_embedded

VERSIONS = ("1.34", "1.35", "1.36", "1.37")
# Parts of objects, which are judged where they are laid over one.
PARTS = ("-overlay.yaml", "-patch.yaml")
# Files of Prometheus, which `promtool` judges.
FOREIGN = ("rules.yaml",)
# Custom resources, and files that are not for the API server.
EXEMPT = {
    ("cert-manager.io/v1", "Certificate"),
    ("cert-manager.io/v1", "Issuer"),
    ("kueue.x-k8s.io/v1beta2", "ClusterQueue"),
    ("kueue.x-k8s.io/v1beta2", "LocalQueue"),
    ("kueue.x-k8s.io/v1beta2", "ResourceFlavor"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
    ("kustomize.config.k8s.io/v1alpha1", "Component"),
    ("kustomize.config.k8s.io/v1beta1", "Kustomization"),
    ("nightshift.dev/v1", "BatchInference"),
}


def patches(files: list[Path]) -> set[Path]:
    """The files that kustomizations name as patches."""
    found = set()
    for file in files:
        if file.name == "kustomization.yaml":
            for document in load(file):
                paths = (patch.get("path") for patch in document.get("patches", []))
                found |= {(file.parent / path).resolve() for path in paths if path}
    return found


def main() -> None:
    files = [Path(argument) for argument in sys.argv[1:]]
    parts = patches(files)
    findings, checked = [], 0
    for file in files:
        if file.resolve() in parts or file.name.endswith(PARTS) or file.name in FOREIGN:
            continue
        try:
            documents = with_embedded(load(file))
        except yaml.YAMLError as error:
            findings.append(f"{file}: {error}")
            continue
        for document in documents:
            if (document.get("apiVersion"), document.get("kind")) in EXEMPT:
                continue
            for version in VERSIONS:
                checked += 1
                try:
                    kubernetes_validate.validate(document, version, strict=True)
                except Exception as error:  # the library's errors have no common base
                    said = getattr(error, "message", None) or repr(error)
                    findings.append(f"{file}: {name(document)}: {version}: {said}")
    print(json.dumps({"checked": checked, "findings": findings}))


main()
