"""When the manifests of an index were made, as its writer noted it beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING

from tasks.operations.choosing.ages import tag_time
from tasks.operations.choosing.tag_order import OrderBy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest

CREATED = "org.opencontainers.image.created"


@dataclass(slots=True)
class NotedTimes:
    """The times of one index: of `v2,latest` that are pushed together, ORAS notes it on one."""

    _created: dict[Digest, str] = field(default_factory=dict)

    def note(self, entry: Descriptor) -> None:
        """Keep the earliest time that is noted of a manifest."""
        if (created := entry.annotations.get(CREATED)) is not None:
            self._created[entry.digest] = min(created, self._created.get(entry.digest, created))

    def oldest_first(self, tags: Mapping[str, Descriptor]) -> list[str]:
        """Tags by the time of their content; oras-go writes its index in no order of its own.

        Times are compared as text, which is right for those in UTC (RFC 3339), as writers give them.
        """
        return sorted(tags, key=lambda tag: self._created.get(tags[tag].digest, ""))

    def times(self) -> dict[Digest, float]:
        """When manifests were made, where what is noted can be a time."""
        now = time()
        times = {digest: tag_time(OrderBy.CREATED, note, None, now) for digest, note in self._created.items()}
        return {digest: when for digest, when in times.items() if when is not None}

    def forget(self) -> None:
        """Give back the memory."""
        self._created.clear()
