"""Looks through a source before the work begins: its layouts, their names at the target, their sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tasks.oci.codes import Refused, Remark
from tasks.oci.errors import InterruptedRunError, LayoutliftError
from tasks.oci.image_layout import BrokenEntry, decode_index, iter_index
from tasks.oci.reference import REF_NAME
from tasks.oci.registry_profiles import GENERIC
from tasks.operations.choosing.by_age import too_new
from tasks.operations.choosing.chosen_tags import plan_selection, said_of
from tasks.operations.choosing.fitting_patterns import FittingPatterns
from tasks.operations.in_step.since_last import vanished_layouts
from tasks.operations.in_step.unlisted import asked_for
from tasks.operations.reports.findings import NO_LAYOUTS, is_harmful, tagless
from tasks.operations.reports.results import Outcome, TagResult
from tasks.operations.running.batches import Batch, plan_batches
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.source.looking_again import look_again
from tasks.operations.source.split_source import SplitSource, layouts_of
from tasks.operations.work.concurrency import map_in_rounds
from tasks.operations.work.planning import CopyPolicy, NamePlan, Untagged, plan_names, plan_untagged
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.reference import TargetAddress
    from tasks.oci.registry_profiles import RegistryProfile
    from tasks.operations.choosing.selection import Renames, Selection
    from tasks.operations.reports.run_log import RunLog
    from tasks.ports import Refusal, Source
    from tasks.stop import Stop

_MAY_BE_LEFT = frozenset({Remark.EMPTY_FOLDER, Remark.NOT_A_LAYOUT})
"""Codes of what may be left of a layout."""


@dataclass(frozen=True, slots=True)
class RunJob:
    """Which tags to work on and by which rules; without an address there is no target."""

    address: TargetAddress | None
    own_name: str
    policy: CopyPolicy
    selection: Selection
    renames: Renames
    profile: RegistryProfile = GENERIC
    preflight: Callable[[str], Refusal | None] = lambda _: None
    """Asked for each repository of the target: why nothing can be pushed to it, None where something can."""
    known_layouts: Callable[[], Iterable[str]] = tuple
    """The layouts of earlier runs."""
    names_vanished: bool = True
    """Whether those of them that are not at the source any more are named."""
    only: tuple[str, ...] | None = None
    """The layouts of a shard, which are looked for nowhere else."""
    flatten: int | None = None
    """How many components a repository's name at the target has at most; None: as many as it has."""

    def names(self, paths: Iterable[str]) -> NamePlan:
        """The names of layouts at the target, collisions among them refused; their own where there is no target."""
        if self.address is None:
            return NamePlan({path: path for path in paths}, {})
        return plan_names(
            paths,
            self.address,
            self.renames.apply,
            own_name=self.own_name,
            strict=self.policy.strict_names,
            flatten=self.flatten,
            profile=self.profile,
        )


@dataclass(frozen=True, slots=True)
class Survey:
    """All layouts of the source with their target names and numbers of entries; those of `untagged` have no tag.

    Of a source that is split by name, `layouts` says where each of its repositories lies. Of its entries, as many are
    `expected` to have an outcome as the policy may take.
    """

    names: NamePlan
    sizes: dict[str, int]
    batches: tuple[Batch, ...]
    untagged: frozenset[str]
    expected: Mapping[str, int]
    layouts: Mapping[str, str]
    selection: Selection
    """What is wanted of them."""
    refused: int = 0
    """How many more are refused for their names, with tags that were chosen."""


class _Counts(NamedTuple):
    """How many entries an index has, and how many of them name a tag."""

    entries: int
    tagged: int


class Surveyor:
    """Makes the survey of a run; what can't be part of it is noted in the run's log."""

    def __init__(
        self, source: Source, job: RunJob, log: RunLog, stop: Stop, pool: Executor, *, pauses: Sequence[float]
    ) -> None:
        """After each of `pauses`, in seconds, what could not be read for the moment is looked at again."""
        self._pauses = pauses
        self._source = source
        self._job = job
        self._log = log
        self._stop = stop
        self._pool = pool
        self.fitting = FittingPatterns(job.selection)
        """What is known of the patterns so far; whoever opens a layout tells it more."""

    def survey(self) -> Survey:
        """Find all layouts and decide on their names and batches.

        Raises:
            SourceUnavailableError: the source is not there.
            InterruptedRunError: the run was told to end meanwhile.
        """
        paths = list(self._layouts())
        if not paths:
            self._log.note(NO_LAYOUTS)
        else:
            self._note_vanished(paths)
            self._note_unused_renames(paths)
            self._see_fitting(paths)
            self._note_unknown(paths)
        names = self._names(paths)
        wanted = list(names.repositories)
        counted = self._counted(wanted)  # before what is refused, which may end the run, but not its survey
        refused = [self._refuse(path, reason) for path, reason in names.refused.items()]
        sizes = {path: counts.entries for path, counts in counted.items()}
        takes_untagged = self._job.policy.untagged is not Untagged.NONE
        expected = sizes if takes_untagged else {path: counts.tagged for path, counts in counted.items()}
        self._log.progress.expect(sum(refused) + sum(expected.values()))
        untagged = frozenset(path for path, counts in counted.items() if not counts.tagged)
        self._note_tagless({path: sizes[path] for path in wanted if path in untagged})
        layouts, unnamed = layouts_of(self._source, sizes), sum(map(bool, refused))
        return Survey(names, sizes, plan_batches(sizes), untagged, expected, layouts, self._job.selection, unnamed)

    def _layouts(self) -> Iterator[str]:
        if self._job.only is not None:
            yield from self._job.only
            return
        for found in self._source.list_layouts():
            if not isinstance(found, Finding):
                yield found
                continue
            self.fitting.see_folder(found.path)
            if self._concerns(found):
                self._log.note(found)

    def _concerns(self, found: Finding) -> bool:
        """Whether something chosen may lie there; a folder of a source that is split may have held any name."""
        if isinstance(self._source, SplitSource) and found.code in _MAY_BE_LEFT:
            return True
        return self._job.selection.may_match_below(found.path)

    def _note_vanished(self, paths: list[str]) -> None:
        known = [path for path in self._job.known_layouts() if self._job.selection.may_match(path)]
        unlisted, is_other = vanished_layouts(known, paths, self._log.findings), set(known).isdisjoint(paths)
        for found in asked_for(self._source, unlisted, self._stop, is_other=is_other):
            if self._job.names_vanished or is_harmful(found):
                self._log.note(found)

    def _note_unused_renames(self, paths: list[str]) -> None:
        if self._job.only is not None:
            return  # the run that this shard is of has seen all
        own_name = "." if "." in self._job.renames.by_path else self._job.own_name
        named = [own_name if path == "." else path for path in paths]
        for old in self._job.renames.unused(named):
            self._log.note(
                Finding(old, Remark.RENAME_UNUSED, "--rename names it, and the source has no layout there or below")
            )

    def _see_fitting(self, paths: list[str]) -> None:
        """Take note of patterns that fit a layout; tags are looked at when it is opened, and excluded ones never.

        What leaves out a layout of an earlier run fits something, also where that is not there any more.
        """
        selection = self._job.selection
        for path in set(self._job.known_layouts()).difference(paths) if selection.exclude else ():
            self.fitting.see_folder(path)
        for path in paths if selection.include or selection.exclude else ():
            self.fitting.see_layout(path, () if selection.may_match(path) else None)

    def _note_unknown(self, paths: list[str]) -> None:
        """Name the lines of a list whose repository the source does not have."""
        if self._job.selection.listed is not None and self._job.only is None:
            self._log.note_all(self._job.selection.listed.unknown(paths))

    def _note_tagless(self, sizes: dict[str, int]) -> None:
        """Name the layouts of which nothing is taken."""
        if self._job.only is not None:
            return
        takes_untagged = self._job.policy.untagged is not Untagged.NONE
        for path, entries in sizes.items():
            if not (entries and takes_untagged) and self._job.selection.takes_whole(path, has_tags=False):
                self._log.note(tagless(path, entries))

    def _names(self, paths: list[str]) -> NamePlan:
        """Names of what is selected; collisions are judged over all, so that a part can't slip past one."""
        job = self._job
        names = job.names(paths)
        chosen = {path: name for path, name in names.repositories.items() if job.selection.may_match(path)}
        reasons = {path: reason for path, reason in names.refused.items() if job.selection.may_match(path)}
        asked = zip(chosen, map_in_rounds(self._pool.map, job.preflight, chosen.values()), strict=True)
        reasons |= {path: reason for path, reason in asked if reason is not None}
        return NamePlan({path: name for path, name in chosen.items() if path not in reasons}, reasons)

    def _counted(self, paths: list[str]) -> dict[str, _Counts]:
        """The entries of each layout, in the order of `paths`; those that can't be read are findings."""
        found = look_again(self._look_at, paths, self._stop, self._pauses)
        for path, counts in found.items():
            if isinstance(counts, LayoutliftError):
                self._log.note(Finding(path, counts.code, str(counts)))
        return {path: counts for path, counts in found.items() if isinstance(counts, _Counts)}

    def _look_at(self, paths: list[str]) -> dict[str, _Counts | LayoutliftError]:
        return dict(zip(paths, map_in_rounds(self._pool.map, self._count, paths), strict=True))

    def _count(self, path: str) -> _Counts | LayoutliftError:
        """The entries of a layout, or why it can't be read."""
        if self._stop.requested:
            raise InterruptedRunError("the run was interrupted while it looked through the source")
        try:
            file = self._source.read_index(path)
            self._log.note_index(path, file.etag)
            return _counts(iter_index(decode_index(file.raw)))
        except LayoutliftError as error:
            return error

    def _refuse(self, path: str, reason: Refusal) -> int:
        """Every selected tag of a layout without a place at the target is refused, each by itself; how many.

        Where nothing of it was to be brought, no repository is missed. A name that can't be had is said all the same:
        of two layouts that share one, this one may have brought what is there.
        """
        selection, lacking = self._job.selection, Finding(path, reason.code, reason.message)
        try:
            inventory = enumerate_repository(self._source, path, self._pool.map, dated=selection.asks_for_times)
            self._log.note_index(path, inventory.etag)
            self.fitting.see(inventory)
            selected = plan_selection(inventory, selection)
        except LayoutliftError as error:
            self._log.note_all((lacking, Finding(path, error.code, str(error))))
            return 0
        self.fitting.see_chosen(inventory, selected)
        named: list[tuple[str | None, str | None, str | None]] = [
            (entry.tag, entry.descriptor.digest, entry.descriptor.media_type) for entry in selected
        ]
        named += [(e.tag, e.digest, e.media_type) for e in inventory.refused if selection.matches(path, e.tag)]
        if named or plan_untagged(inventory, self._job.policy) or reason.code != Refused.REPOSITORY_MISSING:
            self._log.note(lacking, is_of_tags=bool(named))
        elif not inventory.tags:
            self._note_tagless({path: len(inventory.untagged)})
        self._log.note_all((*said_of(inventory, selected, selection), *too_new(inventory, selection)))
        for entry in named:
            outcome = Outcome.REFUSED
            self._log.keep(TagResult(path, *entry, None, outcome, code=reason.code, message=reason.message))
        return len(named)


def _counts(entries: Iterator[Descriptor | BrokenEntry]) -> _Counts:
    count = tagged = 0
    for entry in entries:
        count += 1
        tagged += isinstance(entry, BrokenEntry) or REF_NAME in entry.annotations
    return _Counts(count, tagged)
