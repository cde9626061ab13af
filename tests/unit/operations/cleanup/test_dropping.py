"""The last two files of an empty layout go both or not at all."""

from tasks.operations.cleanup.dropping import drop_layout
from tests.support.cleanup_world import INDEX_PATH, LAYOUT, World

MARKER_PATH = f"{LAYOUT}/oci-layout"


def test_an_empty_layout_goes() -> None:
    world = World()
    assert drop_layout(world.tools(), LAYOUT)
    assert {INDEX_PATH, MARKER_PATH}.isdisjoint(world.files.contents())


def test_a_layout_of_which_one_file_was_written_meanwhile_stays_whole() -> None:
    world = World()
    index = world.index
    world.meanwhile = lambda: world.files.put(INDEX_PATH, index)
    assert not drop_layout(world.tools(), LAYOUT)
    assert {INDEX_PATH, MARKER_PATH} <= set(world.files.contents())
