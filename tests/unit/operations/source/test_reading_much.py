"""What very many entries without a tag lead to is read, and what waits for that takes no memory by the entry."""

import json
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.oci.digest import Digest
from tasks.oci.image_layout import blob_path
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.source.named_parts import parts_of
from tasks.operations.work.concurrency import MapConcurrently
from tasks.stores.memory import MemorySource
from tests.support.layouts import OCI_CONFIG, OCI_MANIFEST, REF_NAME

MANY = 4_000


@pytest.fixture(scope="module")
def source() -> MemorySource:
    """A tag that was moved as often."""
    files = {"app/oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    entries = []
    for number in range(MANY):
        config = {"mediaType": OCI_CONFIG, "digest": Digest.of(str(number).encode()), "size": 1}
        raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config}).encode()
        files[f"app/{blob_path(Digest.of(raw))}"] = raw
        entries.append({"mediaType": OCI_MANIFEST, "digest": Digest.of(raw), "size": len(raw)})
    named = {**entries.pop(), "annotations": {REF_NAME: "registry.example/team/app:v1"}}
    files["app/index.json"] = json.dumps({"schemaVersion": 2, "manifests": [named, *entries]}).encode()
    return MemorySource(files)


def enumerated(source: MemorySource, map_concurrently: MapConcurrently) -> int:
    return len(enumerate_repository(source, "app", map_concurrently).untagged)


def parted(source: MemorySource, map_concurrently: MapConcurrently) -> int:
    parts = parts_of(source, "app", source.read_index("app"), map_concurrently)
    return parts["app"].raw.count(b"digest")


@pytest.mark.parametrize("read", [enumerated, parted])
def test_several_at_a_time_take_little_more_memory_than_one(
    source: MemorySource, read: Callable[[MemorySource, MapConcurrently], int]
) -> None:
    def peak(map_concurrently: MapConcurrently) -> int:
        tracemalloc.start()
        try:
            assert read(source, map_concurrently) == MANY - 1
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    one = peak(map)
    with ThreadPoolExecutor(8) as pool:
        assert peak(pool.map) - one < 500 * MANY, "bytes"
