"""How content is proved, at the source or the target: by reading it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.operations.choosing.content_part import ContentPart
    from tasks.ports import BlobContent


@dataclass(frozen=True, slots=True)
class ContentProof:
    """Content is read as `paced` gives it; where there is a `part` of all content, only what is in that."""

    paced: Callable[[BlobContent], BlobContent] = lambda content: content
    part: ContentPart | None = None

    def prove(self, content: BlobContent) -> None:
        """Read content to its end, unless it is of another part.

        Raises:
            ContentError: it is absent or not what its descriptor says.
            LayoutliftError: it can't be read.
        """
        if self.part is None or self.part.has(content.descriptor.digest):
            with self.paced(content).chunks() as chunks:
                for _ in chunks:
                    pass  # the reader compares digest and size


AS_IT_IS = ContentProof()
"""All of it, as fast as it comes."""
