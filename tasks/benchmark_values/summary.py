"""Several measurements of one thing as one value, and whether they agree well enough to be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tasks.benchmark_values.facts import Phase

NOISY_SPREAD = 0.25
"""A spread, as a part of the median, above which a result is called noisy."""
FEWEST = 3
"""How many measurements can agree by more than chance; two are called noisy, and one is only called one."""


class Key(NamedTuple):
    """What is summed up together."""

    path: str
    case: str
    phase: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Several measurements of one thing; times in seconds, the rate in bytes a second."""

    key: Key
    total: int
    is_multi: bool
    count: int
    median: float
    minimum: float
    p95: float
    """By the nearest rank: of fewer than twenty, the largest."""
    spread: float
    """Largest minus smallest, as a part of the median."""
    user: float
    system: float
    first_byte: float | None
    fuse_cpu: float | None
    fuse_peak: float | None
    requests: float | None
    sent: float | None

    @property
    def rate(self) -> float:
        """Bytes of content a second, by the median."""
        return self.total / max(self.median, 1e-9)

    @property
    def best(self) -> float:
        """Bytes of content a second, by the fastest."""
        return self.total / max(self.minimum, 1e-9)

    @property
    def worst(self) -> float:
        """Bytes of content a second, by the slowest."""
        return self.total / max(self.minimum + self.spread * self.median, 1e-9)

    @property
    def is_noisy(self) -> bool:
        """Whether the measurements differ so much, or are so few, that the median says little."""
        return self.count > 1 and (self.count < FEWEST or self.spread > NOISY_SPREAD)
