"""Results come in order, and little is begun that nobody asks for."""

import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from tasks.operations.work.concurrency import map_ahead


def test_results_are_in_the_order_of_the_items() -> None:
    second = threading.Event()

    def act(number: int) -> int:
        if number == 1:
            second.set()
        assert second.wait(10)
        return number

    assert list(map_ahead(act, range(20), 2, name="test")) == list(range(20))


def test_no_more_items_are_taken_than_there_are_workers_and_one() -> None:
    taken: list[int] = []
    results = map_ahead(str, (taken.append(n) or n for n in range(20)), 3, name="test")
    assert next(results) == "0"
    results.close()
    assert taken == [0, 1, 2, 3]


def test_what_an_item_raises_ends_the_work() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        list(map_ahead(str, broken(), 1, name="test"))


def test_what_is_done_beside_each_other_is_done_in_the_caller_s_context() -> None:
    of_run: ContextVar[str | None] = ContextVar("of_run", default=None)
    of_run.set("this run")
    assert set(map_ahead(lambda _: of_run.get(), range(5), 2, name="test")) == {"this run"}
