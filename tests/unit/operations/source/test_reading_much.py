"""What very many entries lead to is read several at a time, and what waits for that takes little memory."""

import json
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.image_layout import blob_path
from tasks.oci.media_types import is_index
from tasks.operations.reports.results import RepositoryInventory
from tasks.operations.source import enumeration
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.source.named_parts import parts_of
from tasks.operations.work import concurrency
from tasks.operations.work.concurrency import MapConcurrently
from tasks.stores import verified_content
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.verified_content import VerifiedContent
from tests.support.engine import Engine
from tests.support.layouts import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, REF_NAME, LayoutBuilder
from tests.support.memory_stores import MemorySource, MemoryTarget

MANY = 2_000
WORKERS = 8


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
    return parts["app"].file().raw.count(b"digest")


@pytest.mark.parametrize("read", [enumerated, parted])
def test_several_at_a_time_take_little_more_memory_than_one(
    source: MemorySource, read: Callable[[MemorySource, MapConcurrently], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "ROUND", 64)
    lenders = verified_content._BufferPool()  # how many buffers are in use at once is the machine's affair
    lenders._idle.extend(bytearray(verified_content.CHUNK_SIZE) for _ in range(WORKERS + 1))
    monkeypatch.setattr(verified_content, "_pool", lenders)

    def peak(map_concurrently: MapConcurrently) -> int:
        tracemalloc.start()
        try:
            assert read(source, map_concurrently) == MANY - 1
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    one = peak(map)
    with ThreadPoolExecutor(WORKERS) as pool:
        assert peak(pool.map) - one < 1024 * MANY


@pytest.mark.parametrize("tags", [("sha256-{}", "sha256-{}"), ("v1", "v2")], ids=["referrers", "chosen"])
def test_indexes_are_read_several_at_a_time(tmp_path: Path, tags: tuple[str, str]) -> None:
    """Lists of referrers, and what patterns choose where signatures are left to judge: no tag is copied before."""
    layout = LayoutBuilder(tmp_path / "app")
    for content, tag in zip((b"one", b"two"), tags, strict=True):
        part = layout.image(layers=[content], listed=False)
        layout.index([part], tag.format(part["digest"].partition(":")[2]))
    layout.image(f"sha256-{64 * '0'}.sig", layers=[b"signature"])
    layout.write()
    together, met = Barrier(2), set[Digest]()

    class Slow(LayoutDirectory):
        """Gives an index when another is asked for, too."""

        def blob(self, path: str, descriptor: Descriptor) -> VerifiedContent:
            if is_index(descriptor.media_type) and descriptor.digest not in met:
                met.add(descriptor.digest)
                together.wait(10)
            return super().blob(path, descriptor)

    target, slow = MemoryTarget(referrers_api=False), Slow(str(tmp_path))
    outcomes, findings = Engine(tmp_path, target, exclude=(":*.sig",), wrap=lambda _: slow).copy()
    assert (list(outcomes.values()), findings) == (["copied"] * 2, set())


def lists_of_referrers(media_type: str, tags: int) -> tuple[MemorySource, int]:
    """A layout in which one list is that of as many subjects; and the list's size."""
    members = [{"mediaType": media_type, "digest": Digest.of(b"%d" % number), "size": 1} for number in range(MANY)]
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": members}).encode()
    listed = {"mediaType": OCI_INDEX, "digest": Digest.of(raw), "size": len(raw)}
    entries = [{**listed, "annotations": {REF_NAME: f"sha256-{number:064x}"}} for number in range(tags)]
    files = {"app/oci-layout": b'{"imageLayoutVersion":"1.0.0"}', f"app/{blob_path(Digest.of(raw))}": raw}
    files["app/index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    return MemorySource(files), len(raw)


def peak_of(source: MemorySource) -> tuple[RepositoryInventory, int]:
    tracemalloc.start()
    try:
        return enumerate_repository(source, "app"), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_list_of_referrers_under_ever_more_tags_takes_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    few, size = lists_of_referrers(OCI_MANIFEST, 20)
    monkeypatch.setattr(enumeration, "MOST_LISTED", 20 * size)
    whole, peak = peak_of(few)
    assert (len(whole.referrers), whole.broken_lists, whole.findings) == (20, {}, ())
    cut, peak_of_many = peak_of(lists_of_referrers(OCI_MANIFEST, 80)[0])
    assert peak_of_many < 1.5 * peak
    (finding,) = cut.findings
    assert (len(cut.referrers), set(cut.broken_lists.values()), finding.code) == (20, {finding}, "invalid_layout")
    assert ": 60 of them are not read" in finding.message


def test_what_a_list_of_referrers_has_besides_manifests_takes_one_finding_for_each_list() -> None:
    found, _ = peak_of(lists_of_referrers("a", 3)[0])
    assert [finding.code for finding in found.findings] == ["unsupported_media_type"] * 3
    assert all(f"; {MANY - 1} more there are no" in finding.message for finding in found.findings)


def test_what_belongs_to_many_names_is_kept_once() -> None:
    """Each name of an index has all platforms that are listed beside it."""
    names = platforms = 400
    nameless = [
        {"mediaType": OCI_MANIFEST, "digest": Digest.of(b"%d" % each), "size": 1} for each in range(platforms)
    ]
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": nameless}).encode()
    index = {"mediaType": OCI_INDEX, "digest": Digest.of(raw), "size": len(raw)}
    named = [{**index, "annotations": {REF_NAME: f"a.example/app{number}:v1"}} for number in range(names)]
    files = {"app/oci-layout": b'{"imageLayoutVersion":"1.0.0"}', f"app/{blob_path(Digest.of(raw))}": raw}
    files["app/index.json"] = json.dumps({"schemaVersion": 2, "manifests": [*named, *nameless]}).encode()
    source = MemorySource(files)
    tracemalloc.start()
    try:
        parts = parts_of(source, "app", source.read_index("app"), map)
        assert tracemalloc.get_traced_memory()[1] < 80 * names * platforms
    finally:
        tracemalloc.stop()
    assert len(parts) == names
    assert all(part.file().raw.count(b"digest") == 1 + platforms for part in parts.values())
