"""What must be at a registry before a push: looked for by plans, made by migrations that were told to."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from tasks.oci.codes import Refused, Remark
from tasks.operations.reports.shown_text import printable
from tasks.ports import Finding, Refusal
from tasks.registry_ports import MADE_BY_A_PUSH, NewRepositories

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.oci.registry_profiles import RegistryProfile
    from tasks.operations.copying.tag_planner import TagPlanner
    from tasks.registry_ports import RepositoryKeeper, RepositoryState


logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Preparation:
    """Prepares repositories through a registry's keeper, where it has one; `new` None makes none."""

    keeper: RepositoryKeeper | None = None
    new: NewRepositories | None = None
    _first_warning: Lock = field(default_factory=Lock, repr=False, compare=False)
    """Held from the first warning on, so that there is no second."""

    def refusal(self, repository: str) -> Refusal | None:
        """Why a push to the repository would fail.

        Raises:
            RegistryError: the registry does not say.
        """
        if self.new is not None:
            return None
        state = self.state(repository)
        if state.exists or state.comes_by_push:
            return None
        how = "a push does not make it there (see --create-repositories)"
        return Refusal(Refused.REPOSITORY_MISSING, f"the target does not have {repository}, and {how}")

    def announce(self, path: str, repository: str) -> list[Finding]:
        """What a migration, or the first push, would make for the layout at `path`."""
        state = self.state(repository)
        if state.exists or not (self.new is not None or state.comes_by_push):
            return []
        how = "" if self.new is not None else " by the push"
        return [Finding(path, Remark.TO_CREATE, f"{repository} would be made at the target{how}")]

    def prepare(self, repository: str) -> None:
        """Make what is missing.

        Raises:
            RegistryError: the registry refuses.
        """
        if self.keeper is not None and self.new is not None and not self.state(repository).exists:
            self.keeper.create(repository, self.new)

    def warn_once(self, told: Sequence[Finding]) -> None:
        """Log the first thing of a run that somebody may want to know before a push, and not in the report alone."""
        if told and self._first_warning.acquire(blocking=False):
            first = told[0]
            also = "this may be so of others, too: the report names each"
            logger.warning("%s; %s (%s)", printable(first.message), also, first.code)

    def state(self, repository: str) -> RepositoryState:
        """What the registry says of a repository; where it has no keeper, a push makes it, and moves its tags.

        Raises:
            RegistryError: the registry does not say.
        """
        return MADE_BY_A_PUSH if self.keeper is None else self.keeper.state(repository)


def new_may_be_public(path: str, repository: str, planner: TagPlanner, profile: RegistryProfile) -> Iterator[Finding]:
    """What is said where the push may show to everybody what is in the layout at `path`."""
    if profile.new_are_public and planner.is_new:
        message = (
            f"{repository} has no tags there yet: if {profile.title} does not have it, the push makes it, "
            "and everybody may read it, unless its namespace has new ones private"
        )
        yield Finding(path, Remark.NEW_MAY_BE_PUBLIC, message)
