"""Parts are done by whoever is idle, and belong to whoever asked for them."""

import threading
from contextvars import ContextVar
from itertools import count

import pytest

from tasks.operations.work.spare_hands import SpareHands

of_run: ContextVar[str | None] = ContextVar("of_run", default=None)


def test_what_another_hand_does_is_done_in_the_caller_s_context() -> None:
    """By what is set around the flow, Prefect knows on whose page a warning belongs."""
    hands, both = SpareHands(2), threading.Barrier(2, timeout=10)

    def act(_: int) -> tuple[str, str | None]:
        both.wait()  # so that one of the two is a helper's
        return threading.current_thread().name, of_run.get()

    of_run.set("this run")
    done = hands.map(act, [1, 2])
    hands.close()
    assert len({name for name, _ in done}) == 2
    assert {seen for _, seen in done} == {"this run"}


@pytest.mark.parametrize("allowed", [0, 1])
def test_where_no_thread_can_be_had_each_part_is_done_once_by_who_is_there(
    monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    """As where a system limits threads: what the pool kept all the same is not done by a thread that comes by."""
    hands, last, done, started = SpareHands(4), threading.Event(), [], count(1)
    start = threading.Thread.start

    def start_if_allowed(thread: threading.Thread) -> None:
        if next(started) > allowed:
            raise RuntimeError("can't start new thread")
        start(thread)

    def act(item: int) -> int:
        if item == 3:
            last.set()
        elif threading.current_thread() is not threading.main_thread():
            assert last.wait(10)
        done.append(item)
        return -item

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_if_allowed)
        assert hands.map(act, [0, 1, 2, 3]) == [0, -1, -2, -3]
    hands.close()
    assert sorted(done) == [0, 1, 2, 3]
    assert hands._free._value == 4
