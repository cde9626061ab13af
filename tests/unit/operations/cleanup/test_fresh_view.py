"""What a layout needs and has, seen while writers are at work."""

from collections.abc import Iterator

import pytest

from tasks.layout_ports import UnfinishedUpload
from tasks.operations.cleanup.fresh_view import FreshLook, FreshView
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
