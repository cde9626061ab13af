"""When the manifests of an index were made, as its writer noted it beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING

from tasks.operations.choosing.ages import credible_time, noted_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest

CREATED = "org.opencontainers.image.created"


@dataclass(slots=True)
class NotedTimes:
    """The times of one index: of `v2,latest` that are pushed together, ORAS notes it on one."""

    _created: dict[Digest, float] = field(default_factory=dict)

    def note(self, entry: Descriptor) -> None:
        """Keep the earliest time that is noted of a manifest; what is no time, or one that says nothing, is none."""
        noted = entry.annotations.get(CREATED)
        when = None if noted is None else noted_time(noted)
        if when is not None:
            self._created[entry.digest] = min(when, self._created.get(entry.digest, when))

    def oldest_first(self, tags: Mapping[str, Descriptor]) -> list[str]:
        """Tags by the time of their content; oras-go writes its index in no order of its own."""
        return sorted(tags, key=lambda tag: self._created.get(tags[tag].digest, 0.0))

    def times(self) -> dict[Digest, float]:
        """When manifests were made, where what is noted can be true."""
        now = time()
        return {digest: when for digest, when in self._created.items() if credible_time(when, now) is not None}

    def forget(self) -> None:
        """Give back the memory."""
        self._created.clear()
