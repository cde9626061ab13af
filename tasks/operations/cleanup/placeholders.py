"""Finds content that other repositories count on without having it: what a deduplicating zot wrote as empty objects.

Which repository has the bytes stands in zot's own database, so each that has them may be the one. Such a blob stays
where it is, or in the quarantine, whatever the index of its own repository says.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tasks.layout_ports import OWN_FOLDER
from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidDigestError
from tasks.oci.image_layout import BLOBS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tasks.layout_ports import FileReader

_EMPTY_CONTENT = frozenset(Digest.of(b"", algorithm) for algorithm in ("sha256", "sha512"))


def is_placeholder(size: int, digest: Digest) -> bool:
    """Whether a blob of this size is none, but what zot leaves where another repository holds it."""
    return not size and digest not in _EMPTY_CONTENT


class Placeholders:
    """The placeholders of a whole source, found by one listing when they are first asked for; safe to share."""

    def __init__(self, files: FileReader) -> None:
        """Take the files of the source; nothing is listed yet."""
        self._files = files
        self._lock = threading.Lock()
        self._found: Mapping[Digest, str] | None = None

    def needing(self, digests: Iterable[Digest]) -> Mapping[Digest, str]:
        """Those of some content that a placeholder stands for, each with the words that say where.

        Raises:
            SourceError: the source can't be listed whole.
        """
        wanted = list(digests)
        if not wanted:
            return {}
        with self._lock:
            if self._found is None:
                self._found = dict(self._search())
        found = {digest: self._found[digest] for digest in wanted if digest in self._found}
        return {digest: f"{layout} has a placeholder of zot for it" for digest, layout in found.items()}

    def _search(self) -> Iterator[tuple[Digest, str]]:
        for file in self._files.list_files("."):
            if file.size or file.path.startswith(f"{OWN_FOLDER}/"):
                continue
            *layout, blobs, algorithm, encoded = ["", "", *file.path.split("/")]
            digest = _digest(f"{algorithm}:{encoded}") if blobs == BLOBS else None
            if digest is not None and is_placeholder(file.size, digest):
                yield digest, "/".join(layout[2:]) or "."


def _digest(text: str) -> Digest | None:
    try:
        return Digest(text)
    except InvalidDigestError:
        return None
