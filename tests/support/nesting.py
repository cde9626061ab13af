"""Lists within lists, about as deep as JSON can be read."""

import json
from bisect import bisect_left
from collections.abc import Iterator

_MARGIN = 40
"""Levels, more than there are calls between a test and what reads JSON for it."""


def lists_about_as_deep_as_can_be_read() -> Iterator[str]:
    """One of each depth; called where they are read, as calls may count as levels."""
    most = bisect_left(range(1_000_000), True, key=_is_too_deep)
    for depth in range(max(0, most - _MARGIN), most + _MARGIN):
        yield "[" * depth + "]" * depth


def _is_too_deep(depth: int) -> bool:
    try:
        json.loads("[" * depth + "]" * depth)
    except RecursionError:
        return True
    return False
