"""In which order the paths are measured: every round in another one, so that none profits from its place."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tasks.benchmark_values.paths import Origin, Visit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.benchmark_values.cases import Case
    from tasks.benchmark_values.paths import PathSpec

_IN_BUCKETS = frozenset({Origin.PUSHED, Origin.UPLOADED})


def plan_pushes(case: Case, paths: Sequence[PathSpec], shuffle_seed: str) -> list[PathSpec]:
    """In which order a case is pushed; the same seed gives the same order."""
    chance = random.Random(f"{shuffle_seed} {case.label} pushed")  # noqa: S311 - an order, no secret
    return chance.sample(list(paths), k=len(paths))


def plan_visits(case: Case, paths: Sequence[PathSpec], repeats: int, shuffle_seed: str) -> Iterator[Visit]:
    """All visits of a case: `repeats` rounds over all paths, each shuffled; the same seed gives the same order."""
    chance = random.Random(f"{shuffle_seed} {case.label}")  # noqa: S311 - an order, no secret
    for repeat in range(1, repeats + 1):
        for path in chance.sample(list(paths), k=len(paths)):
            yield Visit(path, case, repeat)


def least_space(cases: Sequence[Case], paths: Sequence[PathSpec], *, local: bool) -> int:
    """Bytes of disk that a run needs: the largest case as content, pulled, in a layout and in a mount's cache.

    Where bucket and registry are `local`, too, they hold a copy of it for each path that is pushed through and one
    for the others; twice, because a server gives space back later than it is told to. The registry keeps all cases.
    """
    largest = max(case.total for case in cases)
    origins = [path.origin for path in paths]
    needed = largest * (4 if any(path.is_mount for path in paths) else 3)
    if local:
        needed += 2 * largest * (origins.count(Origin.PUSHED) + (Origin.UPLOADED in origins))
        needed += sum(case.total for case in cases) * (Origin.REGISTRY in origins)
    return needed


def most_traffic(cases: Sequence[Case], paths: Sequence[PathSpec], repeats: int, *, counted: bool) -> tuple[int, int]:
    """Bytes that a run writes into buckets, and those that it reads there at most: a warm pull may ask for less."""
    through_mounts = sum(path.origin is Origin.PUSHED for path in paths)
    uploads = {path.bucket for path in paths if path.origin is Origin.UPLOADED}
    visits = sum(repeats + (counted and path.reads_bucket) for path in paths if path.origin in _IN_BUCKETS)
    total = sum(case.total for case in cases)
    return total * (through_mounts + len(uploads)), total * 2 * visits


def registry_traffic(cases: Sequence[Case], paths: Sequence[PathSpec], repeats: int) -> tuple[int, int]:
    """Bytes that a run writes into a registry, once for all paths that pull it, and those that it reads there."""
    pulling = sum(path.origin is Origin.REGISTRY for path in paths)
    total = sum(case.total for case in cases)
    return total * min(pulling, 1), total * 2 * repeats * pulling
