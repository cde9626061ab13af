"""Tags that an earlier run, with another `--rename`, brought to the same repository from another layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.errors import LayoutliftError
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
        self._named: dict[str, frozenset[str]] = {}

    def owner(self, tag: str) -> str | None:
        """The other layout that a tag was brought from and that names it still; None where that is over."""
        origin = self._ledger.origin(self._repository, tag)
        if origin is None or origin == self._layout:
            return None
        return origin if tag in self._tags_of(origin) else None

    def _tags_of(self, path: str) -> frozenset[str]:
        """What a layout names now; nothing where it is gone, as after its folder was renamed."""
        if path not in self._named:
            try:
                self._named[path] = tags_named(self._source.read_index(path).raw) or frozenset()
            except LayoutliftError:
                self._named[path] = frozenset()
        return self._named[path]
