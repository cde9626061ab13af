"""What takes the place of a tag that can't be deleted alone: it is then deleted by a digest that nothing else has."""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import SpecError
from tasks.oci.manifest import parse_manifest
from tasks.oci.media_types import EMPTY_JSON, IMAGE_MANIFEST
from tasks.ports import RemoteManifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.ports import Buffer, Target

_EMPTY = b"{}"
STAND_IN = "org.layoutlift.deleted"
"""The annotation by which a stand-in is known again after a run that died over it."""


class Empty:
    """The content of a stand-in's only blob."""

    descriptor = Descriptor(EMPTY_JSON, Digest.of(_EMPTY), len(_EMPTY))

    def read(self) -> bytes:
        """See `BlobContent.read`."""
        return _EMPTY

    @contextmanager
    def chunks(self) -> Iterator[Iterator[Buffer]]:
        """See `BlobContent.chunks`."""
        yield iter([_EMPTY])


def new_stand_in() -> RemoteManifest:
    """A manifest that no registry has yet."""
    empty = Empty.descriptor.to_json()
    body = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": empty,
        "layers": [empty],
        "annotations": {STAND_IN: secrets.token_hex(16)},
    }
    return RemoteManifest(json.dumps(body).encode(), IMAGE_MANIFEST)


def is_stand_in(target: Target, repository: str, present: Digest) -> bool:
    """Whether what a tag names at the target was put there in its place."""
    manifest = target.fetch_manifest(repository, present)
    if manifest is None:
        return False
    descriptor = Descriptor(manifest.media_type, Digest.of(manifest.raw), len(manifest.raw))
    try:
        return STAND_IN in parse_manifest(manifest.raw, descriptor).annotations
    except SpecError:
        return False
