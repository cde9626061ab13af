"""Keeping a target in step with a source that goes on: what changed since the last run, and what need not be asked.

The ledger keeps a mark of each layout of which everything selected was at the target. An index names its content
by digest, so an index that is unchanged means that its tags mean the same as then; what others did at the target
since is what only asking the target tells.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from tasks.oci.codes import Problem, Remark
from tasks.oci.errors import StateError
from tasks.oci.image_layout import digests_by_tag, layouts_of_blobs
from tasks.oci.reference import is_referrers_list, parse_referrers_tag, referrers_tag_of
from tasks.operations.choosing.ancestry import with_ancestors
from tasks.operations.choosing.chosen_tags import plan_chosen
from tasks.operations.reports.findings import RUN_WIDE, is_harmful
from tasks.operations.reports.results import Depth, Outcome
from tasks.operations.work.repository_work import RepositoryWork, Unit, WrappedWork
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tasks.ledger.ledger import Ledger
    from tasks.oci.errors import LayoutliftError
    from tasks.operations.choosing.selection import Selection
    from tasks.operations.reports.results import RepositoryInventory, TagResult

_DONE_BESIDES = frozenset({Remark.TAG_OVERWRITTEN, Remark.REFERRERS_COPIED, Remark.NEW_MAY_BE_PUBLIC})
"""Remarks on what a run did besides, of which none says that something is missing."""


@dataclass(frozen=True, slots=True)
class TagChange:
    """A tag that is `new`, has `moved` or `vanished` since the last run, with its digests now and before."""

    path: str
    tag: str
    change: str
    digest: str | None
    before: str | None


def settings_mark(*settings: object) -> str:
    """A short mark that changes with the options that decide what of a layout is to be at the target."""
    return sha256(repr(settings).encode(errors="backslashreplace")).hexdigest()[:16]


def changes_of(
    inventory: RepositoryInventory, repository: str, noted: Mapping[str, str], selection: Selection
) -> Iterator[Finding]:
    """Tags that moved or vanished at the source since the ledger noted them."""
    for each in told_changes(inventory, noted, selection):
        if each.change == "moved":
            message = f"{each.tag} has moved since it was copied, from {each.before} to {each.digest}"
            yield Finding(inventory.path, Remark.TAG_MOVED, message)
        elif each.change == "vanished":
            message = f"{repository}:{each.tag} is not at the source any more; the target had it ({each.before})"
            yield Finding(inventory.path, Remark.TAG_VANISHED, message)


def told_changes(
    inventory: RepositoryInventory, noted: Mapping[str, str], selection: Selection
) -> Iterator[TagChange]:
    """How tags differ from what the ledger noted, new ones among them.

    Left out are moved tags that are not chosen, as the target does not follow them, and vanished lists of referrers,
    as the target keeps its own.
    """
    changes = list(tag_changes(inventory, noted))
    moved = _followed({each.tag for each in changes if each.change == "moved"}, inventory, selection)
    for each in changes:
        is_kept = each.change == "vanished" and is_referrers_list(each.tag, each.before or "")
        if not is_kept and (each.change != "moved" or each.tag in moved):
            yield each


def _followed(moved: set[str], inventory: RepositoryInventory, selection: Selection) -> set[str]:
    """Those of the tags that are chosen, or may come along with what is."""
    chosen = {e.tag for e in plan_chosen(inventory, selection)} if moved else set()
    return {tag for tag in moved if tag in chosen or parse_referrers_tag(tag)}


def tag_changes(inventory: RepositoryInventory, noted: Mapping[str, str]) -> Iterator[TagChange]:
    """How tags differ from what the ledger noted; one that can't be migrated any more has not vanished."""
    now = {entry.tag or "": str(entry.descriptor.digest) for entry in inventory.tags}
    refused = {entry.tag for entry in inventory.refused}
    for tag in sorted(now.keys() | (noted.keys() - refused)):
        digest, before = now.get(tag), noted.get(tag)
        if digest != before:
            change = "new" if before is None else "vanished" if digest is None else "moved"
            yield TagChange(inventory.path, tag, change, digest, before)


def is_as_noted(path: str, index: bytes, noted: Mapping[str, str], selection: Selection) -> bool:
    """Whether each chosen tag of a layout is as it was noted, by its index alone.

    What was not noted and is named like a referrer does not count: a run may leave those out.

    Raises:
        InvalidLayoutError: the index can't be understood.
    """
    now = digests_by_tag(index)
    return now is not None and all(
        _is_noted(tag, digest, noted) for tag, digest in now.items() if selection.matches(path, tag)
    )


def _is_noted(tag: str, digest: str, noted: Mapping[str, str]) -> bool:
    return noted[tag] == digest if tag in noted else referrers_tag_of(tag, digest) is not None


def vanished_layouts(noted: Iterable[str], found: Iterable[str], others: Iterable[Finding]) -> Iterator[Finding]:
    """Layouts of earlier runs that are not at the source any more.

    `others` is what the search found besides. A layout is not called vanished where it may be hidden or broken: it
    lies below a place that can't be read, its folder still has files or blobs, or something in it can't be looked at.
    """
    others = tuple(others)
    hidden = {other.path for other in others if other.code != Remark.NOT_A_LAYOUT}
    left = {owner for other in others if other.code == Remark.NOT_A_LAYOUT for owner in owners(other.path)}
    left |= {other.path.rpartition("/")[0] or "." for other in others if other.code == Problem.UNREADABLE_ENTRY}
    for path in sorted(set(noted) - set(found) - left):
        if "." not in hidden and hidden.isdisjoint(with_ancestors(path)):
            yield Finding(path, Remark.LAYOUT_VANISHED, "it was migrated earlier, and is not at the source any more")


def owners(path: str) -> Iterator[str]:
    """The layouts that files in a folder may be part of: the folder itself, and those that it holds blobs of."""
    yield path
    yield from layouts_of_blobs(path)


def is_unchanged(
    inventory: RepositoryInventory, repository: str, ledger: Ledger, settings: str, selection: Selection
) -> bool:
    """Whether a layout is as it was when all of it was at the target, and no run has changed its tags there since.

    Its index and settings alone do not tell: another layout may have written the same tags meanwhile, or a killed
    run may have brought an index that was taken back later, of which it lived to note no more than that it would.
    A run that had lost its lock may have deleted a tag that the one after it found. Tags that are not chosen do not
    count: another run, which chose them, may have brought what it found.
    """
    noted = ledger.layout(inventory.path)
    if noted is None or (noted.etag, noted.settings) != (inventory.etag, settings):
        return False
    written = ledger.tags_of(repository)
    now = ((e.tag or "", e.descriptor.digest) for e in inventory.tags)
    other = {tag for tag, digest in now if not _is_noted(tag, digest, written) or ledger.is_coming(repository, tag)}
    return not _followed(other, inventory, selection)


class UnchangedWork(RepositoryWork):
    """Reports a layout that is as it was when everything of it was at the target; the target is not asked."""

    asks_target = False

    def __init__(self, inventory: RepositoryInventory, repository: str, host: str, ledger: Ledger) -> None:
        super().__init__(inventory, f"{host}/{repository}")
        self._repository = repository
        self._ledger = ledger

    def _execute(self, unit: Unit) -> list[TagResult]:
        return [self._remembered(unit, tag) for tag in unit.tags or (None,)]

    def _remembered(self, unit: Unit, tag: str | None) -> TagResult:
        members = None if unit.subject is None else self.inventory.referrers.get(unit.subject, ())
        by_tag = members is None  # a list may be at the target by its API alone, and that was not asked
        noted = self._ledger.entry(self._repository, tag) if tag is not None else None
        if noted is None or noted.digest != unit.descriptor.digest:
            return self._result(unit, tag, Outcome.UP_TO_DATE, at_target=by_tag)
        proved = Depth(noted.verified) if noted.verified else None
        referrers = noted.referrers if members is None else len(members)  # the ledger counts theirs, too
        return self._result(unit, tag, Outcome.UP_TO_DATE, verified=proved, referrers=referrers, at_target=by_tag)


class RememberedWork(WrappedWork):
    """Does what `work` does, says what changed since the last time, and notes in the end whether all went well."""

    def __init__(
        self,
        work: RepositoryWork,
        repository: str,
        ledger: Ledger,
        settings: str | None,
        selection: Selection,
    ) -> None:
        """Compare with the ledger; `settings` is None where nothing is noted in it, as in a plan."""
        super().__init__(work)
        self._repository = repository
        self._ledger = ledger
        self._settings = settings
        noted = ledger.tags_of(repository, work.inventory.path)
        self._changes = list(changes_of(work.inventory, repository, noted, selection))
        self._lock = threading.Lock()
        self._open: set[tuple[str | None, str | None]] = set()
        self._is_doubted = False
        self._unnoted: list[Finding] = []
        self._whole = not any(map(is_harmful, work.inventory.findings)) and not work.inventory.refused

    def execute(self, unit: Unit) -> list[TagResult]:
        """See `RepositoryWork.execute`."""
        return self._noted(self._work.execute(unit))

    def skip(self, unit: Unit, error: LayoutliftError) -> list[TagResult]:
        """See `RepositoryWork.skip`."""
        return self._noted(self._work.skip(unit, error))

    def found(self) -> list[Finding]:
        """See `RepositoryWork.found`."""
        return [*self._work.found(), *self._unnoted, *self._changes]

    def finish(self) -> list[Finding]:
        """See `RepositoryWork.finish`."""
        findings = self._work.finish()
        if self._settings is None:
            return [*findings, *self._changes]
        doubts = [each for each in findings if each.code not in _DONE_BESIDES]
        whole = self._whole and not self._open and not doubts
        return [*findings, *self._note(self._settings, is_whole=whole), *self._changes]

    def _note(self, settings: str, *, is_whole: bool) -> list[Finding]:
        """Note how the layout is; the finding where that fails."""
        path, etag = self.inventory.path, self.inventory.etag
        try:
            self._ledger.note_layout(path, self._repository, etag if is_whole else "", settings)
        except StateError as error:
            return [Finding(path, error.code, str(error))]
        return []

    def _noted(self, results: list[TagResult]) -> list[TagResult]:
        """Keep which tags have a problem; one that went well when it was tried again has none any more."""
        with self._lock:
            for result in results:
                key = (result.tag, result.digest)
                self._open.discard(key)
                if result.code is not None:
                    self._open.add(key)
            was_doubted = self._is_doubted
            self._is_doubted |= any(result.code is not None and result.code not in RUN_WIDE for result in results)
            if self._is_doubted and not was_doubted:
                self._take_back()
        return results

    def _take_back(self) -> None:
        """Have nobody rely on what an earlier run noted; a run that is killed or cancelled does not reach the end."""
        noted = self._ledger.layout(self.inventory.path)
        if self._settings is not None and noted is not None and noted.etag:
            self._unnoted += self._note(self._settings, is_whole=False)
