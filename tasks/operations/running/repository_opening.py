"""Opens a repository of a run: what its layout holds, what is chosen of that, and the work on it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tasks.operations.choosing.by_age import too_new
from tasks.operations.choosing.chosen_tags import plan_selection, refused_of, said_of
from tasks.operations.running.repository_run import OpenRepository
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.source.many_manifests import children_of
from tasks.operations.work.repository_work import units_of
from tasks.operations.work.told_of_untagged import referrers_left, untagged_may_go

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    from tasks.operations.choosing.fitting_patterns import FittingPatterns
    from tasks.operations.reports.results import RepositoryInventory, TagEntry
    from tasks.operations.reports.run_log import RunLog
    from tasks.operations.running.repository_run import RepositoryRun
    from tasks.operations.running.source_survey import RunJob
    from tasks.operations.work.repository_work import BeginWork
    from tasks.operations.work.spare_hands import SpareHands
    from tasks.ports import Finding, Source


class RepositoryOpener:
    """Safe to share by all workers; what a layout holds besides its index is read in `pool`."""

    def __init__(
        self,
        source: Source,
        job: RunJob,
        begin_work: BeginWork,
        *,
        hands: SpareHands,
        log: RunLog,
        fitting: FittingPatterns,
        pool: Executor,
    ) -> None:
        self._source = source
        self._job = job
        self._begin_work = begin_work
        self._hands = hands
        self._log = log
        self._fitting = fitting
        self._pool = pool

    def open(self, repository: RepositoryRun, *, patient: bool) -> OpenRepository:
        """Read a repository, begin the work on it, and report the entries that can't be migrated.

        With `patient` there will be another attempt at what can't be read for the moment.

        Raises:
            LayoutliftError: the source can't be read, or the target does not say what it has; nothing is noted then
                of what was found, as the next attempt will find it again.
        """
        selection = self._job.selection
        dated = selection.asks_for_times
        inventory = enumerate_repository(self._source, repository.path, self._pool.map, dated=dated, patient=patient)
        self._log.note_index(repository.path, inventory.etag)
        self._fitting.see(inventory)
        selected, unread = self._selected(inventory, patient=patient)
        self._fitting.see_chosen(inventory, selected)
        inventory = replace(inventory, findings=(*inventory.findings, *unread))
        units = units_of(inventory, selected, self._job.policy)
        with self._hands.one():
            work = self._begin_work(inventory, repository.place, units)
        said = (*said_of(inventory, selected, selection), *too_new(inventory, selection))
        short_lived = untagged_may_go(inventory, units, self._job.policy, self._job.profile)
        self._log.note_all((*said, *self._left(inventory), *short_lived))
        if not work.asks_target:
            self._log.note_unasked()
        refused = refused_of(inventory, selection, (unit.descriptor.digest for unit in units))
        known = len(refused) + sum(len(unit.tags) or 1 for unit in units)
        self._log.progress.expect(known - repository.expected)
        for entry in refused:
            self._log.keep(work.refuse(entry))
        return OpenRepository(work, units)

    def _left(self, inventory: RepositoryInventory) -> Iterator[Finding]:
        """What is said of what stays behind, where something of the layout goes somewhere and no list says what."""
        if self._job.address is not None and self._job.selection.takes_whole(inventory.path, has_tags=False):
            yield from referrers_left(inventory, self._job.policy)

    def _selected(
        self, inventory: RepositoryInventory, *, patient: bool
    ) -> tuple[tuple[TagEntry, ...], list[Finding]]:
        """What is chosen of a repository, and what could not be read when it was looked for."""
        told: list[Finding] = []
        below = partial(children_of, self._source, inventory.path, self._pool.map, tell=told.append, patient=patient)
        return plan_selection(inventory, self._job.selection, below), told
