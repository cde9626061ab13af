"""Who may wait for a lock gets it as soon as it is free, and nobody waits longer than they were told to."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count

import pytest

from tasks.oci.errors import InterruptedRunError, LockHeldError, StateError
from tasks.stop import Stop
from tasks.stores.state import lock_patience
from tasks.stores.state.lock_patience import held_within


class Held:
    """A lock that others hold for the first `looks` looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.inside = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self.looks -= 1
        if self.looks >= 0:
            raise LockHeldError("run r1 on host (pid 1) has worked since noon")
        self.inside = True
        yield
        self.inside = False


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_patience, "LOOK_EVERY", 0.01)


def test_a_lock_that_is_let_go_is_taken_and_given_back(caplog: pytest.LogCaptureFixture) -> None:
    lock = Held(3)
    with held_within(60, lock, Stop()):
        assert lock.inside
    assert not lock.inside
    (told,) = caplog.messages  # once, however often it looks
    assert told.startswith("run r1 on host (pid 1) has worked since noon; this run waits for it, for 60 s")


def test_without_patience_it_is_asked_once(caplog: pytest.LogCaptureFixture) -> None:
    lock = Held(1)
    with pytest.raises(LockHeldError, match="run r1"), held_within(0, lock, Stop()):
        pytest.fail("it is inside")
    assert lock.looks == 0
    assert caplog.messages == []


def test_patience_ends_with_who_holds_it() -> None:
    lock = Held(10**9)
    with pytest.raises(LockHeldError, match="run r1"), held_within(0.1, lock, Stop()):
        pytest.fail("it is inside")
    assert lock.looks < 10**9 - 1


def test_a_long_wait_looks_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_patience, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(lock_patience, "LATE", 0.5)
    lock = Held(10**9)
    with pytest.raises(LockHeldError), held_within(0.2, lock, Stop()):
        pytest.fail("it is inside")
    assert 10**9 - lock.looks < 100  # thousands, if each of them came at once


def test_a_run_that_is_told_to_stop_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_patience, "LOOK_EVERY", 3600.0)
    stop = Stop()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(InterruptedRunError), held_within(3600, Held(10**9), stop):
        pytest.fail("it is inside")


def test_a_state_that_can_t_be_read_is_not_waited_for() -> None:
    def broken() -> AbstractContextManager[None]:
        raise StateError("it can't be read")

    with pytest.raises(StateError), held_within(3600, broken, Stop()):
        pytest.fail("it is inside")


def test_a_look_that_fails_while_others_hold_it_ends_no_wait() -> None:
    """A bucket is asked a thousand times in an hour, each time without patience."""
    lock, looks = Held(3), count()

    def failing_at_times() -> AbstractContextManager[None]:
        if next(looks) % 2:
            raise StateError("it can't be read")
        return lock()

    with held_within(60, failing_at_times, Stop()):
        assert lock.inside
    assert next(looks) == 7


def test_who_waited_in_vain_for_a_state_is_told_of_that() -> None:
    looks = iter([LockHeldError("run r1")])

    def lost() -> AbstractContextManager[None]:
        raise next(looks, StateError("it can't be read"))

    with pytest.raises(StateError), held_within(0.1, lost, Stop()):
        pytest.fail("it is inside")
    assert next(looks, None) is None


def test_what_goes_wrong_while_it_is_held_is_not_taken_for_a_lock_of_others() -> None:
    lock = Held(0)
    with pytest.raises(LockHeldError, match="taken away"), held_within(3600, lock, Stop()):
        raise LockHeldError("taken away")
    assert lock.looks == -1
