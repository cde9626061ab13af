"""Content for tests that talk to stores: blobs with what they claim to be, and trees of layouts."""

import contextlib
import io
import json
from pathlib import Path

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.ports import RemoteManifest
from tasks.stores.verified_content import VerifiedContent
from tests.support.layouts import OCI_CONFIG, OCI_LAYER, LayoutBuilder, random_bytes


def blob(data: bytes, media_type: str = OCI_LAYER) -> VerifiedContent:
    descriptor = Descriptor(media_type, Digest.of(data), len(data))
    return VerifiedContent(descriptor, lambda: contextlib.nullcontext(io.BytesIO(data)))


def image(config: bytes, *layers: bytes) -> RemoteManifest:
    body = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": blob(config, OCI_CONFIG).descriptor.to_json(),
        "layers": [blob(layer).descriptor.to_json() for layer in layers],
    }
    return RemoteManifest(json.dumps(body).encode(), IMAGE_MANIFEST)


def tree(root: Path, repositories: int = 2, tags: int = 3, size: int = 20_000, seed: int = 0) -> Path:
    """A tree whose images have a layer of their own and one that all share."""
    shared = random_bytes(seed + 999_983, size)
    for number in range(repositories):
        builder = LayoutBuilder(root / f"app-{number}")
        for tag in range(tags):
            builder.image(f"v{tag}", layers=[shared, random_bytes(seed + 1000 * number + tag, size)])
        builder.write()
    return root
