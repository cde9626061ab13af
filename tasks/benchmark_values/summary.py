"""Several measurements of one thing as one value, and whether they agree well enough to be believed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tasks.benchmark_values.facts import Measurement, Phase

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

    @classmethod
    def of(cls, key: Key, group: Sequence[Measurement]) -> Self:
        """Sum measurements up, of which there is one at least."""
        walls = [each.cost.wall for each in group]
        middle = median(walls)
        return cls(
            key=key,
            total=group[0].total,
            is_multi=group[0].count > 1,
            count=len(group),
            median=middle,
            minimum=min(walls),
            p95=nearest_rank(walls, 0.95),
            spread=(max(walls) - min(walls)) / max(middle, 1e-9),
            user=median(each.cost.user for each in group),
            system=median(each.cost.system for each in group),
            first_byte=_median_of(group, lambda each: each.cost.first_byte),
            fuse_cpu=_median_of(group, _fuse_cpu),
            fuse_peak=_median_of(group, lambda each: each.cost.fuse_peak),
            requests=_median_of(group, _requests),
            sent=_median_of(group, lambda each: each.cost.s3_sent),
        )

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


def summarize(measurements: Iterable[Measurement]) -> tuple[Summary, ...]:
    """A summary for each path, case and phase, in the order of their first measurement."""
    groups: dict[Key, list[Measurement]] = {}
    for each in measurements:
        groups.setdefault(Key(each.path, each.case, each.phase), []).append(each)
    return tuple(Summary.of(key, group) for key, group in groups.items())


def nearest_rank(values: Sequence[float], part: float) -> float:
    """The smallest value that at least `part` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def _median_of(group: Sequence[Measurement], what: Callable[[Measurement], float | None]) -> float | None:
    seen = [value for each in group if (value := what(each)) is not None]
    return median(seen) if seen else None


def _fuse_cpu(each: Measurement) -> float | None:
    cost = each.cost
    return None if cost.fuse_user is None or cost.fuse_system is None else cost.fuse_user + cost.fuse_system


def _requests(each: Measurement) -> float | None:
    return None if each.cost.s3_requests is None else sum(each.cost.s3_requests.values())
