"""What the ledger says of the tags of one repository, and what a migration notes there of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.operations.reports.results import Depth

if TYPE_CHECKING:
    from tasks.ledger_ports import Ledger
    from tasks.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class NotedTags:
    """Tags of `repository` that come from the layout at `layout`; proofs count from `depth` on."""

    ledger: Ledger
    repository: str
    layout: str
    depth: Depth

    def is_ours(self, tag: str, digest: Digest) -> bool:
        """Whether an earlier run wrote this very content under the tag."""
        noted = self.ledger.entry(self.repository, tag)
        return noted is not None and noted.digest == digest

    def is_proved(self, tag: str, digest: Digest, referrers: int) -> bool:
        """Whether a run proved, as deep as this one is to, that the tag is there with so many referrers."""
        noted = self.ledger.entry(self.repository, tag)
        if noted is None or noted.digest != digest or noted.verified is None:
            return False
        return Depth(noted.verified).includes(self.depth) and noted.referrers == referrers

    def note_started(self) -> None:
        """Note that something may be sent into the repository from now on; see `Ledger`."""
        self.ledger.note_started(self.repository)

    def note(self, tag: str, digest: Digest, verified: Depth | None, referrers: int, *, found: bool = False) -> None:
        """Note a tag that was brought, or only `found` there; without a depth it is ours, and not proved."""
        self.ledger.note_tag(self.repository, tag, digest, verified, referrers, layout=self.layout, found=found)
