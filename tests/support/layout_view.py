"""Layouts read without any code of ours, to compare what came back with what went away."""

import hashlib
import json
from pathlib import Path

REF_NAME = "org.opencontainers.image.ref.name"


def tagged(layout: Path) -> dict[str, str]:
    """The digest of each `ref.name` in `index.json`."""
    entries = json.loads((layout / "index.json").read_bytes())["manifests"]
    named = ((entry.get("annotations", {}).get(REF_NAME), entry["digest"]) for entry in entries)
    return {name: digest for name, digest in named if name is not None}


def content(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / Path(*digest.split(":"))).read_bytes()


def graph(layout: Path, digest: str) -> dict[str, str]:
    """Every digest below a manifest, it included, with the hash that its bytes really have."""
    hashes: dict[str, str] = {}
    pending = [(digest, True)]
    while pending:
        wanted, is_manifest = pending.pop()
        raw = content(layout, wanted)
        hashes[wanted] = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        if is_manifest:
            body = json.loads(raw)
            pending += [(child["digest"], True) for child in body.get("manifests", [])]
            pending += [(blob["digest"], False) for blob in body.get("layers", [])]
            pending += [(body["config"]["digest"], False)] if "config" in body else []
    return hashes


def hashes_of_directory(directory: Path) -> set[str]:
    """The hash of each manifest and blob that `skopeo copy … dir:` wrote."""
    files = (path for path in directory.iterdir() if path.name != "version")
    return {f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files}
