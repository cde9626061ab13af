"""Splits a run into shards, each with whole repositories: decided once, by the run that all of them are part of.

What repositories have to do with each other (names that collide at the target, layouts that vanished) is settled
before, over all of them; a shard is told its repositories and looks at no other.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from tasks.ports import Shard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.operations.running.source_survey import Survey

MOST_BYTES = 250_000
"""Of the paths of one shard: they are parameters of a flow run, and Prefect takes 512 KiB of them."""
OVERHEAD = 3
"""What a repository costs besides its tags, in tags: opening it, listing its tags at the target."""

_PLAIN = "/ !#$&'()*+,;=:@[]~"


def shards_of(survey: Survey, run: str, wanted: int) -> list[Shard]:
    """The shards of a run, each with what it has to know of the whole one."""
    planned = plan_shards(survey.sizes, wanted, layouts=survey.layouts)
    listed, ages = survey.selection.listed, survey.selection.ages
    return [
        Shard(
            run,
            number,
            paths,
            of=len(planned),
            layouts=_layouts_of(paths, survey.layouts),
            listed=None if listed is None else listed.mark_of(paths),
            moment=None if ages is None else ages.now,
        )
        for number, paths in enumerate(planned, start=1)
    ]


def plan_shards(
    sizes: Mapping[str, int], wanted: int, most_bytes: int = MOST_BYTES, *, layouts: Mapping[str, str] | None = None
) -> tuple[tuple[str, ...], ...]:
    """Split repositories, given with their numbers of entries, into `wanted` shards of nearly equal work.

    The largest goes first, always to the shard with the least work, so no shard has more than the mean and one
    repository. Fewer shards are made where there are fewer repositories, and more where the paths of one, and of the
    `layouts` that they lie in where they do not say it, would be longer than `most_bytes`. The order of `sizes` does
    not matter.
    """
    layouts = layouts or {}
    open_shards = [(0, number) for number in range(min(wanted, len(sizes)))]
    heapify(open_shards)
    shards: list[list[str]] = [[] for _ in open_shards]
    room = [most_bytes] * len(shards)
    for path, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        length = _length(path) + (_length(layouts[path]) if path in layouts else 0)
        while open_shards and room[open_shards[0][1]] < length and shards[open_shards[0][1]]:
            heappop(open_shards)
        if not open_shards:
            heappush(open_shards, (0, len(shards)))
            shards.append([])
            room.append(most_bytes)
        work, number = heappop(open_shards)
        shards[number].append(path)
        room[number] -= length
        heappush(open_shards, (work + size + OVERHEAD, number))
    return tuple(tuple(shard) for shard in shards)


def _layouts_of(repositories: Iterable[str], layouts: Mapping[str, str]) -> tuple[str, ...]:
    """The layouts of some of them, each once; nothing where their paths say it."""
    return tuple(dict.fromkeys(layouts[each] for each in repositories if each in layouts))


def quoted(paths: Iterable[str]) -> list[str]:
    """Paths as ASCII, because a directory's name may hold bytes that are no text; usual ones stay as they are."""
    return [quote(path, safe=_PLAIN, errors="surrogateescape") for path in paths]


def unquoted(paths: Iterable[str]) -> tuple[str, ...]:
    """The paths that `quoted` was called with."""
    return tuple(unquote(path, errors="surrogateescape") for path in paths)


def _length(path: str) -> int:
    """What a path takes in a flow run's parameters."""
    return 4 + len(quote(path, safe=_PLAIN, errors="surrogateescape"))
