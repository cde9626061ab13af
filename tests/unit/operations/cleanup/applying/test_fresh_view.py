"""What a layout needs and has, seen while writers are at work."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from tasks.file_ports import UnfinishedUpload
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.operations.cleanup.applying.fresh_view import FreshLook, FreshView, still_wanted
from tasks.operations.cleanup.layout.index_edit import read_entry
from tasks.operations.cleanup.records.holdings import HeldBlob
from tests.support.cleanup_world import (
    CONFIG,
    INDEX_PATH,
    LAYOUT,
    MANIFEST,
    Artifact,
    Push,
    World,
    blob_path,
    describe,
    image,
    image_index,
    named,
)
from tests.support.memory_files import WritableMemory


def look(world: World, held: Iterable[HeldBlob] = ()) -> FreshView:
    return FreshLook(WritableMemory(world.files), map).view(LAYOUT, held)


def ensure(world: World, artifact: Artifact, held: Iterable[HeldBlob] = ()) -> FreshView:
    roots = [Descriptor.from_json(artifact.entry)]
    return FreshLook(WritableMemory(world.files), map).ensure(LAYOUT, roots, held)


def lose(world: World, raw: bytes) -> None:
    file = world.files.stat_file(blob_path(raw))
    assert file is not None
    world.files.delete_files([file])


def hide(world: World, *contents: bytes, run: str = "run-0") -> list[HeldBlob]:
    """Move blobs into the quarantine."""
    trash, hidden = f".layoutlift/trash/{run}", []
    for raw in contents:
        file = world.files.stat_file(blob_path(raw))
        assert file is not None
        hidden.append(HeldBlob(run, LAYOUT, Digest.of(raw), file, world.now, trash))
        world.files.hide_files([file], trash)
    return hidden


def test_what_is_pushed_between_the_listing_and_the_index_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    def push_then_list(_: str) -> Iterator[UnfinishedUpload]:
        """The last thing that is listed before the index is read."""
        world.finish(Push(image([1]), "v1", world.now))
        return iter(())

    monkeypatch.setattr(world.files, "list_uploads", push_then_list)
    view = look(world)
    assert [entry.tag for entry in view.entries] == ["v1"]
    assert (view.missing, view.is_whole) == ((), True)


def test_what_an_index_names_and_nobody_stored_is_missing() -> None:
    world = World()
    pushed = image([1])
    world.finish(Push(pushed, "v1", world.now))
    [layer] = [raw for raw in pushed.blobs if raw.startswith(b"layer")]
    gone = world.files.stat_file(blob_path(layer))
    assert gone is not None
    world.files.delete_files([gone])
    view = look(world)
    assert ([f"{LAYOUT}/blobs/{d.replace(':', '/')}" for d in view.missing], view.is_whole) == ([gone.path], False)


@pytest.fixture
def world() -> World:
    """One image, under v1."""
    world = World()
    world.finish(Push(image([1]), "v1", world.now))
    return world


MANIFEST_OF_V1, LAYER_OF_V1 = image([1]).blobs[-1], b"layer 1"


def test_a_manifest_that_can_not_be_read_leaves_nothing_to_be_judged(world: World) -> None:
    world.files.put(blob_path(MANIFEST_OF_V1), b"other bytes")
    view = look(world)
    assert list(view.unreadable) == [Digest.of(MANIFEST_OF_V1)]
    assert (view.missing, view.is_whole) == ((), False)
    lose(world, MANIFEST_OF_V1)
    view = look(world)
    assert (list(view.unreadable), view.missing, view.is_whole) == ([Digest.of(MANIFEST_OF_V1)], (), False)


def test_content_of_another_size_leaves_nothing_to_be_judged(world: World) -> None:
    world.files.put(blob_path(LAYER_OF_V1), b"cut")
    view = look(world)
    assert (list(view.altered), view.missing, view.is_whole) == ([Digest.of(LAYER_OF_V1)], (), False)


def without_its_layer(layer: str) -> Artifact:
    """An image of a layer of this type that nobody stores."""
    body = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": describe(b"{}", CONFIG),
        "layers": [describe(b"elsewhere", layer)],
    }
    raw = json.dumps(body).encode()
    return Artifact((b"{}", raw), json.dumps(describe(raw, MANIFEST)))


def test_a_layer_that_may_lawfully_be_absent_is_not_missing(world: World) -> None:
    foreign = without_its_layer("application/vnd.oci.image.layer.nondistributable.v1.tar")
    world.finish(Push(foreign, "v2", world.now))
    for view in (look(world), ensure(world, foreign)):
        assert (view.missing, view.is_whole) == ((), True)
    world.finish(Push(without_its_layer("application/x"), "v2", world.now))
    for view in (look(world), ensure(world, without_its_layer("application/x"))):
        assert (view.missing, view.is_whole) == ((Digest.of(b"elsewhere"),), False)


def test_what_the_index_needs_comes_back_from_the_quarantine_and_nothing_else(world: World) -> None:
    world.files.put(blob_path(b"nobody's"), b"nobody's")
    held = hide(world, MANIFEST_OF_V1, LAYER_OF_V1, b"nobody's")
    view = look(world, held)
    assert (view.is_whole, set(view.restored)) == (True, set(held[:2]))
    assert {Digest.of(MANIFEST_OF_V1), Digest.of(LAYER_OF_V1)} <= view.blobs.keys()
    assert blob_path(b"nobody's") not in world.files.contents()
    assert look(world, held).restored == (), "it is in its place"


def test_what_comes_back_in_another_size_leaves_nothing_to_be_judged_from_that_look_on(world: World) -> None:
    """As a writer left it that died, before it was hidden."""
    world.files.put(blob_path(LAYER_OF_V1), b"cut")
    view = look(world, hide(world, MANIFEST_OF_V1, LAYER_OF_V1))
    assert len(view.restored) == 2
    assert (list(view.altered), view.missing, view.is_whole) == ([Digest.of(LAYER_OF_V1)], (), False)


def test_a_subject_that_is_hidden_comes_back_for_its_referrer(world: World) -> None:
    sbom = image([2], subject=image([1]).entry)
    world.finish(Push(sbom, "sbom", world.now))
    world.files.put(INDEX_PATH, named(b'{"schemaVersion":2,"manifests":[]}', sbom, "sbom"))
    assert Digest.of(LAYER_OF_V1) in look(world).needed
    held = hide(world, MANIFEST_OF_V1, LAYER_OF_V1)
    assert set(look(world, held).restored) == set(held)


def test_what_was_hidden_and_is_in_its_place_again_does_not_come_back(world: World) -> None:
    held = hide(world, LAYER_OF_V1)
    world.finish(Push(image([1]), "v1", world.now))
    assert (look(world, held).restored, ensure(world, image([1]), held).restored) == ((), ())


def test_of_several_hidden_copies_any_will_do(world: World) -> None:
    first = hide(world, LAYER_OF_V1)
    world.files.put(blob_path(LAYER_OF_V1), LAYER_OF_V1)
    second = hide(world, LAYER_OF_V1, run="run-1")
    world.files.purge_files([blob_path(LAYER_OF_V1)], ".layoutlift/trash/run-0")
    assert look(world, [*first, *second]).is_whole


def test_of_old_versions_the_newest_has_come_back_whatever_its_size(world: World) -> None:
    """The store gives no other; what an earlier run hid is still there, and waits for its end."""
    held = []
    for run, raw in enumerate((LAYER_OF_V1 + b" and more", LAYER_OF_V1)):
        world.now += 1
        world.files.put(blob_path(LAYER_OF_V1), raw)
        file = world.files.stat_file(blob_path(LAYER_OF_V1))
        assert file is not None
        world.files.hide_files([file], None)
        held.append(HeldBlob(f"run-{run}", LAYOUT, Digest.of(LAYER_OF_V1), file, world.now, None))
    assert look(world, held).restored == (held[1],)


def test_what_is_to_be_named_is_made_whole_first_or_is_missing(world: World) -> None:
    world.files.put(INDEX_PATH, b'{"schemaVersion":2,"manifests":[]}')
    held = hide(world, MANIFEST_OF_V1, LAYER_OF_V1)
    view = ensure(world, image([1]), held)
    assert (view.is_whole, set(view.restored), view.entries) == (True, set(held), ())
    assert ensure(world, image([1])).is_whole, "all of it is there by now"
    lose(world, LAYER_OF_V1)
    view = ensure(world, image([1]))
    assert (view.missing, view.is_whole) == ((Digest.of(LAYER_OF_V1),), False)
    lose(world, MANIFEST_OF_V1)
    view = ensure(world, image([1]))
    assert (list(view.unreadable), view.missing, view.is_whole) == ([Digest.of(MANIFEST_OF_V1)], (), False)


def test_a_part_stays_with_an_index_that_somebody_has_named_again(world: World) -> None:
    whole = image_index([image([1])])
    world.finish(Push(image([1]), None, world.now))
    world.finish(Push(image([7]), None, world.now))
    world.finish(Push(whole, "v2", world.now))
    removals = [read_entry(entry) for entry in world.entries]
    world.finish(Push(whole, "prod", world.now))
    left = still_wanted(look(world), removals)
    [kept] = [entry for entry in removals if entry not in left]
    assert (kept.tag, kept.descriptor.digest) == (None, Digest.of(MANIFEST_OF_V1))


def test_a_signature_stays_with_what_its_tag_names(world: World) -> None:
    """By its tag: there is no subject in its manifest."""
    signature = image([5])
    world.finish(Push(signature, f"sha256-{Digest.of(MANIFEST_OF_V1).encoded}.sig", world.now))
    removals = [read_entry(entry) for entry in world.entries]
    assert still_wanted(look(world), removals) == removals
    world.finish(Push(image([1]), "prod", world.now))
    assert [entry.tag for entry in still_wanted(look(world), removals)] == ["v1"]


@pytest.mark.parametrize("stays", [1, 2])
def test_what_refers_to_one_thing_in_its_manifest_and_to_another_by_its_tag_stays_with_either(stays: int) -> None:
    world = World()
    pushed = {number: image([number]) for number in (1, 2)}
    for number, artifact in pushed.items():
        world.finish(Push(artifact, f"v{number}", world.now))
    both = image([3], subject=pushed[1].entry)
    world.finish(Push(both, pushed[2].entry["digest"].replace(":", "-"), world.now))
    removals = [read_entry(entry) for entry in world.entries]
    world.finish(Push(pushed[stays], "prod", world.now))
    assert {entry.tag for entry in still_wanted(look(world), removals)} == {"v1", "v2"}


def test_a_tagged_referrer_stays_with_its_subject_unless_somebody_named_it() -> None:
    world = World()
    pushed = image([1])
    sbom = image([2], subject=pushed.entry)
    for artifact, tag in ((pushed, "v1"), (sbom, "v1-sbom")):
        world.finish(Push(artifact, tag, world.now))
    removals = [read_entry(entry) for entry in world.entries]
    assert still_wanted(look(world), removals) == removals
    world.finish(Push(pushed, "prod", world.now))
    assert [entry.tag for entry in still_wanted(look(world), removals)] == ["v1"]
    named = [replace(entry, is_demanded=True) for entry in removals]
    assert still_wanted(look(world), named) == named
