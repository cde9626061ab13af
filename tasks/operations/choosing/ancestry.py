"""The folders in which a path lies: looked up, they cost nothing where each compared with each would."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def with_ancestors(path: str) -> Iterator[str]:
    """A path and the folders that lead to it, from the outermost."""
    return accumulate(path.split("/"), "{}/{}".format)
