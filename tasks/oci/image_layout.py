"""The files of an image layout (image-spec v1.1.1, image-layout.md), read from bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.oci.descriptor import Descriptor
from tasks.oci.errors import InvalidLayoutError, SpecError
from tasks.oci.reference import REF_NAME

if TYPE_CHECKING:
    from tasks.oci.digest import Digest

MARKER = "oci-layout"
INDEX = "index.json"
BLOBS = "blobs"
INGEST = "ingest"
"""Where oras-go writes blobs before it renames them."""

MAX_INDEX_SIZE = 1024 * 1024 * 1024
"""Bytes; about four million entries. A bound, so that a hostile index can't take all memory."""

REFERRER_SUBJECT = ("org.opencontainers.image.referrer.subject", "org.olareg.referrer.subject")
"""Annotations by which olareg (old and new) marks an entry as the list of referrers of a digest."""


@dataclass(frozen=True, slots=True)
class BrokenEntry:
    """An entry of `index.json` that can't be read: its place in the list, its `ref.name` if legible, and why."""

    place: int
    ref_name: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class LayoutIndex:
    """The entries of an `index.json`, good ones apart from broken ones."""

    entries: tuple[Descriptor, ...]
    broken: tuple[BrokenEntry, ...]


def blob_path(digest: Digest) -> str:
    """Where a layout keeps the content with this digest, relative to the layout."""
    return f"{BLOBS}/{digest.algorithm}/{digest.encoded}"


def check_marker(raw: bytes) -> None:
    """Check the content of `oci-layout`.

    Raises:
        InvalidLayoutError: not JSON, or a version other than 1.x.
    """
    version = _decode(raw, MARKER).get("imageLayoutVersion")
    if not isinstance(version, str) or version.partition(".")[0] != "1":
        raise InvalidLayoutError(f"{MARKER}: imageLayoutVersion must be 1.x, not {str(version)[:40]!r}")


def parse_index(raw: bytes) -> LayoutIndex:
    """Read `index.json`; one broken entry never costs the others.

    Raises:
        InvalidLayoutError: the file as a whole can't be understood.
    """
    body = _decode(raw, INDEX)
    listed = body.get("manifests")
    if not isinstance(listed, list):
        raise InvalidLayoutError(f"{INDEX}: manifests must be a list, not {type(listed).__name__}")
    if body.get("schemaVersion") != 2:  # noqa: PLR2004 - the specification's own number
        raise InvalidLayoutError(f"{INDEX}: schemaVersion must be 2, not {str(body.get('schemaVersion'))[:40]}")
    del body
    return _entries(listed)


def _entries(listed: list[Any]) -> LayoutIndex:
    entries: list[Descriptor] = []
    broken: list[BrokenEntry] = []
    for place, value in enumerate(listed):
        try:
            entries.append(Descriptor.from_json(value))
        except SpecError as error:
            message = f"{INDEX}: manifests[{place}]: {error}"
            broken.append(BrokenEntry(place, _ref_name(value), error.code, message))
        listed[place] = None  # a large index is not held twice
    return LayoutIndex(tuple(entries), tuple(broken))


def _ref_name(value: object) -> str | None:
    annotations = value.get("annotations") if isinstance(value, dict) else None
    ref_name = annotations.get(REF_NAME) if isinstance(annotations, dict) else None
    return ref_name if isinstance(ref_name, str) else None


def _decode(raw: bytes, name: str) -> dict[str, Any]:
    if not raw.strip(b" \t\r\n\0"):
        raise InvalidLayoutError(f"{name} is empty; a writer may be at work, or its last write failed")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidLayoutError(f"{name} is not JSON: {str(error)[:200]}") from error
    if not isinstance(body, dict):
        raise InvalidLayoutError(f"{name} must be an object, not {type(body).__name__}")
    return body
