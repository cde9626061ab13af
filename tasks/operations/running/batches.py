"""Cuts a run into batches, each of which Prefect does as a task: decided from the numbers of entries alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Slice:
    """Part of the work on one repository: its units from `start` up to `stop`, None meaning all that follow."""

    path: str
    start: int = 0
    stop: int | None = None


Batch = tuple[Slice, ...]

MAX_BATCHES = 250
"""Prefect keeps about 19 KB and three events for each task run, and its pages slow down beyond some hundred."""
MIN_BATCH = 50
"""Entries: a task run costs Prefect and its server about 50 ms of CPU, as much as twenty small tags cost us."""


def plan_batches(sizes: Mapping[str, int]) -> tuple[Batch, ...]:
    """Group repositories, given with their numbers of entries, into at most about `MAX_BATCHES` batches.

    Small repositories share a batch, large ones are cut into slices.
    """
    per_batch = max(MIN_BATCH, -(-sum(sizes.values()) // MAX_BATCHES))
    batches: list[Batch] = []
    gathered: list[Slice] = []
    weight = 0
    for path, size in sizes.items():
        if size >= per_batch * 2:
            batches += [(part,) for part in _slices(path, size, per_batch)]
            continue
        gathered.append(Slice(path))
        weight += max(size, 1)
        if weight >= per_batch:
            batches.append(tuple(gathered))
            gathered, weight = [], 0
    if gathered:
        batches.append(tuple(gathered))
    return tuple(batches)


def _slices(path: str, size: int, per_batch: int) -> list[Slice]:
    starts = list(range(0, size, per_batch))
    return [Slice(path, start, None if start == starts[-1] else start + per_batch) for start in starts]
