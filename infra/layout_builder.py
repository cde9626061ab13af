"""Writes OCI image layouts in pure Python, laid out as `oras push --oci-layout` lays them out.

For tests that need a layout of an exact shape, and for the demo where the ORAS CLI is missing. It writes what
it is told: what makes a layout odd or broken is the caller's to say.
"""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Descriptor = dict[str, Any]

REF_NAME = "org.opencontainers.image.ref.name"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIG_AND_LAYER_TYPES = {
    OCI_MANIFEST: (OCI_CONFIG, OCI_LAYER),
    DOCKER_MANIFEST: (DOCKER_CONFIG, DOCKER_LAYER),
}
EMPTY_CONFIG = b"{}"


def random_bytes(seed: int, size: int) -> bytes:
    """Return bytes that do not compress and are the same for the same seed."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - repeatable is the point


class LayoutBuilder:
    """One layout under construction. Blobs are written at once, `index.json` and `oci-layout` by `write`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[Descriptor] = []

    def blob(
        self, content: bytes, media_type: str = OCI_LAYER, *, algorithm: str = "sha256", **more: Any
    ) -> Descriptor:
        """Store bytes and return their descriptor; `more` are further fields of the descriptor."""
        encoded = hashlib.new(algorithm, content).hexdigest()
        folder = self.path / "blobs" / algorithm
        folder.mkdir(parents=True, exist_ok=True)
        (folder / encoded).write_bytes(content)
        return {
            "mediaType": media_type,
            "digest": f"{algorithm}:{encoded}",
            "size": len(content),
            **_present(more),
        }

    def blob_path(self, descriptor: Descriptor) -> Path:
        """Return where a blob lies, for a test to alter or remove it."""
        return self.path / "blobs" / Path(*descriptor["digest"].split(":"))

    def image(
        self,
        tag: str | None = None,
        *,
        layers: Sequence[bytes] = (),
        config: Mapping[str, Any] | None = None,
        media_type: str = OCI_MANIFEST,
        annotations: Mapping[str, str] | None = None,
        subject: Descriptor | None = None,
        artifact_type: str | None = None,
        listed: bool = True,
    ) -> Descriptor:
        """Store an image and list it in `index.json`, untagged without a tag.

        `listed=False` leaves it out of `index.json`, as some writers do with the children of an index.
        """
        config_type, layer_type = CONFIG_AND_LAYER_TYPES[media_type]
        config = {"architecture": "amd64", "os": "linux"} if config is None else config
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "artifactType": artifact_type,
            "config": self.blob(_json(config), config_type),
            "layers": [self.blob(layer, layer_type) for layer in layers],
            "subject": subject,
            "annotations": annotations,
        }
        return self._manifest(manifest, tag, listed=listed)

    def index(
        self,
        children: Sequence[Descriptor],
        tag: str | None = None,
        *,
        media_type: str = OCI_INDEX,
        annotations: Mapping[str, str] | None = None,
        subject: Descriptor | None = None,
        artifact_type: str | None = None,
        listed: bool = True,
    ) -> Descriptor:
        """Store an index over descriptors that other calls returned, and list it in `index.json`."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "artifactType": artifact_type,
            "manifests": list(children),
            "subject": subject,
            "annotations": annotations,
        }
        return self._manifest(manifest, tag, listed=listed)

    def referrer(
        self,
        subject: Descriptor,
        *,
        artifact_type: str = "application/vnd.example.sbom.v1+json",
        content: bytes = b'{"sbom":true}',
        tag: str | None = None,
        annotations: Mapping[str, str] | None = None,
        listed: bool = True,
    ) -> Descriptor:
        """Store an artifact that refers to a manifest, as `oras attach` does."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": self.blob(EMPTY_CONFIG, OCI_EMPTY),
            "layers": [self.blob(content, artifact_type)],
            "subject": {key: subject[key] for key in ("mediaType", "digest", "size")},
            "annotations": annotations,
        }
        return self._manifest(manifest, tag, listed=listed)

    def entry(self, descriptor: Descriptor, ref_name: str | None = None) -> Descriptor:
        """List a descriptor in `index.json` under whatever name, once more if it is there already."""
        annotations = dict(descriptor.get("annotations") or {})
        if ref_name is not None:
            annotations[REF_NAME] = ref_name
        listed = descriptor | ({"annotations": annotations} if annotations else {})
        self.entries.append(listed)
        return listed

    def write(self) -> Path:
        """Write `oci-layout` and `index.json`, and return the layout's path."""
        (self.path / "ingest").mkdir(parents=True, exist_ok=True)  # where oras writes blobs at first
        (self.path / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": self.entries}
        (self.path / "index.json").write_bytes(_json(index))
        return self.path

    def _manifest(self, fields: Mapping[str, Any], tag: str | None, *, listed: bool) -> Descriptor:
        """Store a manifest, and list it with its annotations beside its name, as oras does."""
        stored = _present(fields)
        descriptor = self.blob(_json(stored), stored["mediaType"], artifactType=stored.get("artifactType"))
        if listed:
            self.entry(descriptor | _present({"annotations": stored.get("annotations")}), tag)
        return descriptor


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is not set, as Go's `omitempty` does."""
    return {name: value for name, value in fields.items() if value is not None}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
