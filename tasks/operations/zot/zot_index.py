"""What zot makes of a layout that it serves in place.

It decodes `index.json` whole, as Go's structures are decoded, and serves the manifests that are listed there and
no others, under the names that are written there and no others. All of this is what zot 2.1 did when it was asked;
`tests/e2e/test_zot_in_place.py` asks it again.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.oci import media_types
from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidDigestError
from tasks.oci.image_layout import INDEX, decode_index
from tasks.oci.json_stream import iter_list
from tasks.oci.reference import REF_NAME, is_repository

if TYPE_CHECKING:
    from collections.abc import Mapping

_HIDDEN = "blobs"
"""A folder whose name ends so is passed over, with all below it, when zot looks for repositories."""
_MOST = 2**63


@dataclass(frozen=True, slots=True)
class ServedIndex:
    """An `index.json` in zot's eyes: the manifests that it lists with their sizes, and the tags that work.

    `obstacle` says why zot can't read the file, None where it can; `unknown` counts entries that are no manifests
    of a known type, which zot's garbage collection drops.
    """

    manifests: Mapping[Digest, int]
    tags: frozenset[str]
    unknown: int
    obstacle: str | None


def read_served_index(raw: bytes) -> ServedIndex:
    """Read an `index.json` as zot does.

    Raises:
        InvalidLayoutError, ValueError: nobody can read it.
    """
    obstacle = None if json.detect_encoding(raw) == "utf-8" else f"{INDEX} is not plain UTF-8"
    manifests: dict[Digest, int] = {}
    tags: set[str] = set()
    unknown = 0
    others: dict[str, Any] = {}
    for place, value in enumerate(iter_list(decode_index(raw), "manifests", others)):
        if not _fits(value, _DESCRIPTOR):
            obstacle = obstacle or f"manifests[{place}] of {INDEX} has a field of another type than it should"
            continue
        entry = value or {}
        unknown += not media_types.is_manifest(entry.get("mediaType") or "")
        _note_manifest(entry, manifests)
        tags.add((entry.get("annotations") or {}).get(REF_NAME) or "")
    if not _fits(others, _INDEX):
        obstacle = obstacle or f"{INDEX} has a field of another type than it should"
    return ServedIndex(manifests, frozenset(tags - {""}), unknown, obstacle)


def name_obstacle(name: str) -> str | None:
    """Why zot serves no repository of this name, None where it does."""
    if not name:
        return "a layout at the root of the storage has no name in zot: let the storage begin one folder above"
    if not is_repository(name):
        return f"zot knows no repository of the name {name[:200]!r}: registries don't take it, and zot maps no names"
    return None


def is_in_catalog(name: str) -> bool:
    """Whether zot's list of repositories has one of this name."""
    return not any(component.endswith(_HIDDEN) for component in name.split("/"))


def _note_manifest(entry: dict[str, Any], manifests: dict[Digest, int]) -> None:
    try:
        manifests[Digest(entry.get("digest") or "")] = entry.get("size") or 0
    except InvalidDigestError:
        return  # nobody can ask for it


def _fits(value: object, shape: object) -> bool:
    """Whether Go decodes a value: null fits everything, unknown fields are passed over."""
    if value is None:
        return True
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(_fits(value.get(name), each) for name, each in shape.items())
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(each, shape[0]) for each in value)
    return bool(shape(value)) if callable(shape) else False


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_MOST <= value < _MOST


def _is_annotations(value: object) -> bool:
    return isinstance(value, dict) and all(each is None or isinstance(each, str) for each in value.values())


def _is_base64(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        base64.b64decode(value.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


_PLATFORM: dict[str, object] = {
    **dict.fromkeys(("architecture", "os", "os.version", "variant"), _is_text),
    "os.features": [_is_text],
}
_DESCRIPTOR: dict[str, object] = {
    **dict.fromkeys(("mediaType", "digest", "artifactType"), _is_text),
    "size": _is_integer,
    "urls": [_is_text],
    "annotations": _is_annotations,
    "data": _is_base64,
    "platform": _PLATFORM,
}
_INDEX: dict[str, object] = {
    **dict.fromkeys(("mediaType", "artifactType"), _is_text),
    "schemaVersion": _is_integer,
    "subject": _DESCRIPTOR,
    "annotations": _is_annotations,
}
"""image-spec v1.1.1 specs-go/v1: the fields that zot's own structures have."""
