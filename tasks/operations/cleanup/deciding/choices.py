"""What is wanted of each entry, by whom: a policy, or somebody who names one thing to delete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tasks.operations.choosing.ages import credible_time
from tasks.operations.choosing.tag_order import DatedTag, OrderBy
from tasks.operations.cleanup.deciding.policy import Referrers
from tasks.operations.cleanup.deciding.retention import Verdict, decide_tags, human_duration, protection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.oci.digest import Digest
    from tasks.operations.cleanup.deciding.policy import RepositoryPolicy
    from tasks.operations.cleanup.layout.layout_view import Entry

NOT_NAMED = "it was not named"
"""Why a tag stays where one thing is to go."""


class Choice(Protocol):
    """Decides about the entries of one repository, each looked at by itself; what they need is added to that."""

    @property
    def order_by(self) -> OrderBy:
        """What makes a tag new."""
        ...

    @property
    def keeps_referrers(self) -> bool:
        """Whether referrers stay without their subject."""
        ...

    @property
    def drops_empty(self) -> bool:
        """Whether a layout with nothing in it goes as a whole."""
        ...

    def tags(self, tags: Sequence[DatedTag]) -> Mapping[str, Verdict]:
        """The verdict on each tag that is no referrer's."""
        ...

    def untagged(self, entry: Entry, since: float | None) -> Verdict:
        """On a manifest without a tag that belongs to nothing else, and is known to be so since then."""
        ...

    def orphan(self, entry: Entry, since: float | None, *, is_among_images: bool) -> Verdict:
        """On a referrer whose subject the layout is known not to have since then, be there images or none."""
        ...

    def demands(self, entry: Entry) -> str | None:
        """Why this very entry has to go, whatever it refers to; None where nobody asked for that."""
        ...

    def protects(self, entry: Entry) -> str | None:
        """Why this very entry has to stay, whatever it refers to; None where nobody asked for that."""
        ...

    def goes_by_tag(self, entry: Entry) -> bool:
        """Whether what is decided depends on which content has the tag of this very entry."""
        ...


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """What a policy says, at the time `now`."""

    policy: RepositoryPolicy
    protected: frozenset[Digest]
    now: float

    @property
    def order_by(self) -> OrderBy:
        """See `Choice.order_by`."""
        return self.policy.order_by

    @property
    def keeps_referrers(self) -> bool:
        """See `Choice.keeps_referrers`."""
        return self.policy.referrers is Referrers.KEEP

    @property
    def drops_empty(self) -> bool:
        """See `Choice.drops_empty`."""
        return self.policy.drop_empty_layouts

    def tags(self, tags: Sequence[DatedTag]) -> Mapping[str, Verdict]:
        """See `Choice.tags`."""
        return decide_tags(tags, self.policy, self.now, self.protected)

    def untagged(self, entry: Entry, since: float | None) -> Verdict:  # noqa: ARG002 - its time says all
        """See `Choice.untagged`."""
        return self._after(since, self.policy.untagged_after, "it has no tag")

    def orphan(
        self,
        entry: Entry,  # noqa: ARG002 - its time says all
        since: float | None,
        *,
        is_among_images: bool,
    ) -> Verdict:
        """See `Choice.orphan`."""
        if not is_among_images and self.policy.orphans_after is not None:
            return Verdict("its subject is not there, nor any image with a tag: it may be of what lies elsewhere")
        return self._after(since, self.policy.orphans_after, "its subject is not there")

    def demands(self, entry: Entry) -> str | None:  # noqa: ARG002 - a policy asks for nothing by name
        """See `Choice.demands`."""
        return None

    def protects(self, entry: Entry) -> str | None:
        """See `Choice.protects`."""
        return protection(entry.tag, entry.digest, self.policy, self.protected)

    def goes_by_tag(self, entry: Entry) -> bool:  # noqa: ARG002 - what has none goes by that
        """See `Choice.goes_by_tag`."""
        return True

    def _after(self, since: float | None, after: float | None, what: str) -> Verdict:
        if after is None:
            return Verdict(f"{what}; the policy keeps such")
        known = credible_time(since, self.now)
        if known is None:
            return Verdict(f"{what}, and its age is not known")
        if self.now - known < after:
            return Verdict(f"{what}, but is not known to be so for {human_duration(after)}")
        return Verdict(f"{what}, for {human_duration(after)}", keep=False)


@dataclass(frozen=True, slots=True)
class DeleteChoice:
    """One thing that somebody wants gone: a tag, a digest with all its tags, or without either all there is."""

    tag: str | None = None
    digest: Digest | None = None
    order_by: OrderBy = OrderBy.NAME
    keeps_referrers: bool = False

    @property
    def drops_empty(self) -> bool:
        """See `Choice.drops_empty`."""
        return self.tag is None and self.digest is None

    def tags(self, tags: Sequence[DatedTag]) -> Mapping[str, Verdict]:
        """See `Choice.tags`."""
        return {tag.tag: self._verdict(is_meant=self._means(tag.tag, tag.digest)) for tag in tags}

    def untagged(self, entry: Entry, since: float | None) -> Verdict:  # noqa: ARG002 - ages play no part
        """See `Choice.untagged`."""
        return self._verdict(is_meant=self._means(None, entry.digest))

    def orphan(
        self,
        entry: Entry,
        since: float | None,
        *,
        is_among_images: bool,  # noqa: ARG002 - what was named goes wherever it lies
    ) -> Verdict:
        """See `Choice.orphan`."""
        return self.untagged(entry, since)

    def demands(self, entry: Entry) -> str | None:
        """See `Choice.demands`."""
        is_meant = self._means(entry.tag, entry.digest) or (self.tag and entry.ref_name == self.tag)
        return "it was named" if is_meant else None

    def protects(self, entry: Entry) -> str | None:  # noqa: ARG002 - who names one thing has said all
        """See `Choice.protects`."""
        return None

    def goes_by_tag(self, entry: Entry) -> bool:
        """See `Choice.goes_by_tag`."""
        return self.tag is not None and self.demands(entry) is not None

    def _means(self, tag: str | None, digest: Digest) -> bool:
        if self.drops_empty:
            return True
        return digest == self.digest if self.tag is None else tag == self.tag

    @staticmethod
    def _verdict(*, is_meant: bool) -> Verdict:
        return Verdict("it was named", keep=False) if is_meant else Verdict(NOT_NAMED)
