"""What a run does before and after its work: delete what vanished, find unused patterns, and judge equality."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tasks.file_ports import SourceWithFiles
from tasks.operations.in_step.equality import Equality
from tasks.operations.in_step.vanished_course import VanishedCourse
from tasks.operations.in_step.vanished_search import VanishedSearch
from tasks.operations.reports.findings import FITTED_BEFORE, NONE_OF_AGE, NOTHING_CHOSEN
from tasks.run_options import RunKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from tasks.ledger.ledger import Ledger
    from tasks.oci.digest import Digest
    from tasks.operations.choosing.fitting_patterns import FittingPatterns
    from tasks.operations.reports.run_log import RunLog
    from tasks.operations.running.source_survey import RunJob
    from tasks.ports import Source, Target
    from tasks.run_options import RunOptions
    from tasks.stop import Stop


class RunEnds:
    """Called in order: `begin` after the survey, `settle` after the work."""

    def __init__(
        self,
        kind: RunKind,
        source: Source,
        target: Target | None,
        ledger: Ledger,
        *,
        job: RunJob,
        log: RunLog,
        fitting: FittingPatterns,
        options: RunOptions,
        stop: Stop,
        wait: Callable[[], bool] = lambda: False,
        is_held: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare; a shard does nothing of it, but leaves it to the run that it is a part of.

        To `wait` is to do so until the run may go on, and to say whether that took time; `is_held` says whether it
        would.
        """
        limits = options.deletion if options.shard is None else None
        self._kind = kind
        self._compares = kind in {RunKind.MIGRATE, RunKind.VERIFY} and options.shard is None
        self._is_part = options.shard is not None
        self._log = log
        self._fitting = fitting
        self._selection = job.selection
        self._may_choose_nothing = options.shard is not None or job.selection.is_everything
        self.equality = Equality(source, job.selection, log, ledger.layouts)
        self._vanished = None
        if target is not None and limits is not None:
            search = VanishedSearch(
                source,
                ledger,
                job.selection,
                lambda path: job.names([path]).repositories.get(path),
                stop,
                marked=partial(_marked_in, source),
            )
            self._vanished = VanishedCourse(
                search, target, ledger, log=log, limits=limits, wait=wait, is_held=is_held
            )

    @property
    def deletes(self) -> bool:
        """Whether a migration is to delete something at the target when its work is done."""
        return self._kind is RunKind.MIGRATE and self._vanished is not None and self._vanished.has_planned

    def begin(self, repositories: Mapping[str, str], untagged: Collection[str]) -> None:
        """Decide on what of the target is to go, given where each layout goes and which of them have no tag.

        Raises:
            TooManyVanishedError: more vanished than may be deleted; nothing was changed.
        """
        self._may_choose_nothing |= any(
            self._selection.takes_whole(path, has_tags=path not in untagged) for path in repositories
        )
        if self._vanished is not None:
            self._vanished.begin(repositories, only_plan=self._kind is RunKind.PLAN)

    def settle(self, *, complete: bool) -> None:
        """Delete what is to go, if the run is complete, and judge whether both sides are equal.

        It is a finding where the patterns as a whole choose neither a tag nor a layout, or one of them fits nothing.

        Raises:
            StateError: the ledger can't be written.
        """
        if self._vanished is not None and self._kind is RunKind.MIGRATE:
            self._vanished.settle(complete=complete)
        if complete and self._chose_nothing():
            self._log.note(NOTHING_CHOSEN)
        elif not self._is_part and self._log.reason_to_skip() is None:
            self._log.note_all([NONE_OF_AGE] if complete and self._is_none_of_age() else [])
            self._log.note_all(self._fitting.unused(self._log.findings))
        if self._compares:
            self.equality.settle(complete=complete, unasked=self._log.unasked)

    def _is_none_of_age(self) -> bool:
        return not self._log.progress.totals.tags and self._fitting.left_by_age

    def _chose_nothing(self) -> bool:
        if self._may_choose_nothing or self._log.progress.totals.tags or self._is_none_of_age():
            return False
        return all(finding.code not in FITTED_BEFORE for finding in self._log.findings)

    def to_json(self) -> dict[str, Any]:
        """The report's fields on whether both sides are equal."""
        if not self._compares:
            return {}
        return {"equal_at": self.equality.at, "not_equal_because": self.equality.reason}


def _marked_in(source: Source, path: str) -> Collection[Digest]:
    """The blobs of a layout that cleanups have marked, as nothing names them.

    Raises:
        SourceError: the marks can't be read.
    """
    from tasks.operations.cleanup.records.marks import read_marks  # noqa: PLC0415 - only where a tag may be lost

    return read_marks(source.open_files(), path) if isinstance(source, SourceWithFiles) else ()
