"""What the ledger says of the tags of one repository, and what a migration notes there of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from tasks.operations.reports.results import Depth

if TYPE_CHECKING:
    from collections.abc import Collection

    from tasks.ledger.ledger import Ledger
    from tasks.ledger.ledger_memory import LedgerEntry
    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.operations.work.planning import CopyPolicy


@dataclass(frozen=True, slots=True)
class NotedTags:
    """Tags of `repository`, to which the layout at `layout` goes; `policy` says which proofs count."""

    ledger: Ledger
    repository: str
    layout: str
    policy: CopyPolicy

    @property
    def was_started(self) -> bool:
        """Whether this or an earlier run may have sent something into the repository."""
        return self.ledger.was_started(self.repository)

    def entry(self, tag: str) -> LedgerEntry | None:
        """What was last noted of a tag, None where nothing was."""
        return self.ledger.entry(self.repository, tag)

    def origin(self, tag: str) -> str | None:
        """The path of the layout that a tag was noted from, None where nothing was."""
        return self.ledger.origin(self.repository, tag)

    def was_coming(self, tag: str, digest: Digest) -> bool:
        """Whether an earlier run was about to bring this from the layout, and did not live to note the end."""
        return self.ledger.may_have_brought(self.repository, tag, digest, layout=self.layout)

    def is_ours(self, tag: str, digest: Digest) -> bool:
        """Whether an earlier run wrote this very content under the tag, or was about to and may have been killed."""
        noted = self.entry(tag)
        return (noted is not None and noted.digest == digest) or self.was_coming(tag, digest)

    def is_proved(self, tag: str, digest: Digest, referrers: Collection[Digest]) -> bool:
        """Whether a run proved, as deep as this one is to, that the tag is there with these referrers."""
        return not self.policy.prove_again and self._deepest(tag, digest, referrers) is not None

    def _deepest(self, tag: str, digest: Digest, referrers: Collection[Digest]) -> Depth | None:
        """The depth of that proof."""
        noted = self.entry(tag)
        if noted is None or noted.digest != digest or noted.verified is None:
            return None
        proved, they = Depth(noted.verified), (len(referrers), _mark(referrers))
        is_deep = proved.includes(self.policy.depth)
        return proved if is_deep and (noted.referrers, noted.referrers_mark) == they else None

    def note_started(self) -> None:
        """Note that something may be sent into the repository from now on; see `Ledger`."""
        self.ledger.note_started(self.repository)

    def note_coming(self, tags: Collection[str], digest: Digest) -> None:
        """Note that this is about to be brought under these tags."""
        for tag in tags:
            self.ledger.note_coming(self.repository, tag, digest, layout=self.layout)

    def note_at_risk(self, manifest: Descriptor) -> None:
        """Note a manifest that the target may let go with the tag that is moved next."""
        self.ledger.note_at_risk(self.repository, manifest)

    def note_kept(self, digest: Digest) -> None:
        """Note that a manifest that was at risk is there."""
        self.ledger.note_kept(self.repository, digest)

    def at_risk(self) -> list[Descriptor]:
        """The manifests that were noted as at risk, by any run, and not as kept."""
        return self.ledger.at_risk(self.repository)

    def note_unproved(self, tag: str, digest: Digest, *, found: bool) -> None:
        """Note a tag that was brought, or only `found` there."""
        self.ledger.note_tag(self.repository, tag, digest, None, 0, layout=self.layout, found=found)

    def note(
        self,
        tag: str,
        digest: Digest,
        verified: Depth | None,
        count: int,
        referrers: Collection[Digest],
        *,
        mended: bool = False,
    ) -> None:
        """Note a tag that is there, with so many of the `referrers` that the source has.

        Whether it was brought is known by then. A deeper proof that still holds stays: a run that is less deep
        takes nothing of it back. No deeper one holds of what was `mended`, or may have been.
        """
        if verified is not None and not mended:
            verified = self._deepest(tag, digest, referrers) or verified
        self.ledger.note_tag(
            self.repository,
            tag,
            digest,
            verified,
            count,
            layout=self.layout,
            found=True,
            referrers_mark=_mark(referrers),
        )


def _mark(digests: Collection[Digest]) -> int:
    """Another number for other digests, but once in four thousand million times; 0 for none."""
    return crc32("".join(sorted(digests)).encode())
