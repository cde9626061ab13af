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


class SiblingBlobs:
    """Looks through all layouts, those first that had what was looked for before; safe to share."""

    def __init__(
        self, list_layouts: Callable[[], Iterator[str | Finding]], size_of: Callable[[str], int | None]
    ) -> None:
        """`size_of` gives the size of a file by its path below the source, None where there is none."""
        self._list_layouts = list_layouts
        self._size_of = size_of
        self._lock = threading.Lock()
        self._layouts: list[str] | None = None
        self._found: dict[tuple[Digest, int | None], str | None] = {}

    def find(self, digest: Digest, size: int | None) -> str | None:
        """The path of a file of this digest and size (None: any but 0) below the source.

        Raises:
            SourceError: the layouts can't be listed.
        """
        with self._lock:
            wanted = digest, size  # what a descriptor says wrongly must not hide it from those that are right
            if wanted not in self._found:
                self._found[wanted] = self._search(image_layout.blob_path(digest), size)
            return self._found[wanted]

    def require(self, placeholder: str, descriptor: Descriptor) -> str:
        """The path of a file with the content that stands behind a placeholder, given its name for people.

        Raises:
            SizeMismatchError: no layout of the source has it.
            SourceError: the layouts can't be listed.
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
        return None
