"""What a layout needs and has, seen while writers are at work."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tasks.layout_ports import UnfinishedUpload
from tasks.operations.cleanup.fresh_view import FreshLook, FreshView, still_wanted
from tasks.operations.cleanup.index_edit import read_entry
from tasks.stores.memory_files import WritableMemory
from tests.support.cleanup_world import LAYOUT, Push, World, blob_path, image


def look(world: World) -> FreshView:
    return FreshLook(WritableMemory(world.files), map).view(LAYOUT, ())


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
