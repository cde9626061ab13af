"""One repository of a run: which of its slices were begun, its work once somebody opened it, and what is told of it.

Slices are done by several threads, in any order. The first that comes opens the repository, and the others wait for
that; what can't be opened is tried again by the next. After the last slice the work is finished. Where a run ends
before that, each tag of a slice that was not begun is told of, and what the work has found so far.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, NamedTuple

from tasks.oci.codes import Problem
from tasks.oci.errors import BatchUnfinishedError, LayoutliftError
from tasks.operations.reports.counts import counted
from tasks.operations.reports.findings import FATAL
from tasks.operations.reports.shown_text import printable
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasks.operations.reports.run_log import RunLog
    from tasks.operations.running.batches import Slice
    from tasks.operations.work.repository_work import RepositoryWork, Unit

logger = logging.getLogger(__name__)


class OpenRepository(NamedTuple):
    """The work on a repository that was opened, and all units of that."""

    work: RepositoryWork
    units: tuple[Unit, ...]


class Todo(NamedTuple):
    """A unit to do, with the work that it belongs to."""

    work: RepositoryWork
    unit: Unit


class RepositoryRun:
    """See the module. `place` is its name at the target, `expected` how many outcomes the survey foresaw.

    There may be 100,000 of them, so that each is to be small; the one lock of all is held for moments only.
    """

    __slots__ = (
        "_is_abandoned",
        "_is_accounted_for",
        "_log",
        "_open",
        "_opening",
        "_unbegun",
        "_unfinished",
        "_unopened",
        "expected",
        "path",
        "place",
    )
    _lock = threading.Lock()

    def __init__(self, path: str, place: str, expected: int, slices: tuple[Slice, ...], log: RunLog) -> None:
        self.path = path
        self.place = place
        self.expected = expected
        self._log = log
        self._opening = threading.Lock()
        self._open: OpenRepository | None = None
        self._unbegun = slices
        self._unfinished = len(slices)
        self._unopened: dict[Slice, LayoutliftError] = {}
        self._is_abandoned = False
        self._is_accounted_for = False

    @property
    def is_open(self) -> bool:
        """Whether it is open now."""
        return self._open is not None

    def todos(self, part: Slice, open_it: Callable[[], OpenRepository], *, last_attempt: bool) -> list[Todo]:
        """The units of a slice; none where the repository can't be opened, which is noted as a finding.

        Raises:
            BatchUnfinishedError: it can't be opened for the moment, and this is not the last attempt.
        """
        try:
            work, units = self._opened(open_it)
        except LayoutliftError as error:
            if error.transient and not last_attempt:
                raise BatchUnfinishedError(f"{self.path} can't be opened for the moment: {error}") from error
            self._note_unopened(part, error.code, error)
            if isinstance(error, FATAL):
                self._log.give_up(error)
            return []
        except Exception as error:
            logger.exception("unexpected error when %s was opened", printable(self.path))
            self._note_unopened(part, Problem.INTERNAL_ERROR, LayoutliftError(f"{type(error).__name__}: {error}"))
            return []
        self._unopened.pop(part, None)
        return [Todo(work, unit) for unit in units[part.start : part.stop]]

    def begin_slice(self, part: Slice) -> bool:
        """Count a slice as begun; False where `abandon` has told of it already."""
        with self._lock:
            if self._is_abandoned:
                return part not in self._unbegun
            self._unbegun = tuple(other for other in self._unbegun if other != part)
            return True

    def finish_slice(self) -> None:
        """Count a slice as done; after the last, tell of those that could not be opened, and end the work.

        Work of which a slice was passed over, as the run ends, has not come to its end.
        """
        with self._lock:
            self._unfinished -= 1
            if self._unfinished > 0:
                return
            unopened, self._unopened = self._unopened, {}
            was_left = bool(self._unbegun)
        for part, reason in unopened.items():
            self._leave(part, reason)
        if (opened := self._take()) is not None:
            self._log.note_all(opened.work.found() if was_left else opened.work.finish())

    def abandon(self, reason: LayoutliftError) -> None:
        """Tell of each slice that was not begun, which it can't be any more, and of what was found so far.

        Where something was told of the repository as a whole, that holds for these slices, too.

        Raises:
            StateError: a result can't be kept.
        """
        with self._lock:  # others may still be at work, where the run is ended without waiting for them
            left = () if self._is_abandoned or self._is_accounted_for else self._unbegun
            self._is_abandoned = True
        try:
            for part in left:
                self._leave(part, reason)
        finally:  # findings outlive a state that takes no results any more
            if (opened := self._take()) is not None:
                self._log.note_all(opened.work.found())

    def account_for(self) -> bool:
        """Keep that something was told of the repository as a whole; False where that was so before."""
        with self._lock:
            is_first = not self._is_accounted_for
            self._is_accounted_for = True
            return is_first

    def _opened(self, open_it: Callable[[], OpenRepository]) -> OpenRepository:
        with self._opening:
            if self._open is None:
                self._open = open_it()
            return self._open

    def _take(self) -> OpenRepository | None:
        with self._lock:
            opened, self._open = self._open, None
            return opened

    def _note_unopened(self, part: Slice, code: str, reason: LayoutliftError) -> None:
        self._note_once(code, f"{reason} (the source has {counted(self.expected, 'tag')} of it)")
        self._unopened[part] = reason

    def _leave(self, part: Slice, reason: LayoutliftError) -> None:
        """Report each tag of a slice as not begun; if the repository was never opened, that as a whole."""
        if (opened := self._open) is None:
            self._note_once(reason.code, str(reason))
        else:
            leave(opened.work, opened.units[part.start : part.stop], reason, self._log)

    def _note_once(self, code: str, message: str) -> None:
        """Note one finding, however many slices there are."""
        if self.account_for():
            self._log.note(Finding(self.path, code, message))


def leave(work: RepositoryWork, units: Sequence[Unit], reason: LayoutliftError, log: RunLog) -> None:
    """Report each tag of these units as not begun, for that reason."""
    for unit in units:
        for result in work.skip(unit, reason):
            log.keep(result)
