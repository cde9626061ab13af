"""Tags that an earlier run, with another `--rename`, brought to the same repository from another layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.errors import InvalidLayoutError
from tasks.operations.in_step.vanished_search import tags_named

if TYPE_CHECKING:
    from tasks.ledger_ports import Ledger
    from tasks.ports import LayoutReader


class OtherLayouts:
    """Asked about one repository of the target, to which the layout at `layout` goes."""

    def __init__(self, source: LayoutReader, ledger: Ledger, repository: str, layout: str) -> None:
        self._source = source
        self._ledger = ledger
        self._repository = repository
        self._layout = layout
        self._named: dict[str, frozenset[str] | None] = {}

    def owner(self, tag: str) -> str | None:
        """The other layout that a tag was brought from and that may name it still; None where that is over.

        Raises:
            SourceError, SpecError: that layout is there and can't be read, so nobody knows.
        """
        origin = self._ledger.origin(self._repository, tag)
        if origin is None or origin == self._layout:
            return None
        named = self._tags_of(origin)
        return origin if named is None or tag in named else None

    def _tags_of(self, path: str) -> frozenset[str] | None:
        """What a layout names now, None where an entry hides it; nothing where it is gone, as a folder that moved."""
        if path not in self._named:
            try:
                raw = self._source.read_index(path).raw
            except InvalidLayoutError:
                self._named[path] = frozenset()
            else:
                self._named[path] = tags_named(raw)
        return self._named[path]
