"""Finds, in other layouts of a source, the bytes of blobs that a deduplicating zot left empty.

zot on S3 keeps one copy of a blob and writes an empty object wherever else it belongs; which copy is the real
one stands in a database of its own. So any layout of the source may have it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tasks.oci import image_layout
from tasks.oci.errors import SizeMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.ports import Finding

WORTH_A_LISTING = 8
"""Looks in vain, as a multiple of the layouts that there are, after which the blobs of all of them are listed."""


class SiblingBlobs:
    """Looks through all layouts, those first that had what was looked for before; safe to share.

    Where that is done for very many blobs, it takes the square of the number of layouts: so when it has taken long
    enough, the blobs of all layouts are listed, once for those that are empty, and once for who has their bytes.
    """

    def __init__(
        self,
        list_layouts: Callable[[], Iterator[str | Finding]],
        size_of: Callable[[str], int | None],
        blobs_of: Callable[[str], Iterator[tuple[Digest, int]]],
    ) -> None:
        """`size_of` gives the size of a file by its path below the source, None where there is none.

        `blobs_of` lists digest and size of what a layout has.
        """
        self._list_layouts = list_layouts
        self._size_of = size_of
        self._blobs_of = blobs_of
        self._lock = threading.Lock()
        self._layouts: list[str] | None = None
        self._found: dict[tuple[Digest, int | None], str | None] = {}
        self._in_vain = 0
        self._is_listed = False

    def find(self, digest: Digest, size: int | None) -> str | None:
        """The path of a file of this digest and size (None: any but 0) below the source.

        Raises:
            SourceError: the layouts, or their blobs, can't be listed.
        """
        with self._lock:
            wanted = digest, size  # what a descriptor says wrongly must not hide it from those that are right
            if wanted not in self._found and self._is_worth_a_listing():
                self._list_all()
            if wanted not in self._found:
                self._found[wanted] = None if self._is_listed else self._search(image_layout.blob_path(digest), size)
            return self._found[wanted]

    def require(self, placeholder: str, descriptor: Descriptor) -> str:
        """The path of a file with the content that stands behind a placeholder, given its name for people.

        Raises:
            SizeMismatchError: no layout of the source has it.
            SourceError: as `find`.
        """
        sibling = self.find(descriptor.digest, descriptor.size)
        if sibling is None:
            raise SizeMismatchError(
                f"{placeholder} is empty, as zot's deduplication leaves blobs, and no other layout of the source has "
                f"its {descriptor.size} bytes"
            )
        return sibling

    def _search(self, blob: str, size: int | None) -> str | None:
        if self._layouts is None:
            self._layouts = [found for found in self._list_layouts() if isinstance(found, str)]
        for place, layout in enumerate(self._layouts):
            actual = self._size_of(f"{layout}/{blob}")
            if actual and size in {None, actual}:
                self._layouts.insert(0, self._layouts.pop(place))
                return f"{layout}/{blob}"
            self._in_vain += 1
        return None

    def _is_worth_a_listing(self) -> bool:
        return not self._is_listed and self._in_vain > WORTH_A_LISTING * len(self._layouts or ())

    def _list_all(self) -> None:
        self._in_vain = 0  # where this fails, it is not tried again at once
        empty = {digest for _, digest, size in self._blobs() if image_layout.is_placeholder(size, digest)}
        for layout, digest, size in self._blobs():
            if size and digest in empty:
                for wanted in (size, None):
                    self._found.setdefault((digest, wanted), f"{layout}/{image_layout.blob_path(digest)}")
        self._is_listed = True

    def _blobs(self) -> Iterator[tuple[str, Digest, int]]:
        for layout in self._layouts or ():
            for digest, size in self._blobs_of(layout):
                yield layout, digest, size
