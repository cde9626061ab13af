"""Tags that an earlier run, with another `--rename`, brought to the same repository from another layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidLayoutError
from tasks.oci.image_layout import tags_named

if TYPE_CHECKING:
    from typing import TypeAlias

    from tasks.ledger_ports import Ledger
    from tasks.ports import LayoutReader

    _Named: TypeAlias = frozenset[str] | InvalidLayoutError | None


class OtherLayouts:
    """Asked about one repository of the target, to which the layout at `layout` goes."""

    def __init__(self, source: LayoutReader, ledger: Ledger, repository: str, layout: str) -> None:
        self._source = source
        self._ledger = ledger
        self._repository = repository
        self._layout = layout
        self._named: dict[str, _Named] = {}

    def was_coming(self, tag: str, digest: Digest) -> bool:
        """Whether an earlier run was about to bring this from the layout itself, and did not live to note the end."""
        return self._ledger.may_have_brought(self._repository, tag, digest, layout=self._layout)

    def owner(self, tag: str) -> str | None:
        """The other layout that a tag was brought from and that may name it still; None where that is over.

        Raises:
            SourceError, SpecError: that layout is there and can't be read, so nobody knows.
        """
        origin, noted = self._ledger.origin(self._repository, tag), self._ledger.entry(self._repository, tag)
        if origin is None or noted is None or origin == self._layout:
            return None
        named = self._tags_of(origin, Digest(noted.digest))
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
