"""What all workers of a migration share: where they read and write, and what they tell each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.operations.copying.claims import Claims
from tasks.operations.referrers.referrer_lists import ReferrerLists
from tasks.operations.source.split_source import with_all_layouts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.operations.work.spare_hands import SpareHands
    from tasks.ports import BlobContent, LayoutReader, Target


@dataclass(frozen=True, slots=True)
class CopyTools:
    """See the module; `paced` counts content as it is read, and holds it back to the run's pace.

    A part of a run may be asked of `others` than the repositories that its `source` is limited to.
    """

    source: LayoutReader
    target: Target
    hands: SpareHands
    paced: Callable[[BlobContent], BlobContent]
    blobs: Claims = field(default_factory=Claims)
    manifests: Claims = field(default_factory=Claims)
    lists: ReferrerLists = field(init=False)
    others: LayoutReader = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lists", ReferrerLists(self.target))
        object.__setattr__(self, "others", with_all_layouts(self.source))
