"""Manifests are told from layers by their content, of which no more is read than tells it."""

import json
import tracemalloc
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from typing import Any, cast

import pytest

from tasks.file_ports import StoredFile
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import DigestMismatchError
from tasks.oci.media_types import DOCKER_MANIFEST, IMAGE_INDEX, IMAGE_MANIFEST
from tasks.operations.cleanup.layout.lost_manifests import find_lost, find_manifests, sniff
from tasks.ports import LayoutReader
from tasks.stores.verified_content import CHUNK_SIZE, VerifiedContent
from tests.support.cleanup_world import CONFIG, MANIFEST, describe


class _Counted(BytesIO):
    read_bytes = 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = super().readinto(buffer)
        self.read_bytes += count
        return count


class OneBlob:
    """A layout with one blob, which may have other bytes than its digest says."""

    def __init__(self, named: bytes, stored: bytes | None = None) -> None:
        self.digest = Digest.of(named)
        self.stream = _Counted(named if stored is None else stored)

    def blob(self, _: str, descriptor: Descriptor) -> VerifiedContent:
        def opened() -> AbstractContextManager[_Counted]:
            return nullcontext(self.stream)

        return VerifiedContent(descriptor, opened)

    @property
    def reader(self) -> LayoutReader:
        return cast("LayoutReader", self)

    @property
    def blobs(self) -> list[tuple[Digest, StoredFile]]:
        return [(self.digest, StoredFile("", len(self.stream.getvalue()), 1.0, "etag"))]

    def lost(self) -> tuple[list[Digest], list[str]]:
        manifests, damaged = find_lost(self.reader, "app", self.blobs, map)
        return [each.descriptor.digest for each in manifests], [each.code for each in damaged]


def manifest(padding: int) -> bytes:
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": describe(b"{}", CONFIG), "layers": []}
    return json.dumps({**body, "annotations": {"a": "x" * padding}}).encode()


@pytest.mark.parametrize("before", [0, 3, CHUNK_SIZE + 1], ids=["none", "some", "a whole part"])
@pytest.mark.parametrize("padding", [1, 2 * CHUNK_SIZE], ids=["small", "of several parts"])
def test_a_manifest_is_found_whatever_white_space_is_before_it(before: int, padding: int) -> None:
    layout = OneBlob(b" " * before + manifest(padding))
    assert layout.lost() == ([layout.digest], [])


def test_what_does_not_begin_like_a_manifest_is_read_no_further() -> None:
    layout = OneBlob(b"\x1f\x8b" + b"x" * (3 * CHUNK_SIZE))
    assert layout.lost() == ([], [])
    assert layout.stream.read_bytes <= CHUNK_SIZE


def test_what_is_damaged_is_no_manifest_where_nothing_names_it_and_a_fault_elsewhere() -> None:
    layout = OneBlob(manifest(1), manifest(1).replace(b"x", b"y"))
    assert layout.lost() == ([], ["digest_mismatch"])
    layout.stream.seek(0)
    with pytest.raises(DigestMismatchError):
        list(find_manifests(layout.reader, "app", layout.blobs, map))


IMAGE = {"schemaVersion": 2, "config": describe(b"{}", CONFIG), "layers": []}


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (IMAGE, IMAGE_MANIFEST),
        ({"schemaVersion": 2, "manifests": [describe(b"{}", MANIFEST)]}, IMAGE_INDEX),
        ({**IMAGE, "mediaType": DOCKER_MANIFEST}, DOCKER_MANIFEST),
        ({**IMAGE, "mediaType": CONFIG}, None),
        ({**IMAGE, "mediaType": 1}, None),
        ({**IMAGE, "schemaVersion": 1}, None),
        ({**IMAGE, "layers": [{"digest": "no digest", "size": 1}]}, None),
        ({"schemaVersion": 2, "config": {"an image's config": "has one, too"}, "rootfs": {}}, None),
        ({"schemaVersion": 2, "layers": [], "of": "something else"}, None),
    ],
)
def test_a_manifest_need_not_say_that_it_is_one_and_what_says_so_may_be_none(
    body: dict[str, Any], media_type: str | None
) -> None:
    """The field `mediaType` may be left out (image-spec v1.1.1, "Image Manifest")."""
    layout = OneBlob(json.dumps(body).encode())
    found = list(find_manifests(layout.reader, "app", layout.blobs, map))
    assert [each.descriptor.media_type for each in found] == ([media_type] if media_type else [])


def test_what_only_begins_like_a_manifest_is_none() -> None:
    for raw in (manifest(1)[:-1], b'{"a":' + b"[" * 10**5, b'{"schemaVersion":2,"manifests":[\xff]}'):
        assert OneBlob(raw).lost() == ([], [])


def test_of_a_blob_of_more_values_than_any_manifest_has_no_objects_are_made() -> None:
    """Any number of such are read at once."""
    raw = manifest(1)[:-1] + b',"x":[' + b"[]," * 1_000_000 + b"[]]}"
    tracemalloc.start()
    try:
        assert sniff(raw, Digest.of(raw)) is None
        assert tracemalloc.get_traced_memory()[1] < 3 * len(raw)
    finally:
        tracemalloc.stop()
