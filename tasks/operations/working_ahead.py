"""Work in a few threads, whose results are taken in order; little more is begun than is taken."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_Item = TypeVar("_Item")
_Value = TypeVar("_Value")


def map_ahead(act: Callable[[_Item], _Value], items: Iterable[_Item], workers: int, *, name: str) -> Iterator[_Value]:
    """`act` on each item, in order; as many items are ahead of whoever asks as there are workers.

    What has not begun when an item or `act` raises, or nobody asks any more, is not begun.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix=name) as pool:
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
