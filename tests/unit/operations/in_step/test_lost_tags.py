"""Lost is what lies at the source where nothing names it; whatever else is missing was taken away."""

from pathlib import Path
from threading import Barrier

import pytest

from tasks.oci.digest import Digest
from tasks.oci.errors import InterruptedRunError, SourceReadError
from tasks.operations.in_step.lost_tags import LostTags
from tasks.operations.in_step.source_parts import SourceParts
from tasks.operations.in_step.vanished import VanishedTag
from tasks.ports import BlobStat, IndexFile
from tasks.stop import Stop
from tests.support.layouts import Descriptor, LayoutBuilder
from tests.support.memory_stores import MemorySource


class World:
    """A source with one layout, `app`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout = LayoutBuilder(root / "app")
        self.layout.image("stays", layers=[b"stays"])
        self.marked: set[str] = set()
        self.asked: list[str] = []
        self.fails: set[str] = set()
        self.unread: frozenset[str] = frozenset()
        self.stop = Stop()

    def found(self, **tags: Descriptor) -> tuple[list[str], list[tuple[str, str]]]:
        """Of vanished tags the lost ones, and path and code of what can't be told."""
        self.layout.write()
        world, files = (
            self,
            {str(f.relative_to(self.root)): f.read_bytes() for f in self.root.rglob("*") if f.is_file()},
        )

        def ask(name: str) -> None:
            world.asked.append(name)
            if name in world.fails:
                raise SourceReadError(f"{name}: for the moment")

        class Source(MemorySource):
            def stat_blob(self, path: str, digest: Digest) -> BlobStat | None:
                ask("blob")
                return super().stat_blob(path, digest)

            def read_index(self, path: str) -> IndexFile:
                ask("index")
                return super().read_index(path)

        def marked(_path: str) -> set[str]:
            ask("marks")
            return self.marked

        source = Source(files)
        looked = LostTags(source, SourceParts(source, {}, self.stop), marked, self.stop).among(
            [VanishedTag("app", "app", tag, image["digest"]) for tag, image in tags.items()]
        )
        self.unread = looked.unread
        return sorted(each.tag for each in looked.tags), [(each.path, each.code) for each in looked.doubts]

    def lost(self, **tags: Descriptor) -> list[str]:
        lost, doubts = self.found(**tags)
        assert doubts == []
        return lost


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_manifest_that_nothing_names_was_lost_with_all_its_tags(world: World) -> None:
    image, other = (world.layout.image(layers=[layer], listed=False) for layer in (b"lost", b"gone"))
    world.layout.blob_path(other).unlink()
    assert world.lost(v1=image, v2=other, v3=image) == ["v1", "v3"]


def test_one_that_is_gone_was_taken_away_and_costs_one_question(world: World) -> None:
    image = world.layout.image(layers=[b"gone"], listed=False)
    world.layout.blob_path(image).unlink()
    assert world.lost(v1=image) == []
    assert world.asked == ["blob"]


def test_where_nothing_vanished_nothing_is_asked(world: World) -> None:
    assert world.lost() == []
    assert world.asked == []


def test_one_that_a_cleanup_has_marked_was_taken_away(world: World) -> None:
    image, other = (world.layout.image(layers=[layer], listed=False) for layer in (b"marked", b"lost"))
    world.marked = {image["digest"]}
    assert world.lost(v1=image, v2=other) == ["v2"]


@pytest.mark.parametrize("tag", [None, "other"])
def test_one_that_an_entry_names_still_has_only_lost_a_name(world: World, tag: str | None) -> None:
    assert world.lost(v1=world.layout.image(tag, layers=[b"named"])) == []


def test_so_has_a_part_of_an_index(world: World) -> None:
    image = world.layout.image(layers=[b"part"], listed=False)
    inner = world.layout.index([image], listed=False)
    world.layout.index([inner], "v1")
    assert world.lost(v1_amd64=image) == []


def damage_an_index(world: World) -> Descriptor:
    """Have a part of an index whose file is cut off; the part is given."""
    image = world.layout.image(layers=[b"part"], listed=False)
    index = world.layout.index([image], "v1")
    world.layout.blob_path(index).write_bytes(b"{")
    return image


def test_what_may_be_a_part_of_an_index_that_can_not_be_read_stays(world: World) -> None:
    assert world.lost(v1_amd64=damage_an_index(world)) == ["v1_amd64"]
    assert world.unread == {"app"}


@pytest.mark.parametrize("tag", [None, "other"])
def test_an_index_that_can_not_be_read_takes_the_names_of_no_others(world: World, tag: str | None) -> None:
    damage_an_index(world)
    assert world.lost(v2=world.layout.image(tag, layers=[b"named"])) == []


def test_nor_what_is_below_those_that_can_be_read(world: World) -> None:
    damage_an_index(world)
    image = world.layout.image(layers=[b"of a whole one"], listed=False)
    world.layout.index([image], "v2")
    assert world.lost(v2_amd64=image) == []


def test_a_layout_is_whole_of_which_all_can_be_read(world: World) -> None:
    assert world.lost(v1=world.layout.image(layers=[b"lost"], listed=False)) == ["v1"]
    assert world.unread == set()


@pytest.mark.parametrize("what", ["blob", "marks", "index"])
def test_what_can_not_be_told_for_the_moment_is_a_doubt(world: World, what: str) -> None:
    world.fails = {what}
    assert world.found(v1=world.layout.image(layers=[b"lost"], listed=False)) == ([], [("app", "source_read")])


def test_tags_of_many_layouts_are_asked_for_beside_each_other() -> None:
    """What is absent is waited for on a mount: as long for one as for sixteen, whatever layouts they are of."""
    together = Barrier(16, timeout=20)

    class Waiting(MemorySource):
        def stat_blob(self, path: str, digest: Digest) -> BlobStat | None:
            together.wait()
            return None

    tags = [VanishedTag(f"app{number}", "app", "v1", Digest.of(b"gone")) for number in range(32)]
    source, stop = Waiting({}), Stop()
    assert LostTags(source, SourceParts(source, {}, stop), lambda _: (), stop).among(tags).doubts == ()


def test_a_layout_of_which_several_can_not_be_told_is_one_doubt(world: World) -> None:
    world.fails = {"blob"}
    v1, v2 = (world.layout.image(layers=[layer], listed=False) for layer in (b"lost", b"too"))
    assert world.found(v1=v1, v2=v2) == ([], [("app", "source_read")])
    assert set(world.asked) == {"blob"}


def test_a_run_that_is_to_end_asks_no_more(world: World) -> None:
    world.stop.set()
    with pytest.raises(InterruptedRunError):
        world.lost(v1=world.layout.image(layers=[b"lost"], listed=False))
    assert world.asked == []
