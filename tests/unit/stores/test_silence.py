"""A source of which nothing can be read is told from one with files that can't be."""

import pytest

from tasks.stores import silence
from tasks.stores.silence import LEAST_FAILURES, Silence

LONGEST = 600.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(silence, "time", made)
    return made


def failures(silence: Silence, clock: Clock, number: int, seconds: float) -> list[bool]:
    """What is concluded from failures one after the other, each of which took so long."""
    told = []
    for _ in range(number):
        asked = clock.now
        clock.now += seconds
        told.append(silence.lasts(asked))
    return told


def test_workers_that_all_wait_for_nothing_give_the_source_up(clock: Clock) -> None:
    silence = Silence(LONGEST)
    asked = clock.now
    clock.now += LONGEST
    assert [silence.lasts(asked) for _ in range(4)] == [False] * (LEAST_FAILURES - 1) + [True] * 2


def test_failures_that_come_soon_are_given_as_long(clock: Clock) -> None:
    told = failures(Silence(LONGEST), clock, 30, LONGEST / 20)
    assert told.index(True) == 19


def test_whatever_can_be_read_meanwhile_shows_that_the_source_is_there(clock: Clock) -> None:
    silence = Silence(LONGEST)
    asked = clock.now
    clock.now += LONGEST
    silence.end()
    assert not any(silence.lasts(asked) for _ in range(9))
    assert not any(failures(silence, clock, 20, LONGEST / 21))
    silence.end()
    assert not any(failures(silence, clock, 20, LONGEST / 21))


def test_the_time_in_which_nobody_asked_does_not_count(clock: Clock) -> None:
    """The last tags of a run can't be read, and before their next attempt the target is away, or its hours end."""
    silence = Silence(LONGEST)
    assert not any(failures(silence, clock, LEAST_FAILURES, 1.0))
    clock.now += 20 * LONGEST
    assert not any(failures(silence, clock, LEAST_FAILURES, 1.0))
    assert failures(silence, clock, 1, LONGEST) == [True]


def test_a_wait_is_told_once_and_only_where_nothing_was_read_since(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    silence = Silence(LONGEST)
    asked = clock.now
    clock.now += 1
    silence.end()
    clock.now += 20
    silence.tell("app", asked)
    assert not caplog.messages
    clock.now += 20
    for name in ("app", "other"):
        silence.tell(name, clock.now - 20)
    assert [message.partition(" is waited")[0] for message in caplog.messages] == ["app"]
    silence.end()
    clock.now += 30
    silence.tell("third", clock.now - 20)
    assert len(caplog.messages) == 2
