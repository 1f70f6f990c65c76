#!/usr/bin/env python3
"""Makes image archives of static programs, without Docker.

    deploy/images/oci.py --binaries target/static/x86_64-unknown-linux-gnu/release --out target/images

Each archive is an OCI layout and a Docker manifest in one tar, which `docker load`, `ctr images
import`, `podman load` and `kind load image-archive` take. The same programs give the same bytes: no
times, no owners, sorted names, no compression. A program that is not static is refused, because the
image has no loader for it.
"""

import argparse
import hashlib
import io
import json
import struct
import sys
import tarfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
REGISTRY = "ghcr.io/nightshift-dev"
SOURCE = "https://github.com/nightshift-dev/nightshift"
USER = 65532
MB = 1_000_000
# name: (most bytes, ports, whether it checks certificates of others). Nodes fetch an image before a pod
# begins, so its size is part of every start; the limits are the sizes of today and room for a library.
IMAGES = {
    "nightshift": (50 * MB, (), True),
    "nightshift-coordinator": (40 * MB, (7070, 7071), True),
    "nightshift-worker": (40 * MB, (), True),
    "nightshift-sidecar": (10 * MB, (9464,), False),
}
MACHINES = {62: "amd64", 183: "arm64"}
PT_DYNAMIC = 2
PT_INTERP = 3
DT_NULL = 0
DT_NEEDED = 1


class Refused(Exception):
    """Something that the caller must put right."""


def needs_libraries(data: bytes, header: int) -> bool:
    """Whether the dynamic section names a library. A static program that may lie anywhere in memory has
    such a section too, for itself alone."""
    start, size = struct.unpack_from("<Q", data, header + 8)[0], struct.unpack_from("<Q", data, header + 32)[0]
    for at in range(start, start + size, 16):
        tag = struct.unpack_from("<q", data, at)[0]
        if tag in (DT_NULL, DT_NEEDED):
            return tag == DT_NEEDED
    return False


def architecture(program: Path) -> str:
    """The architecture of a static program."""
    try:
        data = program.read_bytes()
    except OSError as error:
        raise Refused(f"{program}: {error.strerror}: run `make static` first") from error
    if data[:6] != b"\x7fELF\x02\x01":
        raise Refused(f"{program}: not a 64-bit little-endian ELF program")
    machine = struct.unpack_from("<H", data, 18)[0]
    if machine not in MACHINES:
        raise Refused(f"{program}: machine {machine} is none of {', '.join(MACHINES.values())}")
    offset = struct.unpack_from("<Q", data, 32)[0]
    size, count = struct.unpack_from("<HH", data, 54)
    for index in range(count):
        kind = struct.unpack_from("<I", data, offset + index * size)[0]
        if kind == PT_INTERP:
            raise Refused(f"{program}: linked dynamically; build it with `make static`")
        if kind == PT_DYNAMIC and needs_libraries(data, offset + index * size):
            raise Refused(f"{program}: needs shared libraries; build it with `make static`")
    return MACHINES[machine]


def entry(name: str, mode: int, data: bytes | None) -> tuple[tarfile.TarInfo, io.BytesIO | None]:
    """A file, or a folder where there is no data; nothing in it depends on who makes it when."""
    info = tarfile.TarInfo(name)
    info.mode = mode
    if data is None:
        info.type = tarfile.DIRTYPE
        return info, None
    info.size = len(data)
    return info, io.BytesIO(data)


def archive(entries: dict[str, tuple[int, bytes | None]]) -> bytes:
    """A tar with sorted names."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, (mode, data) in sorted(entries.items()):
            tar.addfile(*entry(name, mode, data))
    return out.getvalue()


def root(name: str, program: Path, authorities: Path | None) -> dict[str, tuple[int, bytes | None]]:
    """What is in the image: the program and the little that its libraries look for."""
    passwd = f"nightshift:x:{USER}:{USER}:nightshift:/:/sbin/nologin\n"
    entries: dict[str, tuple[int, bytes | None]] = {
        "etc": (0o755, None),
        "etc/passwd": (0o644, passwd.encode()),
        "etc/group": (0o644, f"nightshift:x:{USER}:\n".encode()),
        # Names come from the files of the pod, then from DNS.
        "etc/nsswitch.conf": (0o644, b"hosts: files dns\n"),
        "tmp": (0o1777, None),
        "LICENSE": (0o644, (REPOSITORY / "LICENSE").read_bytes()),
        name: (0o755, program.read_bytes()),
    }
    if authorities is not None:
        if not authorities.is_file():
            raise Refused(f"{authorities} is missing: apt-get install ca-certificates, or --authorities")
        entries |= {"etc/ssl": (0o755, None), "etc/ssl/certs": (0o755, None)}
        entries["etc/ssl/certs/ca-certificates.crt"] = (0o644, authorities.read_bytes())
    return entries


def encoded(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def image(name: str, program: Path, version: str, authorities: Path) -> bytes:
    """The whole archive of one image."""
    _, ports, speaks_tls = IMAGES[name]
    machine = architecture(program)
    reference = f"{REGISTRY}/{name}:{version}"
    blobs: dict[str, bytes] = {}

    def blob(media_type: str, data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    layer = blob(
        "application/vnd.oci.image.layer.v1.tar",
        archive(root(name, program, authorities if speaks_tls else None)),
    )
    settings: dict[str, object] = {
        "Entrypoint": [f"/{name}"],
        "Env": ["PATH=/"],
        "User": f"{USER}:{USER}",
        "WorkingDir": "/",
        "Labels": {
            "org.opencontainers.image.title": name,
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.source": SOURCE,
            "org.opencontainers.image.licenses": "Apache-2.0",
        },
    }
    if ports:
        settings["ExposedPorts"] = {f"{port}/tcp": {} for port in ports}
    config = blob(
        "application/vnd.oci.image.config.v1+json",
        encoded(
            {
                "architecture": machine,
                "os": "linux",
                "created": "1970-01-01T00:00:00Z",
                "config": settings,
                "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
                "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "oci.py"}],
            }
        ),
    )
    media_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer]}
    described = blob(media_type, encoded(manifest)) | {
        "platform": {"architecture": machine, "os": "linux"},
        "annotations": {
            "io.containerd.image.name": reference,
            "org.opencontainers.image.ref.name": version,
        },
    }

    def path(of: dict[str, object]) -> str:
        return "blobs/sha256/" + str(of["digest"]).removeprefix("sha256:")

    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [described],
    }
    docker = [{"Config": path(config), "RepoTags": [reference], "Layers": [path(layer)]}]
    entries: dict[str, tuple[int, bytes | None]] = {
        "blobs": (0o755, None),
        "blobs/sha256": (0o755, None),
        "index.json": (0o644, encoded(index)),
        "manifest.json": (0o644, encoded(docker)),
        "oci-layout": (0o644, encoded({"imageLayoutVersion": "1.0.0"})),
    }
    entries |= {f"blobs/sha256/{digest}": (0o644, data) for digest, data in blobs.items()}
    return archive(entries)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binaries", type=Path, required=True, help="folder with the static programs")
    parser.add_argument("--out", type=Path, required=True, help="folder for the archives")
    parser.add_argument("--version", default="0.1.0", help="tag of the images (default: %(default)s)")
    parser.add_argument(
        "--authorities",
        type=Path,
        default=Path("/etc/ssl/certs/ca-certificates.crt"),
        help="PEM file of the authorities that images with TLS trust (default: %(default)s)",
    )
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"of {', '.join(IMAGES)} (default: all)")
    options = parser.parse_args()
    unknown = [name for name in options.images if name not in IMAGES]
    if unknown:
        parser.error(f"no image {unknown[0]}: one of {', '.join(IMAGES)}")
    options.out.mkdir(parents=True, exist_ok=True)
    too_big = []
    for name in options.images or IMAGES:
        try:
            data = image(name, options.binaries / name, options.version, options.authorities)
        except Refused as refused:
            print(f"oci.py: {refused}", file=sys.stderr)
            return 1
        target = options.out / f"{name}.tar"
        target.write_bytes(data)
        limit = IMAGES[name][0]
        print(f"{target}  {len(data) / MB:.1f} MB of at most {limit / MB:.0f} MB")
        if len(data) > limit:
            too_big.append(name)
    for name in too_big:
        print(f"oci.py: {name} is larger than it may be", file=sys.stderr)
    return 1 if too_big else 0


if __name__ == "__main__":
    sys.exit(main())
