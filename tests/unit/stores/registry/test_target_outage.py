"""A target that is away as a whole is asked for by one worker for all, and given up once for all of them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.real_parts.waiting import wait_until
from tasks.oci.errors import (
    AuthenticationError,
    ConnectionFailedError,
    InterruptedRunError,
    LayoutliftError,
    RateLimitedError,
    RegistryUnavailableError,
    TargetUnavailableError,
    UntrustedConnectionError,
)
from tasks.stop import Stop
from tasks.stores.registry import target_outage
from tasks.stores.registry.target_outage import TargetOutage
from tests.support.counting_lock import CountingLock

WORKERS = 8
REFUSED = ConnectionFailedError("GET http://registry/v2/: Connection refused")
BUSY = RegistryUnavailableError("GET http://registry/v2/: the registry answered 503", status=503)


class Knocks:
    """A target that is away for so many knocks, for the reason given, and answers none before it may."""

    def __init__(self, error: LayoutliftError, times: int) -> None:
        self.error = error
        self.times = times
        self.count = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self) -> None:
        self.count += 1
        assert self.may_answer.wait(30)
        if self.count <= self.times:
            raise self.error


def outage(knock: Callable[[], object], seconds: float = 30.0, stop: Stop | None = None) -> TargetOutage:
    return TargetOutage(knock, stop or Stop(), seconds)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Knock again at once."""
    monkeypatch.setattr(target_outage, "KNOCK_SECONDS", 0.001)


@pytest.mark.parametrize("error", [REFUSED, BUSY])
def test_a_target_that_is_away_is_waited_for(error: LayoutliftError, caplog: pytest.LogCaptureFixture) -> None:
    knocks = Knocks(error, times=3)
    assert outage(knocks).sit_out()
    assert knocks.count == 4
    first, last = caplog.messages
    assert str(error) in first
    assert "there again" in last


@pytest.mark.parametrize(
    "answer",
    [
        None,
        AuthenticationError("no", status=401),
        RateLimitedError("slow down", status=429),
        UntrustedConnectionError("its certificate has expired"),
    ],
)
def test_a_target_that_answers_is_not_away(answer: LayoutliftError | None, caplog: pytest.LogCaptureFixture) -> None:
    knocks = Knocks(answer or REFUSED, times=0 if answer is None else 9)
    assert not outage(knocks).sit_out()
    assert knocks.count == 1
    assert not caplog.messages


def test_a_target_that_stays_away_is_given_up_by_name_and_asked_for_again_later() -> None:
    knocks = Knocks(REFUSED, times=2)
    sitting = outage(knocks, seconds=0.0)
    for _ in range(2):
        with pytest.raises(TargetUnavailableError, match="Connection refused"):
            sitting.sit_out()
    assert not sitting.sit_out()


def test_a_target_that_says_how_long_it_will_be_away_is_not_asked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    stop = Stop()
    monkeypatch.setattr(stop, "wait", waits.append)
    busy = RegistryUnavailableError("the registry answered 503", status=503)
    busy.retry_after = 9.0
    assert outage(Knocks(busy, times=2), 30.0, stop).sit_out()
    busy.retry_after = 3600.0
    assert outage(Knocks(busy, times=1), 30.0, stop).sit_out()
    assert waits[:2] == [9.0, 9.0]
    assert 20.0 < waits[2] <= 30.0, "no longer than it is waited for"


def test_a_second_outage_is_waited_for_as_long_as_the_first() -> None:
    knocks = Knocks(REFUSED, times=3)
    sitting = outage(knocks)
    assert sitting.sit_out()
    knocks.times = knocks.count + 3
    assert sitting.sit_out()


@pytest.mark.parametrize(("seconds", "asked"), [(30.0, 2), (0.0, 1)])
def test_one_worker_asks_for_all(seconds: float, asked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight that each wait for a black hole, one after the other, would be two minutes of nothing."""
    knocks = Knocks(REFUSED, times=1)
    knocks.may_answer.clear()
    sitting, lock = outage(knocks, seconds), CountingLock()
    monkeypatch.setattr(sitting, "_lock", lock)

    def sit_out() -> object:
        try:
            return sitting.sit_out()
        except TargetUnavailableError as error:
            return str(error)

    with ThreadPoolExecutor(WORKERS) as pool:
        waiting = [pool.submit(sit_out) for _ in range(WORKERS)]
        wait_until(lambda: lock.number == WORKERS, what="all have come")
        knocks.may_answer.set()
        told = {each.result() for each in waiting}
    assert knocks.count == asked
    assert len(told) == 1


def test_who_waits_when_the_run_ends_does_not_ask_the_target_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program or cloud that hands out passwords is asked first, and each of eight would wait for its answer."""
    stop, knocks = Stop(), Knocks(REFUSED, times=99)
    knocks.may_answer.clear()
    sitting, lock = outage(knocks, stop=stop), CountingLock()
    monkeypatch.setattr(sitting, "_lock", lock)
    with ThreadPoolExecutor(WORKERS) as pool:
        waiting = [pool.submit(sitting.sit_out) for _ in range(WORKERS)]
        wait_until(lambda: lock.number == WORKERS, what="all have come")
        stop.set()
        knocks.may_answer.set()
        assert {type(each.exception()) for each in waiting} == {InterruptedRunError}
    assert knocks.count == 1


def test_waiting_ends_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_outage, "KNOCK_SECONDS", 60.0)
    stop = Stop()
    sitting = outage(Knocks(REFUSED, times=99), 60.0, stop)
    threading.Timer(0.05, stop.set).start()
    started = time.monotonic()
    with pytest.raises(InterruptedRunError):
        sitting.sit_out()
    assert time.monotonic() - started < 25
