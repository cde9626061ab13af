"""What is to become of each tag of one repository, from what the target has and what earlier runs noted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tasks.oci.codes import Refused
from tasks.oci.errors import BackupRefusedError, ImmutableTagError, RegistryUnavailableError
from tasks.oci.reference import is_tag, parse_referrers_tag
from tasks.operations.copying.presence import BROKEN
from tasks.operations.reports.results import TagEntry
from tasks.operations.work.freshness import is_fresh
from tasks.operations.work.planning import OnConflict, TagAction, TagPlan, plan_tag
from tasks.uptime import uptime

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tasks.oci.digest import Digest
    from tasks.operations.copying.noted_tags import NotedTags
    from tasks.operations.copying.other_layouts import OtherLayouts
    from tasks.operations.work.repository_work import Unit
    from tasks.ports import ManifestResolver, Target
    from tasks.registry_ports import RepositoryState

TAGGED_BY = "sha256"
"""The algorithm of the digest under which every registry known keeps a manifest that is pushed by tag."""


class ListedTags(NamedTuple):
    """The tags that the target listed at a moment of `uptime`; None where it did not list them."""

    names: frozenset[str] | None = None
    as_of: float = 0.0

    def lacks(self, tag: str) -> bool:
        """Whether the repository surely did not have this tag then."""
        return self.names is not None and tag not in self.names


UNLISTED = ListedTags()
"""Any tag may be there: each is asked for."""


def listed_tags(target: Target, noted: NotedTags) -> ListedTags:
    """Ask the target which tags a repository has, unless an earlier run was there, when most of them exist anyway.

    Its list may be older than its answer, as its profile says.

    Raises:
        LayoutliftError: the target does not say.
    """
    if noted.was_started:
        return UNLISTED
    # before the question: a long list comes in pages, which may have to wait
    as_of = uptime() - target.profile.lists_lag
    return ListedTags(target.list_tags(noted.repository), as_of)


class TagPlanner:
    """Plans tags of one repository from what was listed of it, and what the target says of each tag."""

    def __init__(
        self,
        target: ManifestResolver,
        noted: NotedTags,
        others: OtherLayouts,
        *,
        listed: ListedTags,
        state: RepositoryState,
    ) -> None:
        self._target = target
        self._noted = noted
        self._repository = noted.repository
        self._policy = noted.policy
        self._others = others
        self._listed = listed
        self._state = state

    @property
    def is_new(self) -> bool:
        """Whether the repository surely holds nothing yet."""
        return self._listed.names == frozenset() and not self._noted.was_started

    def plans(self, unit: Unit) -> dict[str, TagPlan]:
        """What is to become of each tag of a unit."""
        algorithm = unit.descriptor.digest.algorithm
        if algorithm != TAGGED_BY:
            message = f"index.json names it by {algorithm}, and registries name what has a tag by {TAGGED_BY}"
            return dict.fromkeys(unit.tags, TagPlan(TagAction.REFUSE, Refused.UNSUPPORTED_DIGEST, message))
        return {tag: self._plan(unit, tag) for tag in unit.tags}

    def ask_untagged(self, unit: Unit) -> TagPlan:
        """What is to become of a unit that goes by its digest alone."""
        digest = unit.descriptor.digest
        seen = None if self.is_new else self._target.resolve_manifest(self._repository, digest)
        return TagPlan(TagAction.COPY if seen is None else TagAction.UP_TO_DATE, seen=seen)

    def kept(self, tag: str, plan: TagPlan, own: Collection[str | None]) -> TagPlan:
        """The plan for a tag, given the source's `own`: refused where what it overwrites could not be kept."""
        if plan.action is not TagAction.OVERWRITE or (name := self.backup_of(tag, plan)) is None:
            return plan
        if (wrong := self.wrong_with_backup(name, own, plan.seen)) is None:
            return plan
        message = f"the backup's tag {name} is {wrong}, so {tag} would not be overwritten"
        return TagPlan(TagAction.REFUSE, BackupRefusedError.code, message)

    def backup_of(self, tag: str, plan: TagPlan) -> str | None:
        """Under which tag what is overwritten is to be kept; what an earlier run wrote needs no backup."""
        is_ours = plan.seen is not None and self._noted.is_ours(tag, plan.seen)
        return None if is_ours else self._policy.backup_of(tag)

    def wrong_with_backup(self, name: str, own: Collection[str | None], replaced: Digest | None) -> str | None:
        """Why what is `replaced` can't be kept under a tag, as one of the source's `own`; None where it can."""
        if not is_tag(name):
            return "too long"
        is_free = name not in own and self._target.resolve_manifest(self._repository, name) in {None, replaced}
        return None if is_free else "taken"

    def lacking(self, digests: Iterable[Digest]) -> list[Digest]:
        """Which of these manifests the target does not have."""
        return [each for each in digests if self._target.resolve_manifest(self._repository, each) is None]

    def _plan(self, unit: Unit, tag: str) -> TagPlan:
        if self._listed.lacks(tag):
            return TagPlan(TagAction.COPY, as_of=self._listed.as_of)
        return self._ask(unit, tag)

    def renewed(self, unit: Unit, tag: str, plan: TagPlan) -> TagPlan:
        """The plan for a tag that is written next: made anew where others had the time to write it meanwhile."""
        return plan if is_fresh(plan.as_of) else self._ask(unit, tag)

    def _ask(self, unit: Unit, tag: str) -> TagPlan:
        as_of = uptime()
        present = self._present(tag)
        noted = self._noted.entry(tag)
        ours = noted.digest if noted is not None else None
        owner = None
        if present is not None and present != unit.descriptor.digest:
            owner = self._others.owner(tag) if ours == present else None
            ours = present if self._noted.was_coming(tag, present) else ours
        plan = plan_tag(TagEntry(tag, unit.descriptor), present, None if owner else ours, self._policy)
        if owner is not None and plan.code == Refused.CONFLICT:
            plan = replace(plan, message=f"the target has {present} under this tag from the layout {owner!r}")
        if plan.action is TagAction.OVERWRITE and self._state.holds(tag):
            message = f"the target has {present} under this tag, and does not move it"
            plan = TagPlan(TagAction.REFUSE, ImmutableTagError.code, message)
        return replace(plan, seen=present, as_of=as_of, owner=owner)

    def _present(self, tag: str) -> Digest | None:
        """What the target has; nothing where it can't read that for good, and is to lose it whatever it is.

        What holds referrers is not: see `plan_tag`.
        """
        try:
            return self._target.resolve_manifest(self._repository, tag)
        except RegistryUnavailableError as error:
            is_lost = self._policy.on_conflict is OnConflict.OVERWRITE and self._policy.backup_tag is None
            if error.status != BROKEN or not is_lost or parse_referrers_tag(tag) is not None:
                raise
            return None
