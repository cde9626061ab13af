"""Finds content that other repositories count on without having it: zot's empty objects, and links to folders.

Which repository has the bytes of what a deduplicating zot wrote as an empty object stands in zot's own database, so
each that has them may be the one. Such a blob stays where it is, or in the quarantine, whatever the index of its own
repository says. What a layout needs whose `blobs` is a link to another one's nobody has read who cleans that one up.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.file_ports import OWN_FOLDER
from tasks.oci.errors import NotJudgedError, SourceError
from tasks.oci.image_layout import blob_path, digest_of_path, is_placeholder, layouts_of_blobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.file_ports import FileReader
    from tasks.oci.digest import Digest

_TRIES = 10
"""Walks through a source that can't be listed, each time for another reason: such may pass, and cost a repository."""


@dataclass(slots=True)
class _Found:
    """The layout with a placeholder for each digest, and a link into the blobs of each layout that has one."""

    placeholders: dict[Digest, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


class SharedContent:
    """What is shared within a whole source, found by one listing when it is first asked for; safe to share."""

    def __init__(self, files: FileReader) -> None:
        """Take the files of the source; nothing is listed yet."""
        self._files = files
        self._lock = threading.Lock()
        self._found: _Found | None = None
        self._failures: set[str] = set()
        self._lasting: SourceError | None = None

    def needing(self, path: str, digests: Iterable[Digest]) -> Mapping[Digest, str]:
        """Those of some content of a layout that a placeholder stands for, each with the words that say where.

        Raises:
            NotJudgedError: a link at the source leads to blobs of the layout.
            SourceError: the source can't be listed whole.
        """
        wanted = list(digests)
        if not wanted:
            return {}
        found = self._search()
        if path in found.links:
            raise NotJudgedError(
                f"{found.links[path]} is a link to its blobs; whether anything else needs what goes is not known"
            )
        places = {digest: found.placeholders[digest] for digest in wanted if digest in found.placeholders}
        return {digest: f"{layout} has a placeholder of zot for it" for digest, layout in places.items()}

    def _search(self) -> _Found:
        with self._lock:
            if self._found is None:
                self._found = self._list()
            return self._found

    def _list(self) -> _Found:
        """What a listing finds; an error is kept when the same comes again, as each repository would begin anew."""
        if self._lasting is not None:
            raise self._lasting
        try:
            return _find(self._files)
        except SourceError as error:
            if str(error) in self._failures or len(self._failures) == _TRIES - 1:
                self._lasting = error
            self._failures.add(str(error))
            raise


def _find(files: FileReader) -> _Found:
    found = _Found()
    for file in files.list_files("."):
        if file.path.startswith(f"{OWN_FOLDER}/"):
            continue
        digest = None if file.size else digest_of_path(file.path)
        if digest is not None and is_placeholder(0, digest):
            found.placeholders[digest] = file.path.removesuffix(blob_path(digest)).removesuffix("/") or "."
        if not file.etag:
            target = files.link_target(file.path) or ""
            found.links.update(dict.fromkeys(layouts_of_blobs(target), file.path))
    return found
