"""Which patterns fit something of a source, so that the others can be named: they may be mistyped."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.operations.reports.findings import FITTED_BEFORE, is_harmful
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from tasks.operations.choosing.selection import Selection
    from tasks.operations.reports.results import RepositoryInventory, TagEntry

_OUT = "--exclude "
_LEFT_BY_AGE = "--newer-than, --older-than"


class FittingPatterns:
    """Told what there is of a source, it knows which patterns of a selection fit some of it; safe to share."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._lock = threading.Lock()
        self._names: set[str] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """What is known, as texts that another process can `absorb`; an exclude is there as `--exclude PATTERN`."""
        with self._lock:
            return tuple(sorted(self._names))

    def absorb(self, names: Iterable[str]) -> None:
        """Take over what is known elsewhere."""
        with self._lock:
            self._names.update(names)

    def see_folder(self, path: str) -> None:
        """A folder is there that is no layout, or a layout was: excludes may be meant for it."""
        self._see_excluded(path, None)

    def see_layout(self, path: str, tags: Sequence[str | None] | None = None) -> None:
        """A layout has these tags; where nobody looked at them (None), all patterns count that may fit one."""
        self.absorb(self._selection.fitting(path, tags, self._names))
        self._see_excluded(path, tags)

    def see(self, inventory: RepositoryInventory) -> None:
        """A layout has these tags, the refused ones among them."""
        tags = [*(e.tag for e in inventory.tags), *(e.tag for e in inventory.refused)]
        self.see_layout(inventory.path, tags)

    def see_chosen(self, inventory: RepositoryInventory, chosen: Collection[TagEntry]) -> None:
        """This is chosen of a layout; where it is nothing, it may have another age than is asked for."""
        if self._selection.ages is None or chosen:
            return
        if any(self._selection.matches(inventory.path, entry.tag) for entry in inventory.tags):
            self.absorb([_LEFT_BY_AGE])

    @property
    def left_by_age(self) -> bool:
        """Whether patterns fit a layout of which nothing was chosen for its age."""
        return _LEFT_BY_AGE in self._names

    def unused(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """A finding for each pattern that surely fits nothing: not even what can't be read, or has vanished."""
        unread = {finding.path for finding in findings if is_harmful(finding) or finding.code in FITTED_BEFORE}
        includes = self._selection.unused(self._names, unread)
        return (
            *(_unused(p, Remark.INCLUDE_UNUSED, "--include") for p in includes),
            *(_unused(p, Remark.EXCLUDE_UNUSED, "--exclude") for p in self._unused_excludes(unread)),
        )

    def _see_excluded(self, path: str, tags: Sequence[str | None] | None) -> None:
        """A rule for tags fits wherever there may be some: that none has to be left out today says nothing of it."""
        self.absorb(
            {
                key
                for p in self._selection.exclude
                if (key := f"{_OUT}{p.written}") not in self._names
                and (p.repository.fullmatch(path) or p.takes_all(path))
                and (not p.names_tag or tags is None or any(p.matches(path, tag) for tag in tags))
            }
        )

    def _unused_excludes(self, unread: Collection[str]) -> list[str]:
        excluded = {p.written: p for p in self._selection.exclude if f"{_OUT}{p.written}" not in self._names}
        return [each for each, p in excluded.items() if "." not in unread and not any(map(p.may_reach, unread))]


def _unused(pattern: str, code: Remark, option: str) -> Finding:
    return Finding(pattern, code, f"{option} has it, and it fits nothing of the source")
