"""How several things are done at once, with their results in order."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

_Item = TypeVar("_Item")
_Value = TypeVar("_Value")
_Given = ParamSpec("_Given")

READS_AT_ONCE = 8
"""Small files beside each other, where each costs a way to a bucket and back."""
ROUND = 512
"""Items, many times the number of workers: the last ones of a round have few beside them, and the next one waits
behind what others had the pool do meanwhile."""


class MapConcurrently(Protocol):
    """Like `map`, several items at a time; results are in the order of the items, the first error is raised."""

    def __call__(self, act: Callable[[_Item], _Value], items: Sequence[_Item], /) -> Iterable[_Value]:
        """`act` on each item."""
        ...


class CallersPool(ThreadPoolExecutor):
    """A pool that works in the context of whoever asks: what its threads log belongs to the caller's flow."""

    def submit(self, fn: Callable[_Given, _Value], /, *args: _Given.args, **kwargs: _Given.kwargs) -> Future[_Value]:
        """As any pool does; `map` comes here, too."""
        return super().submit(partial(copy_context().run, fn, *args, **kwargs))


def map_in_rounds(
    map_concurrently: MapConcurrently, act: Callable[[_Item], _Value], items: Iterable[_Item]
) -> Iterator[_Value]:
    """`act` on each of items that may be very many: a pool takes two kilobytes for each that waits in it."""
    left = iter(items)
    while some := list(islice(left, ROUND)):
        yield from map_concurrently(act, some)


def map_ahead(
    act: Callable[[_Item], _Value], items: Iterable[_Item], workers: int, *, name: str
) -> Generator[_Value, None, None]:
    """`act` on each item, in order; as many items are ahead of whoever asks as there are workers.

    What has not begun when an item or `act` raises, or nobody asks any more, is not begun.
    """
    with CallersPool(workers, thread_name_prefix=name) as pool:
        ahead: deque[Future[_Value]] = deque()
        try:
            for item in items:
                ahead.append(pool.submit(act, item))
                if len(ahead) > workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
