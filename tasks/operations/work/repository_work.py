"""What every kind of work on a repository has in common: units, and results whatever goes wrong."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.oci.codes import Problem
from tasks.oci.errors import (
    LayoutliftError,
    ManifestRefusedError,
    PayloadTooLargeError,
    RefusedError,
    SpecError,
)
from tasks.oci.media_types import is_index
from tasks.oci.reference import referrers_tag_of
from tasks.operations.reports.results import Depth, Outcome, RefusedEntry, RepositoryInventory, TagEntry, TagResult
from tasks.operations.reports.shown_text import printable
from tasks.operations.work.planning import CopyPolicy, TagPlan, plan_untagged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.ports import Finding

    BeginWork: TypeAlias = Callable[[RepositoryInventory, str, Sequence["Unit"]], "RepositoryWork"]
    """What begins the work on a repository, given what its layout holds, its name at the target, and all to do."""

logger = logging.getLogger(__name__)

_REFUSALS = (SpecError, ManifestRefusedError, PayloadTooLargeError, RefusedError)
"""Errors that trying again can't mend and nobody but the content's author can."""


MOST_TAGS = 50
"""Of one digest in one unit: a run that is told to stop ends between units, and each tag takes some requests."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One graph and the tags that have it; with a `subject`, a list of referrers that is merged instead.

    `patient` says that there will be another attempt at what can't be read for the moment.
    """

    descriptor: Descriptor
    tags: tuple[str, ...]
    subject: Digest | None = None
    patient: bool = False


def units_of(inventory: RepositoryInventory, selected: Iterable[TagEntry], policy: CopyPolicy) -> tuple[Unit, ...]:
    """Group tags that share a digest, `MOST_TAGS` at most; lists of referrers come last, after all that they list."""
    grouped: dict[Descriptor, list[str]] = {}
    lists: list[Unit] = []
    by_digest: list[Unit] = []
    for entry in selected:
        tag = entry.tag or ""
        named = referrers_tag_of(tag, entry.descriptor.digest)
        if named is not None and not policy.referrers:
            continue
        if entry.tag is None:
            by_digest.append(Unit(entry.descriptor, ()))
        elif named is not None and not named.suffix and is_index(entry.descriptor.media_type):
            lists.append(Unit(entry.descriptor, (tag,), named.subject))
        else:
            grouped.setdefault(entry.descriptor, []).append(tag)
    copies = [
        Unit(descriptor, tuple(tags[first : first + MOST_TAGS]))
        for descriptor, tags in grouped.items()
        for first in range(0, len(tags), MOST_TAGS)
    ]
    untagged = [Unit(entry.descriptor, ()) for entry in plan_untagged(inventory, policy)]
    return (*copies, *by_digest, *untagged, *lists)


class RepositoryWork(ABC):
    """Work on one repository; shared by all workers on it. `place` is where it goes at the target, if anywhere."""

    asks_target: bool = True
    """Whether results rest on what the target answered in this run."""

    def __init__(self, inventory: RepositoryInventory, place: str | None) -> None:
        self.inventory = inventory
        self._place = place

    @abstractmethod
    def _execute(self, unit: Unit) -> list[TagResult]:
        """Do a unit; errors of ours may be raised."""

    def found(self) -> list[Finding]:
        """Findings so far; the only ones that are asked for where the work is given up before its end."""
        return []

    def finish(self) -> list[Finding]:
        """End the work, after its last unit; gives all findings."""
        return self.found()

    def execute(self, unit: Unit) -> list[TagResult]:
        """Do a unit; whatever goes wrong is in the results, one for each tag."""
        broken = self.inventory.broken_lists.get(unit.descriptor.digest)
        if broken is not None:
            return self._failed(unit, unit.tags, broken.code, broken.message)
        try:
            return self._execute(unit)
        except LayoutliftError as error:
            return self._failed_by(unit, unit.tags, error)
        except Exception as error:
            logger.exception("unexpected error in %s", printable(self.inventory.path))
            return self._failed(unit, unit.tags, Problem.INTERNAL_ERROR, f"{type(error).__name__}: {error}")

    def skip(self, unit: Unit, error: LayoutliftError) -> list[TagResult]:
        """The results of a unit that is not begun any more."""
        return self._failed(unit, unit.tags, error.code, str(error))

    def refuse(self, entry: RefusedEntry) -> TagResult:
        """The result of an entry that can't be migrated at all."""
        return TagResult(
            repository=self.inventory.path,
            tag=entry.tag,
            digest=entry.digest,
            media_type=entry.media_type,
            target=None,
            outcome=Outcome.REFUSED,
            code=entry.code,
            message=entry.message,
        )

    def _refused(self, unit: Unit, tag: str | None, plan: TagPlan) -> TagResult:
        """The result of a tag that is not to be written, by its plan."""
        return self._result(unit, tag, Outcome.REFUSED, code=plan.code, message=plan.message)

    def _failed_by(self, unit: Unit, tags: Sequence[str | None], error: LayoutliftError) -> list[TagResult]:
        return self._failed(unit, tags, error.code, str(error), refused=isinstance(error, _REFUSALS))

    def _failed(
        self, unit: Unit, tags: Sequence[str | None], code: str, message: str, *, refused: bool = False
    ) -> list[TagResult]:
        outcome = Outcome.REFUSED if refused else Outcome.FAILED
        return [self._result(unit, tag, outcome, code=code, message=message) for tag in tags or (None,)]

    def _result(
        self,
        unit: Unit,
        tag: str | None,
        outcome: Outcome,
        *,
        verified: Depth | None = None,
        referrers: int = 0,
        at_target: bool = True,
        code: str | None = None,
        message: str | None = None,
    ) -> TagResult:
        reference = f":{tag}" if tag is not None else f"@{unit.descriptor.digest}"
        return TagResult(
            repository=self.inventory.path,
            tag=tag,
            digest=unit.descriptor.digest,
            media_type=unit.descriptor.media_type,
            target=f"{self._place}{reference}" if at_target and self._place is not None else None,
            outcome=outcome,
            verified=verified,
            referrers=referrers,
            code=code,
            message=message,
        )


class WrappedWork(RepositoryWork):
    """Does what `work` does, for those who add something to it."""

    def __init__(self, work: RepositoryWork) -> None:
        super().__init__(work.inventory, None)
        self.asks_target = work.asks_target
        self._work = work

    def _execute(self, unit: Unit) -> list[TagResult]:
        return self._work.execute(unit)

    def skip(self, unit: Unit, error: LayoutliftError) -> list[TagResult]:
        """See `RepositoryWork.skip`."""
        return self._work.skip(unit, error)

    def refuse(self, entry: RefusedEntry) -> TagResult:
        """See `RepositoryWork.refuse`."""
        return self._work.refuse(entry)

    def found(self) -> list[Finding]:
        """See `RepositoryWork.found`."""
        return self._work.found()

    def finish(self) -> list[Finding]:
        """See `RepositoryWork.finish`."""
        return self._work.finish()
