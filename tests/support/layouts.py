"""The builder of layouts, under the name that tests know it by; the demo uses the same one."""

import json
from collections.abc import Sequence
from datetime import datetime

from infra.layout_builder import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    REF_NAME,
    Descriptor,
    LayoutBuilder,
    random_bytes,
)
from tasks.oci.reference import IMAGE_NAME
from tasks.operations.choosing.noted_times import CREATED

FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

__all__ = [
    "DOCKER_CONFIG",
    "DOCKER_LAYER",
    "DOCKER_LIST",
    "DOCKER_MANIFEST",
    "FOREIGN_LAYER",
    "OCI_CONFIG",
    "OCI_EMPTY",
    "OCI_INDEX",
    "OCI_LAYER",
    "OCI_MANIFEST",
    "REF_NAME",
    "Descriptor",
    "LayoutBuilder",
    "dated_image",
    "hauled",
    "image_of",
    "random_bytes",
]


def image_of(layout: LayoutBuilder, tag: str | None, layers: Sequence[Descriptor]) -> Descriptor:
    """Store and list an image whose layers are these descriptors, be they true or not."""
    config = layout.blob(b"{}", OCI_CONFIG)
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": list(layers)}
    image = layout.blob(json.dumps(body).encode(), OCI_MANIFEST)
    layout.entry(image, tag)
    return image


def dated_image(layout: LayoutBuilder, tag: str, made: datetime) -> Descriptor:
    """Store and list an image with the time that its writer noted of it, as `oras push` does."""
    image = layout.image(layers=[tag.encode()], listed=False)
    return layout.entry({**image, "annotations": {CREATED: made.isoformat()}}, tag)


def hauled(layout: LayoutBuilder, content: Descriptor, kind: str, name: str = "library/nginx:latest") -> Descriptor:
    """An entry as hauler's store has it: what is attached to an image has that one's name."""
    notes = {"kind": kind, IMAGE_NAME: f"index.docker.io/{name}"}
    return layout.entry({**content, "annotations": notes}, name)
