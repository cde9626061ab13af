"""How planning has several things done at once, whatever does them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_Item = TypeVar("_Item")
_Value = TypeVar("_Value")


class MapConcurrently(Protocol):
    """Like `map`, several items at a time; results are in the order of the items, the first error is raised."""

    def __call__(self, act: Callable[[_Item], _Value], items: Sequence[_Item], /) -> Iterable[_Value]:
        """`act` on each item."""
        ...
