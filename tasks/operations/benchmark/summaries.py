"""Figures of repeated measurements."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

from tasks.benchmark_values.summary import Key, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tasks.benchmark_values.facts import Measurement


def summarize(measurements: Iterable[Measurement]) -> tuple[Summary, ...]:
    """A summary for each path, case and phase, in the order of their first measurement."""
    groups: dict[Key, list[Measurement]] = {}
    for each in measurements:
        groups.setdefault(Key(each.path, each.case, each.phase), []).append(each)
    return tuple(_summary(key, group) for key, group in groups.items())


def nearest_rank(values: Sequence[float], part: float) -> float:
    """The smallest value that at least `part` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def _summary(key: Key, group: Sequence[Measurement]) -> Summary:
    walls = [each.cost.wall for each in group]
    middle = median(walls)
    return Summary(
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


def _median_of(group: Sequence[Measurement], what: Callable[[Measurement], float | None]) -> float | None:
    seen = [value for each in group if (value := what(each)) is not None]
    return median(seen) if seen else None


def _fuse_cpu(each: Measurement) -> float | None:
    cost = each.cost
    return None if cost.fuse_user is None or cost.fuse_system is None else cost.fuse_user + cost.fuse_system


def _requests(each: Measurement) -> float | None:
    return None if each.cost.s3_requests is None else sum(each.cost.s3_requests.values())
