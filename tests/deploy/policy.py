#!/usr/bin/env python3
"""Judges the rendered output of a kustomization by what an installation must keep to.

    policy.py FILE [--external KIND/NAME]...

Prints {"pods": n, "findings": [...]}. Knows nothing of how the output was made. What is not in the
output and must be there all the same is named with --external.
"""

import argparse
import json
import re
from pathlib import Path

from manifests import containers, labels, load, name, pod_templates, selects, with_embedded

USER = 65532
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|CREDENTIAL|API_?KEY|REDIS_URL")
SECRET_VALUE = re.compile(r"://[^/@\s]*:[^/@\s]+@")
WORKER_PORTS = {53, 7070}
COMPONENT = "app.kubernetes.io/component"


def restricted(template: dict):
    """The Pod Security Standard "restricted", a read-only root, and our user."""
    spec = template["spec"]
    for field in ("hostNetwork", "hostPID", "hostIPC", "hostUsers"):
        if spec.get(field):
            yield f"{field} is set"
    pod = spec.get("securityContext", {})
    if pod.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "no seccompProfile"
    if pod.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if pod.get("runAsUser") != USER or pod.get("runAsGroup") != USER:
        yield f"user or group is not {USER}"
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= VOLUMES:
            yield f"volume {volume['name']} is of the kind {kinds}"
    for container in containers(template):
        at, own = container["name"], container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{at}: allowPrivilegeEscalation is not false"
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{at}: capabilities are not all dropped"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{at}: the root file system can be written"
        if own.get("privileged") or own.get("runAsUser", USER) != USER or own.get("runAsNonRoot") is False:
            yield f"{at}: overrides the user of the pod"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield f"{at}: hostPort"


def resources_and_images(template: dict):
    for container in containers(template):
        at = container["name"]
        if "memory" not in container.get("resources", {}).get("limits", {}):
            yield f"{at}: no memory limit"
        image = container["image"].rsplit("/", 1)[-1]
        if "@sha256:" not in image and (":" not in image or image.endswith(":latest")):
            yield f"{at}: the image {image} has no fixed tag"


def plain_secrets(template: dict):
    for container in containers(template):
        for variable in container.get("env", []):
            value = variable.get("value", "")
            if value and (SECRET_NAME.search(variable["name"]) or SECRET_VALUE.search(value)):
                yield f"{container['name']}: {variable['name']} has a secret as its value"
        for word in container.get("command", []) + container.get("args", []):
            if SECRET_VALUE.search(word):
                yield f"{container['name']}: an argument has a password"


def ports_and_probes(template: dict):
    for container in containers(template):
        ports = container.get("ports", [])
        names = {port.get("name") for port in ports}
        if None in names:
            yield f"{container['name']}: a port has no name"
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            for how in ("httpGet", "tcpSocket"):
                if how in container.get(probe, {}) and container[probe][how]["port"] not in names:
                    yield f"{container['name']}: {probe} asks a port that is not named"


def references(template: dict, claims: set, there: dict):
    """What a pod names must be there, with the keys that it names."""

    def missing(kind, of, keys=()):
        known = there.get((kind, of))
        if known is None:
            return [f"{kind} {of} is not there"]
        return [f"{kind} {of} has no key {key}" for key in keys if known is not True and key not in known]

    spec = template["spec"]
    yield from missing("ServiceAccount", spec.get("serviceAccountName", "default"))
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    for volume in volumes.values():
        if "configMap" in volume:
            keys = [item["key"] for item in volume["configMap"].get("items", [])]
            yield from missing("ConfigMap", volume["configMap"]["name"], keys)
        if "secret" in volume:
            keys = [item["key"] for item in volume["secret"].get("items", [])]
            yield from missing("Secret", volume["secret"]["secretName"], keys)
        if "persistentVolumeClaim" in volume:
            yield from missing("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
    for container in containers(template):
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes and mount["name"] not in claims:
                yield f"{container['name']}: mounts {mount['name']}, which is no volume"
        for variable in container.get("env", []):
            source = variable.get("valueFrom", {})
            for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                if field in source:
                    yield from missing(kind, source[field]["name"], [source[field]["key"]])


def selectors(documents: list, pods: list):
    """Whatever selects something selects something."""
    for document in documents:
        kind, spec = document["kind"], document.get("spec", {})
        if kind in ("Deployment", "StatefulSet"):
            if not selects(spec["selector"], labels(spec["template"])):
                yield f"{name(document)}: selects other pods than its own"
        elif kind == "Service":
            chosen = [pod for pod in pods if selects({"matchLabels": spec["selector"]}, labels(pod))]
            if not chosen:
                yield f"{name(document)}: selects no pod"
            open_ports = {port.get("name") for pod in chosen for each in containers(pod) for port in each.get("ports", [])}
            for port in spec["ports"]:
                if "name" not in port:
                    yield f"{name(document)}: a port has no name"
                if port.get("targetPort") not in open_ports:
                    yield f"{name(document)}: {port.get('targetPort')} is no port of its pods"
        elif kind in ("PodDisruptionBudget", "PodMonitor"):
            if not any(selects(spec["selector"], labels(pod)) for pod in pods):
                yield f"{name(document)}: selects no pod"
        elif kind == "ServiceMonitor":
            services = [each for each in documents if each["kind"] == "Service"]
            if not any(selects(spec["selector"], each["metadata"]["labels"]) for each in services):
                yield f"{name(document)}: selects no service"


def rights(documents: list, there: dict):
    for document in documents:
        if document["kind"] in ("ClusterRole", "ClusterRoleBinding"):
            yield f"{name(document)}: rights in the whole cluster"
        if document["kind"] == "Role":
            for rule in document["rules"]:
                if "*" in rule["apiGroups"] + rule["resources"] + rule["verbs"]:
                    yield f"{name(document)}: a wildcard"
                if {"secrets", "pods/exec", "serviceaccounts/token", "roles", "rolebindings"} & set(rule["resources"]):
                    yield f"{name(document)}: rights on {rule['resources']}"
        if document["kind"] == "RoleBinding":
            if ("Role", document["roleRef"]["name"]) not in there:
                yield f"{name(document)}: its role is not there"
            for subject in document["subjects"]:
                if ("ServiceAccount", subject["name"]) not in there:
                    yield f"{name(document)}: {subject['name']} is not there"
                if subject.get("namespace") != document["metadata"].get("namespace"):
                    yield f"{name(document)}: {subject['name']} is of another namespace"


def is_to_collector(rule: dict) -> bool:
    """Whether all that the rule opens is OTLP to the collector of the installation."""
    peers = [peer.get("podSelector", {}).get("matchLabels", {}) for peer in rule.get("to", [])]
    ports = {port["port"] for port in rule.get("ports", [])}
    return bool(peers) and all(peer.get(COMPONENT) == "collector" for peer in peers) and ports == {4317}


def network(documents: list, pods: list):
    policies = [document for document in documents if document["kind"] == "NetworkPolicy"]
    if not any(
        policy["spec"]["podSelector"] == {}
        and set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        and not policy["spec"].get("ingress")
        and not policy["spec"].get("egress")
        for policy in policies
    ):
        yield "no policy denies by default"
    for policy in policies:
        spec = policy["spec"]
        if not any(selects(spec["podSelector"], labels(pod)) for pod in pods):
            yield f"{name(policy)}: selects no pod"
        rules = [(rule, "to") for rule in spec.get("egress", [])] + [(rule, "from") for rule in spec.get("ingress", [])]
        for rule, side in rules:
            if not rule.get("ports"):
                yield f"{name(policy)}: opens every port"
            if not rule.get(side):
                yield f"{name(policy)}: opens to everybody"
            for peer in rule.get(side, []):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    if not any(selects(peer["podSelector"], labels(pod)) for pod in pods):
                        yield f"{name(policy)}: a peer is no pod"
    for worker in (pod for pod in pods if labels(pod).get(COMPONENT) == "worker"):
        for policy in policies:
            spec = policy["spec"]
            if selects(spec["podSelector"], labels(worker)):
                # Traces go to the collector alone.
                rules = [rule for rule in spec.get("egress", []) if not is_to_collector(rule)]
                ports = {port["port"] for rule in rules for port in rule["ports"]}
                if not ports <= WORKER_PORTS:
                    yield f"{name(policy)}: lets workers out to {sorted(ports - WORKER_PORTS)}"
            if spec["podSelector"].get("matchLabels", {}).get(COMPONENT) == "redis":
                peers = [peer for rule in spec.get("ingress", []) for peer in rule["from"]]
                if any(selects(peer.get("podSelector", {}), labels(worker)) for peer in peers):
                    yield f"{name(policy)}: lets workers in to Redis"


def coordinator_is_reached(documents: list, pods: list):
    """Who is told where the coordinator is may speak to it, by its own policies and by the coordinator's."""
    policies = [document["spec"] for document in documents if document["kind"] == "NetworkPolicy"]
    coordinators = [pod for pod in pods if labels(pod).get(COMPONENT) == "coordinator"]

    def lets(selected: dict, side: str, of: str, other: dict) -> bool:
        rules = [rule for spec in policies if selects(spec["podSelector"], labels(selected)) for rule in spec.get(side, [])]
        return any(
            any(port["port"] == 7070 for port in rule.get("ports", []))
            and any("podSelector" in peer and selects(peer["podSelector"], labels(other)) for peer in rule.get(of, []))
            for rule in rules
        )

    for pod in pods:
        told = [each for container in containers(pod) for each in container.get("env", [])]
        if any(each["name"] == "NIGHTSHIFT_COORDINATOR" for each in told):
            component = labels(pod).get(COMPONENT)
            for coordinator in coordinators:
                if not lets(pod, "egress", "to", coordinator):
                    yield f"{component}: no policy lets it out to the coordinator"
                if not lets(coordinator, "ingress", "from", pod):
                    yield f"{component}: the coordinator does not let it in"


def namespaces(documents: list):
    spaces = [document for document in documents if document["kind"] == "Namespace"]
    for space in spaces:
        if space["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{name(space)}: does not enforce restricted"
    for document in documents:
        if spaces and document["kind"] != "Namespace":
            if document["metadata"].get("namespace") != spaces[0]["metadata"]["name"]:
                yield f"{name(document)}: outside of the namespace"


def judge(documents: list, external: list):
    documents = with_embedded(documents)
    there = {tuple(each.split("/", 1)): True for each in external}
    for document in documents:
        keys = set(document.get("data", {})) | set(document.get("stringData", {}))
        there[(document["kind"], document["metadata"]["name"])] = keys
    pods = []
    for document in documents:
        claims = {claim["metadata"]["name"] for claim in document.get("spec", {}).get("volumeClaimTemplates", [])}
        for template in pod_templates(document):
            pods.append(template)
            for rule in (restricted, resources_and_images, plain_secrets, ports_and_probes):
                yield from (f"{name(document)}: {finding}" for finding in rule(template))
            yield from (f"{name(document)}: {finding}" for finding in references(template, claims, there))
    yield from selectors(documents, pods)
    yield from rights(documents, there)
    yield from network(documents, pods)
    yield from coordinator_is_reached(documents, pods)
    yield from namespaces(documents)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--external", action="append", default=[])
    options = parser.parse_args()
    documents = load(options.file)
    pods = sum(len(pod_templates(document)) for document in with_embedded(documents))
    print(json.dumps({"pods": pods, "findings": list(judge(documents, options.external))}))


main()
