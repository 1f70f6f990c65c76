#!/usr/bin/env python3
"""Reads an image archive both as Docker and as containerd do, and says what is in it.

Prints {"faults", "tags", "entrypoint", "user", "files"}.
"""

import hashlib
import io
import json
import sys
import tarfile


def main() -> None:
    with tarfile.open(sys.argv[1]) as tar:
        blobs = {info.name: tar.extractfile(info).read() for info in tar if info.isfile()}
        times = {info.mtime for info in tar}
    faults = [] if times == {0} else [f"times {times}"]
    for path, data in blobs.items():
        if path.startswith("blobs/") and hashlib.sha256(data).hexdigest() != path.rsplit("/", 1)[1]:
            faults.append(f"{path} is not what its name says")

    def blob(descriptor: dict) -> bytes:
        data = blobs[descriptor["digest"].replace("sha256:", "blobs/sha256/")]
        if len(data) != descriptor["size"]:
            faults.append(f"{descriptor['digest']} has {len(data)} bytes")
        return data

    # As containerd reads it.
    if json.loads(blobs["oci-layout"]) != {"imageLayoutVersion": "1.0.0"}:
        faults.append("no OCI layout")
    (described,) = json.loads(blobs["index.json"])["manifests"]
    manifest = json.loads(blob(described))
    config = json.loads(blob(manifest["config"]))
    layers = [blob(layer) for layer in manifest["layers"]]
    if config["rootfs"]["diff_ids"] != ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]:
        faults.append("the layers are not those of the configuration")
    if {key: config[key] for key in ("architecture", "os")} != described["platform"]:
        faults.append("the platform is not that of the configuration")
    # As Docker reads it.
    (docker,) = json.loads(blobs["manifest.json"])
    if json.loads(blobs[docker["Config"]]) != config or [blobs[path] for path in docker["Layers"]] != layers:
        faults.append("Docker would read another image")
    if docker["RepoTags"] != [described["annotations"]["io.containerd.image.name"]]:
        faults.append("Docker would read another name")
    with tarfile.open(fileobj=io.BytesIO(layers[0])) as layer:
        files = {info.name: f"{info.mode:o}" for info in layer}
    settings = config["config"]
    print(
        json.dumps(
            {
                "faults": faults,
                "tags": docker["RepoTags"],
                "entrypoint": settings["Entrypoint"],
                "user": settings["User"],
                "files": files,
            }
        )
    )


main()
