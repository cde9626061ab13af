"""Runs parts of one piece of work beside each other as long as workers of the run are idle."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from tasks.operations.work.concurrency import CallersPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_Item = TypeVar("_Item")
_Value = TypeVar("_Value")


class SpareHands:
    """A fixed number of hands: whoever works holds one, and may have parts done by those left over.

    What a part logs belongs to the caller's flow, whoever does it.

    A part that finds no free hand is done by the caller itself, so nothing ever waits for a hand while it
    holds one: no deadlock, no more than `hands` at work, and none idle as long as there are parts.
    """

    def __init__(self, hands: int) -> None:
        self._free = threading.Semaphore(hands)
        self._helpers = CallersPool(max_workers=hands, thread_name_prefix="hand")

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold one hand; waits for it."""
        with self._free:
            yield

    def map(self, act: Callable[[_Item], _Value], items: Sequence[_Item]) -> list[_Value]:
        """`act` on each item, in order of the items; the first error is raised after all have ended."""
        helped: dict[int, Future[_Value]] = {}
        results: list[_Value | None] = [None] * len(items)
        failure: BaseException | None = None
        for place, item in enumerate(items):
            last = place == len(items) - 1
            if failure is None and not last and (begun := self._begun(act, item)) is not None:
                helped[place] = begun
            elif failure is None:
                try:
                    results[place] = act(item)
                except Exception as raised:  # noqa: BLE001 - raised below, when the helpers have ended too
                    failure = raised
        for place, future in helped.items():
            error = future.exception()
            failure = failure or error
            if error is None:
                results[place] = future.result()
        if failure is not None:
            raise failure
        return results  # type: ignore[return-value]  # every place was filled, or an error raised

    def close(self) -> None:
        """Let the helpers go, after what they do now."""
        self._helpers.shutdown(wait=True)

    def _begun(self, act: Callable[[_Item], _Value], item: _Item) -> Future[_Value] | None:
        """What a free hand makes of an item; None where there is no hand free."""
        if not self._free.acquire(blocking=False):
            return None
        future = Future[_Value]()
        try:
            self._helpers.submit(self._help, future, act, item)
        except RuntimeError:  # the system allows no further thread just now; the pool has kept the item all the same
            if future.cancel():
                self._free.release()
                return None
        return future

    def _help(self, future: Future[_Value], act: Callable[[_Item], _Value], item: _Item) -> None:
        if not future.set_running_or_notify_cancel():
            return  # the caller does it
        try:
            value = act(item)
        except BaseException as error:  # noqa: BLE001 - raised to the caller
            self._free.release()
            future.set_exception(error)
        else:
            self._free.release()
            future.set_result(value)
