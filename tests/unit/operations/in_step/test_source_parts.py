"""What loses a tag at the target is still needed there where the source names it, or has it below what it names."""

from pathlib import Path

import pytest

from tasks.oci.descriptor import Descriptor as Oci
from tasks.oci.digest import Digest
from tasks.oci.errors import InterruptedRunError, SourceReadError
from tasks.operations.in_step.source_parts import SourceParts
from tasks.ports import BlobContent, IndexFile
from tasks.stop import Stop
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.layouts import Descriptor, LayoutBuilder

NOWHERE = Digest.of(b"of nobody")


@pytest.fixture
def layout(tmp_path: Path) -> LayoutBuilder:
    return LayoutBuilder(tmp_path / "app")


def needs(layout: LayoutBuilder, *manifests: Descriptor, layouts: tuple[str, ...] = ("app",)) -> list[bool]:
    parts = SourceParts(LayoutDirectory(str(layout.path.parent)), {"team/app": layouts}, Stop())
    return [parts.may_need("team/app", Digest(each["digest"])) for each in manifests]


def test_a_part_of_an_index_is_needed_at_any_depth_and_what_only_lies_there_is_not(layout: LayoutBuilder) -> None:
    part, left = (layout.image(layers=[text], listed=False) for text in (b"part", b"left"))
    inner = layout.index([part], None)
    layout.entries.clear()
    layout.index([inner], "v1")
    layout.write()
    assert needs(layout, part, inner, left) == [True, True, False]


def test_what_the_index_lists_without_a_tag_is_needed(layout: LayoutBuilder) -> None:
    """As a referrer that had a tag, too."""
    listed = layout.image(layers=[b"listed"])
    layout.write()
    assert needs(layout, listed) == [True]


def test_each_layout_that_goes_to_the_repository_may_need_it(layout: LayoutBuilder) -> None:
    other = LayoutBuilder(layout.path.parent / "other")
    part = other.image(layers=[b"part"], listed=False)
    other.index([part], "v1")
    other.write()
    layout.write()
    assert needs(layout, part) == [False]
    assert needs(layout, part, layouts=("app", "other")) == [True]
    parts = SourceParts(LayoutDirectory(str(layout.path.parent)), {"team/app": ("other",)}, Stop())
    assert not parts.may_need("elsewhere", Digest(part["digest"]))


def test_what_an_entry_or_index_that_is_broken_may_name_is_needed(layout: LayoutBuilder) -> None:
    index = layout.index([layout.image(layers=[b"part"], listed=False)], "v1")
    layout.write()
    layout.blob_path(index).write_bytes(b"altered")
    assert needs(layout, {"digest": NOWHERE}) == [True]
    layout.entries[:] = [{"digest": "sha256:short"}]
    layout.write()
    assert needs(layout, {"digest": NOWHERE}) == [True]


def test_nothing_is_said_while_an_index_can_not_be_read_for_the_moment(layout: LayoutBuilder) -> None:
    """Nor is it read anew for each further tag."""
    layout.index([layout.image(layers=[b"part"], listed=False)], "v1")
    layout.write()
    reads: list[str] = []

    class Unreadable(LayoutDirectory):
        def blob(self, path: str, descriptor: object) -> BlobContent:
            reads.append(path)
            raise SourceReadError("for the moment")

    parts = SourceParts(Unreadable(str(layout.path.parent)), {"app": ("app",)}, Stop())
    for _ in range(2):
        with pytest.raises(SourceReadError):
            parts.may_need("app", NOWHERE)
    assert reads == ["app"]


@pytest.mark.parametrize("at", ["index", "blob"])
def test_a_run_that_is_to_end_reads_no_further_layout_or_index(layout: LayoutBuilder, at: str) -> None:
    stop, reads = Stop(), list[str]()

    class Ending(LayoutDirectory):
        def read_index(self, path: str) -> IndexFile:
            reads.append("index")
            if at == "index":
                stop.set()
            return super().read_index(path)

        def blob(self, path: str, descriptor: object) -> BlobContent:
            reads.append("blob")
            stop.set()
            return super().blob(path, descriptor)  # type: ignore[arg-type]

    inner = layout.index([layout.image(layers=[b"part"], listed=False)], None)
    layout.entries.clear()
    layout.index([inner], "v1")
    layout.write()
    parts = SourceParts(Ending(str(layout.path.parent)), {"app": ("app", "other")}, stop)
    with pytest.raises(InterruptedRunError):
        parts.may_need("app", NOWHERE)
    assert reads == (["index"] if at == "index" else ["index", "blob"])


class Counting(LayoutDirectory):
    """Counts what is read besides the indexes of layouts."""

    def __init__(self, layout: LayoutBuilder) -> None:
        super().__init__(str(layout.path.parent))
        self.reads: list[str] = []

    def blob(self, path: str, descriptor: Oci) -> BlobContent:
        self.reads.append(path)
        return super().blob(path, descriptor)


def test_a_repository_is_read_once(layout: LayoutBuilder) -> None:
    layout.index([layout.image(layers=[b"part"], listed=False)], "v1")
    layout.write()
    parts = SourceParts(source := Counting(layout), {"app": ("app",)}, Stop())
    assert [parts.may_need("app", NOWHERE) for _ in range(3)] == [False] * 3
    assert source.reads == ["app"]


def test_another_look_reads_the_layouts_again_that_have_changed(layout: LayoutBuilder) -> None:
    other = LayoutBuilder(layout.path.parent / "other")
    for each in (layout, other):
        each.index([each.image(layers=[b"part"], listed=False)], "v1")
        each.write()
    parts = SourceParts(source := Counting(layout), {"team": ("app", "other")}, Stop())
    part = other.image(layers=[b"new part"], listed=False)
    assert not parts.may_need("team", Digest(part["digest"]))
    other.index([part], "v1")
    other.write()
    source.reads.clear()
    assert not parts.may_need("team", Digest(part["digest"])), "it is the same look"
    assert parts.afresh({"team": ("app", "other")}).may_need("team", Digest(part["digest"]))
    assert set(source.reads) == {"other"}
    assert not parts.afresh({"team": ("app",)}).may_need("team", Digest(part["digest"]))


def test_another_look_reads_again_what_could_not_be_read(layout: LayoutBuilder) -> None:
    index = layout.index([layout.image(layers=[b"part"], listed=False)], "v1")
    layout.write()
    path = layout.blob_path(index)
    whole = path.read_bytes()
    path.write_bytes(b"altered")
    parts = SourceParts(Counting(layout), {"app": ("app",)}, Stop())
    assert parts.may_need("app", NOWHERE)
    path.write_bytes(whole)
    assert not parts.afresh({"app": ("app",)}).may_need("app", NOWHERE)
