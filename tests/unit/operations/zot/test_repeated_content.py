"""Content of several repositories is counted once for each, also by repositories that are read at the same time."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.operations.zot.zot_work import RepeatedContent

if TYPE_CHECKING:
    from collections.abc import Callable

ONE, TWO, THREE = (Descriptor(IMAGE_MANIFEST, Digest.of(content), 1) for content in (b"1", b"2", b"3"))


def test_what_another_repository_has_too_is_counted_for_the_one_in_which_that_is_seen() -> None:
    repeated = RepeatedContent()
    for path, content in (("a", [ONE, TWO, ONE]), ("b", [ONE, THREE]), ("c", [ONE, TWO]), ("a", [ONE, TWO])):
        repeated.note(path, content)
    assert [repeated.count(path) for path in ("a", "b", "c", "d")] == [0, 1, 1, 0]


class HeldByOthers(AbstractContextManager[None]):
    """A lock that others have had for a while when it is got."""

    def __init__(self, others: Callable[[], object]) -> None:
        self._others = others

    def __enter__(self) -> None:
        others, self._others = self._others, nullcontext
        others()

    def __exit__(self, *_: object) -> None:
        pass


def test_what_another_repository_counts_at_the_same_time_is_not_counted_twice() -> None:
    lock: Any = HeldByOthers(lambda: repeated.note("b", [ONE]))
    repeated = RepeatedContent(_first={bytes.fromhex(ONE.digest.encoded): "a"}, _lock=lock)
    repeated.note("c", [THREE])
    assert [repeated.count(path) for path in ("b", "c")] == [1, 0]
