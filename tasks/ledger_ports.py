"""What operations ask of a ledger, which keeps what earlier runs did at the target; see `tasks.ports`.

It is a memory, never a proof: who loses it loses time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.oci.descriptor import Descriptor


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What a run wrote under a tag: digest, the depth at which it was verified, how many referrers it has.

    `referrers_mark` is a checksum of 32 bits that says which they were at the source, 0 where nobody noted it.
    `origin` is the layout's path where the repository's name does not tell it. What was `found` equal at the target
    was not brought by any run.
    """

    digest: str
    verified: str | None = None
    referrers: int = 0
    origin: str = ""
    found: bool = False
    referrers_mark: int = 0


@dataclass(frozen=True, slots=True)
class LayoutNote:
    """Where a layout of the source went, and the mark of its index when all of it was there; empty otherwise.

    `settings` is the mark of the options under which that was so.
    """

    repository: str
    etag: str
    settings: str


@dataclass(frozen=True, slots=True)
class LedgerPart:
    """What of a ledger is about some layouts of the source, by path, and the repositories that they go to."""

    layouts: frozenset[str]
    repositories: frozenset[str]


class Ledger(Protocol):
    """What is known of tags and layouts.

    Whatever notes or forgets something raises `StateError` where the ledger can't be written.
    """

    def entry(self, repository: str, tag: str) -> LedgerEntry | None:
        """What was last noted of a tag, None where nothing was."""
        ...

    def origin(self, repository: str, tag: str) -> str | None:
        """The path of the layout that a tag was noted from, None where nothing was."""
        ...

    def was_started(self, repository: str) -> bool:
        """Whether an earlier run may have sent something into the repository."""
        ...

    def note_started(self, repository: str) -> None:
        """Note that something may be sent into the repository from now on."""
        ...

    def note_coming(self, repository: str, tag: str, digest: str, *, layout: str) -> None:
        """Note what is about to be brought to a tag, for the run after one that is killed."""
        ...

    def may_have_brought(self, repository: str, tag: str, digest: str, *, layout: str) -> bool:
        """Whether an earlier run was about to bring this from that layout, and did not live to note the end."""
        ...

    def is_coming(self, repository: str, tag: str) -> bool:
        """Whether an earlier run was about to bring something to a tag, and did not live to note the end."""
        ...

    def note_at_risk(self, repository: str, manifest: Descriptor) -> None:
        """Note a manifest that the target may let go with its tag, which is moved next."""
        ...

    def note_kept(self, repository: str, digest: str) -> None:
        """Note that a manifest that was at risk is at the target."""
        ...

    def at_risk(self, repository: str) -> list[Descriptor]:
        """The manifests that were noted as at risk, and not as kept."""
        ...

    def note_tag(
        self,
        repository: str,
        tag: str,
        digest: str,
        verified: str | None,
        referrers: int,
        *,
        layout: str,
        found: bool = False,
        referrers_mark: int = 0,
    ) -> None:
        """Note a tag that the target has as the layout of that path does, brought or only `found` there.

        Raises:
            InvalidDigestError: `digest` is none.
        """
        ...

    def tags_of(self, repository: str, layout: str | None = None) -> Mapping[str, str]:
        """The digests that were written last to tags that earlier runs noted, by tag; of one layout, or of all."""
        ...

    def layout(self, path: str) -> LayoutNote | None:
        """What was last noted of a layout of the source, None where nothing was."""
        ...

    def note_layout(self, path: str, repository: str, etag: str, settings: str) -> None:
        """Note that everything selected of a layout is at the target, or with an empty `etag` that it is not."""
        ...

    def layouts(self) -> Iterable[str]:
        """All layouts that were ever migrated, by path."""
        ...

    def brought_to(self, repository: str, layout: str) -> Mapping[str, str]:
        """Those of `tags_of` a layout that runs brought, and did not only find there."""
        ...

    def forget_tag(self, repository: str, tag: str) -> None:
        """Note that a tag is not at the target any more."""
        ...

    def forget_layout(self, path: str) -> None:
        """Note that a layout is gone from both sides."""
        ...
