"""What all workers of a migration share: where they read and write, and what they tell each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.operations.copying.claims import Claims
from tasks.operations.referrers.referrer_lists import ReferrerLists
from tasks.operations.source.split_source import with_all_layouts
from tasks.operations.work.content_proof import AS_IT_IS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.operations.reports.results import Traffic
    from tasks.operations.work.content_proof import ContentProof
    from tasks.operations.work.spare_hands import SpareHands
    from tasks.ports import BlobContent, LayoutReader, Target


@dataclass(frozen=True, slots=True)
class CopyTools:
    """See the module; `paced` counts content as it is read, and holds it back to the run's pace.

    `note_traffic` is told of each blob that is sent, mounted, or there already.
    What is read back at the target is so by `proof`, and counts as nothing that is brought.
    A shard's `source` knows the repositories that the shard was told of; `whole_source` knows the others, too.
    """

    source: LayoutReader
    target: Target
    hands: SpareHands
    paced: Callable[[BlobContent], BlobContent]
    note_traffic: Callable[[Traffic], None]
    proof: ContentProof = AS_IT_IS
    blobs: Claims = field(default_factory=Claims)
    manifests: Claims = field(default_factory=Claims)
    lists: ReferrerLists = field(init=False)
    whole_source: LayoutReader = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lists", ReferrerLists(self.target))
        object.__setattr__(self, "whole_source", with_all_layouts(self.source))
