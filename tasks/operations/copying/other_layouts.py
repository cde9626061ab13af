"""Tags that an earlier run, with another `--rename`, brought to the same repository from another layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidLayoutError
from tasks.oci.image_layout import tags_named

if TYPE_CHECKING:
    from typing import TypeAlias

    from tasks.operations.copying.noted_tags import NotedTags
    from tasks.ports import LayoutReader

    _Named: TypeAlias = frozenset[str] | InvalidLayoutError | None


class OtherLayouts:
    """Asked about the repository, and the layout that goes there, of which `noted` tells."""

    def __init__(self, source: LayoutReader, noted: NotedTags) -> None:
        self._source = source
        self._noted = noted
        self._named: dict[str, _Named] = {}

    def owner(self, tag: str) -> str | None:
        """The other layout that a tag was brought from and that may name it still; None where that is over.

        Raises:
            SourceError, SpecError: that layout is there and can't be read, so nobody knows.
        """
        origin, entry = self._noted.origin(tag), self._noted.entry(tag)
        if origin is None or entry is None or origin == self._noted.layout:
            return None
        named = self._tags_of(origin, Digest(entry.digest))
        return origin if named is None or tag in named else None

    def _tags_of(self, path: str, content: Digest) -> frozenset[str] | None:
        """What a layout names now, None where an entry hides it; nothing where it is gone, as a folder that moved.

        One that still has the `content` that it brought is not gone, but damaged.
        """
        if path not in self._named:
            self._named[path] = self._read(path)
        named = self._named[path]
        if not isinstance(named, InvalidLayoutError):
            return named
        if self._source.stat_blob(path, content) is None:
            return frozenset()
        raise InvalidLayoutError(f"the layout {path!r} brought this tag, and may have it: {named}") from named

    def _read(self, path: str) -> _Named:
        try:
            raw = self._source.read_index(path).raw
        except InvalidLayoutError as error:
            return error
        return tags_named(raw)
