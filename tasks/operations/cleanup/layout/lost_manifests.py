"""Finds manifests among blobs that nothing names: what two writers lost who wrote `index.json` one after the other.

Nothing but its content tells a manifest from a layer, so small blobs are read, those that do not begin like a
manifest no further than their first part.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tasks.oci import media_types
from tasks.oci.bounded_json import json_within
from tasks.oci.descriptor import Descriptor
from tasks.oci.errors import DigestMismatchError, SizeMismatchError, SpecError
from tasks.oci.manifest import MAX_MANIFEST_SIZE, MOST_VALUES, Manifest, parse_manifest
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.file_ports import StoredFile
    from tasks.oci.digest import Digest
    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import BlobContent, LayoutReader


_SMALLEST = len('{"layers":[],"config":{}}')


def find_manifests(
    source: LayoutReader, path: str, blobs: Iterable[tuple[Digest, StoredFile]], map_concurrently: MapConcurrently
) -> Iterator[Manifest]:
    """The manifests among some blobs of a layout.

    Raises:
        ContentError: one is not what its name says.
        SourceError: one can't be read.
    """
    for found in map_concurrently(partial(_read, source, path), _small(blobs)):
        if found is not None:
            yield found


def find_lost(
    source: LayoutReader, path: str, blobs: Iterable[tuple[Digest, StoredFile]], map_concurrently: MapConcurrently
) -> tuple[list[Manifest], list[Finding]]:
    """The manifests among blobs that nothing names, and what is damaged among them, which can't be named again.

    Raises:
        ContentNotFoundError: one is gone by now.
        SourceError: one can't be read.
    """

    def read(blob: tuple[Digest, StoredFile]) -> Manifest | Finding | None:
        try:
            return _read(source, path, blob)
        except (DigestMismatchError, SizeMismatchError) as error:
            return Finding(path, error.code, f"{error}; nothing names it, and what it was can't be told")

    found = list(map_concurrently(read, _small(blobs)))
    return [each for each in found if isinstance(each, Manifest)], [e for e in found if isinstance(e, Finding)]


def _small(blobs: Iterable[tuple[Digest, StoredFile]]) -> list[tuple[Digest, StoredFile]]:
    return [(digest, file) for digest, file in blobs if _SMALLEST <= file.size <= MAX_MANIFEST_SIZE]


def _read(source: LayoutReader, path: str, blob: tuple[Digest, StoredFile]) -> Manifest | None:
    digest, file = blob
    raw = _whole_object(source.blob(path, Descriptor("application/octet-stream", digest, file.size)))
    return None if raw is None else sniff(raw, digest)


def _whole_object(content: BlobContent) -> bytes | None:
    """All of what begins as a JSON object does; None for anything else, which is read no further."""
    raw = bytearray()
    with content.chunks() as chunks:
        for chunk in chunks:
            raw += chunk
            begun = raw.lstrip()
            if begun and not begun.startswith(b"{"):
                return None
    return bytes(raw)


def sniff(raw: bytes, digest: Digest) -> Manifest | None:
    """The manifest that some bytes are, None where they are none of a type that is known."""
    if not raw.lstrip().startswith(b"{"):
        return None
    try:
        media_type = _media_type(json_within(raw, MOST_VALUES))
        return None if media_type is None else parse_manifest(raw, Descriptor(media_type, digest, len(raw)))
    except (ValueError, RecursionError, SpecError):
        return None


def _media_type(body: dict[str, Any]) -> str | None:
    own = body.get("mediaType")
    if own is not None:
        return own if isinstance(own, str) and media_types.is_manifest(own) else None
    if body.get("schemaVersion") != 2:  # noqa: PLR2004 - the specification's own number
        return None
    if isinstance(body.get("manifests"), list):
        return media_types.IMAGE_INDEX
    is_image = isinstance(body.get("config"), dict) and isinstance(body.get("layers"), list)
    return media_types.IMAGE_MANIFEST if is_image else None
