"""Links are read once, and what can't be read leads nowhere or is raised, as who asks needs it."""

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import ContentNotFoundError
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.source.graph_links import GraphLinks
from tasks.operations.work.spare_hands import SpareHands
from tasks.ports import BlobContent
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.layouts import LayoutBuilder


class NotedReads(LayoutDirectory):
    """A source that notes what is read of it."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.reads: list[Digest] = []

    def blob(self, path: str, descriptor: Descriptor) -> BlobContent:
        self.reads.append(descriptor.digest)
        return super().blob(path, descriptor)


def links_of(layout: LayoutBuilder, hands: SpareHands) -> tuple[NotedReads, GraphLinks, Descriptor]:
    """The links of a layout of one tag, nothing of which was read so far, and what the tag names."""
    source = NotedReads(str(layout.write().parent))
    inventory = enumerate_repository(source, "app")
    source.reads.clear()
    (entry,) = inventory.tags
    return source, GraphLinks(source, "app", inventory.referrers, hands, lambda _: None), entry.descriptor


def on_two_levels(layout: LayoutBuilder) -> None:
    """An index that lists an image which an index below it lists, too."""
    image = layout.image(layers=[b"layer"], listed=False)
    layout.index([image, layout.index([image], listed=False)], "v1")


def test_what_is_listed_on_two_levels_is_read_once(layout: LayoutBuilder, hands: SpareHands) -> None:
    on_two_levels(layout)
    source, links, root = links_of(layout, hands)
    links.read(root)
    assert len(source.reads) == len(set(source.reads)) == 3


def test_what_is_known_is_not_read_again(layout: LayoutBuilder, hands: SpareHands) -> None:
    on_two_levels(layout)
    source, links, root = links_of(layout, hands)
    first = links.closure(root)
    assert len(source.reads) == 2, "images have nothing below"
    assert (links.closure(root), links.reached(root)) == (first, first)
    assert len(source.reads) == 2


def test_an_index_that_is_missing_leads_nowhere_and_is_no_closure(layout: LayoutBuilder, hands: SpareHands) -> None:
    inner = layout.index([layout.image(layers=[b"layer"], listed=False)], listed=False)
    layout.index([inner], "v1")
    layout.blob_path(inner).unlink()
    _, links, root = links_of(layout, hands)
    links.read(root)
    assert links.reached(root) == [root.digest, Digest(inner["digest"])]
    with pytest.raises(ContentNotFoundError):
        links.closure(root)
    assert links.held_by(root) == [root.digest]
