"""Which entries stay, of those that have no tag of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.layout_ports import StoredFile
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.media_types import IMAGE_INDEX, IMAGE_MANIFEST
from tasks.operations.cleanup.choices import DeleteChoice
from tasks.operations.cleanup.graph import Graph, Node
from tasks.operations.cleanup.layout_view import Entry, LayoutView
from tasks.operations.cleanup.marking import Marking, mark
from tasks.operations.cleanup.policy import OrderBy
from tasks.operations.enumeration import CREATED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.operations.cleanup.retention import DatedTag, Verdict

CHILD, INDEX, SIGNATURE, MOVED, LAYER = (Digest.of(name) for name in (b"c", b"i", b"s", b"m", b"l"))


def entry(tag: str | None, digest: Digest, media_type: str = IMAGE_MANIFEST) -> Entry:
    return Entry(tag, tag, Descriptor(media_type, digest, 1))


def marked(choice: DeleteChoice) -> Marking:
    """An index tagged v1 with one child, a signature of that child, and a manifest whose tag moved away."""
    entries = (entry("v1", INDEX, IMAGE_INDEX), entry(None, CHILD), entry(None, SIGNATURE), entry(None, MOVED))
    blobs = {digest: StoredFile(digest, 1, 1.0, "e") for digest in (CHILD, INDEX, SIGNATURE, MOVED, LAYER)}
    graph = Graph(
        {
            INDEX: Node((CHILD,), is_index=True),
            CHILD: Node((LAYER,)),
            SIGNATURE: Node(subject=CHILD),
            MOVED: Node((LAYER,)),
        }
    )
    view = LayoutView("app", "e", entries, blobs, (), ())
    return mark(view, graph, choice, 2.0, forced={}, stray_since={})


def test_children_and_referrers_of_what_stays_stay() -> None:
    marking = marked(DeleteChoice(tag="other"))
    assert [verdict.keep for verdict in marking.verdicts] == [True, True, True, True]
    assert set(marking.needed) == {CHILD, INDEX, SIGNATURE, MOVED, LAYER}


def test_children_and_referrers_go_with_their_index_and_what_others_need_stays() -> None:
    marking = marked(DeleteChoice(tag="v1"))
    assert [verdict.keep for verdict in marking.verdicts] == [False, False, False, True]
    assert set(marking.needed) == {MOVED, LAYER}
    assert set(marking.before) == {CHILD, INDEX, SIGNATURE, MOVED, LAYER}


def noted(*times: str | None) -> list[str | None]:
    """What a policy is told of a tag with an entry for each of these times, all of the same content."""
    seen: list[DatedTag] = []

    class Asked(DeleteChoice):
        def tags(self, tags: Sequence[DatedTag]) -> Mapping[str, Verdict]:
            seen.extend(tags)
            return super().tags(tags)

    entries = tuple(
        Entry("v1", "v1", Descriptor(IMAGE_MANIFEST, MOVED, 1, annotations={CREATED: time} if time else {}))
        for time in times
    )
    blobs = {MOVED: StoredFile(MOVED, 1, 0.0, "e")}  # of no known age
    choice = Asked(tag="v1", order_by=OrderBy.CREATED)
    view = LayoutView("app", "e", entries, blobs, (), ())
    mark(view, Graph({MOVED: Node()}), choice, 2e9, forced={}, stray_since={})
    return [None if tag.when is None else datetime.fromtimestamp(tag.when, UTC).isoformat() for tag in seen]


def test_of_entries_with_the_same_content_the_newest_says_how_old_a_tag_is() -> None:
    old, new = "2020-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00"
    assert noted(old, new) == noted(new, old) == [new]
    assert noted(new, None) == noted(None, new) == [None]
