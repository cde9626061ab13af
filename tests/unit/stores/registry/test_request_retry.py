"""What failed for the moment is tried again, politely; what failed for good is not."""

import contextlib
import threading
import time
from collections.abc import Callable

import pytest

from infra.real_parts.waiting import wait_until
from tasks.oci.errors import (
    AuthenticationError,
    ConnectionFailedError,
    InterruptedRunError,
    LayoutliftError,
    PermissionDeniedError,
    RateLimitedError,
    RegistryUnavailableError,
    SourceReadError,
    TargetUnavailableError,
    TransferStalledError,
)
from tasks.stop import Stop
from tasks.stores import silence
from tasks.stores.pacing import RequestGate
from tasks.stores.registry import request_retry
from tasks.stores.registry.registry_answers import error_of
from tasks.stores.registry.request_retry import MAX_ATTEMPTS, TOLD_SECONDS, RequestRetry
from tasks.stores.registry.transport.http_answers import HttpAnswer
from tasks.stores.silence import LEAST_FAILURES, SILENT_SECONDS


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class RecordingGate(RequestGate):
    """Notes the pauses that it is asked for, and makes none."""

    def __init__(self) -> None:
        super().__init__(Stop())
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


class Failing:
    """Fails so often, then succeeds."""

    def __init__(self, error: LayoutliftError | Exception, times: int) -> None:
        self.error = error
        self.times = times
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return "done"


def limited(seconds: float | None) -> RateLimitedError:
    error = RateLimitedError("slow down", status=429)
    error.retry_after = seconds
    return error


def retrying(gate: RequestGate | None = None) -> RequestRetry:
    return RequestRetry(gate or RecordingGate(), Stop(), first_wait=0.0001)


def test_a_failure_that_may_pass_is_tried_again_until_it_has_lasted() -> None:
    passing = Failing(ConnectionFailedError("reset"), MAX_ATTEMPTS - 1)
    assert retrying()(passing) == "done"
    lasting = Failing(ConnectionFailedError("reset"), 100)
    with pytest.raises(ConnectionFailedError):
        retrying()(lasting)
    assert lasting.calls == MAX_ATTEMPTS


@pytest.mark.parametrize("error", [AuthenticationError("no"), ValueError("a bug"), OSError("a bug")])
def test_a_failure_for_good_is_not_tried_again(error: Exception) -> None:
    attempt = Failing(error, 100)
    with pytest.raises(type(error)):
        retrying()(attempt)
    assert attempt.calls == 1


def test_being_throttled_is_no_failure() -> None:
    attempt = Failing(limited(None), 20 * MAX_ATTEMPTS)
    assert retrying()(attempt) == "done"


def meeting(*errors: LayoutliftError) -> Callable[[], str]:
    """What fails with each of these, and then succeeds."""
    told = iter(errors)

    def attempt() -> str:
        if (error := next(told, None)) is not None:
            raise error
        return "done"

    return attempt


def test_being_throttled_uses_up_no_attempt() -> None:
    told = [*[limited(None)] * MAX_ATTEMPTS, *[ConnectionFailedError("reset"), limited(None)] * 2]
    assert retrying()(meeting(*told)) == "done"


def test_what_the_registry_asks_for_holds_for_all_workers() -> None:
    gate = RecordingGate()
    retrying(gate)(Failing(limited(3), 2))
    unavailable = RegistryUnavailableError("maintenance", status=503)
    unavailable.retry_after = 9
    retrying(gate)(Failing(unavailable, 1))
    assert gate.pauses == [3, 3, 9]


def test_a_limit_that_is_told_as_a_missing_right_holds_for_all_workers() -> None:
    """GitHub's; a real 403 would fail each tag at once, at full speed."""
    gate, body = RecordingGate(), b"You have exceeded a secondary rate limit. Please wait a few minutes."
    limited = error_of(HttpAnswer(403, {"Retry-After": "60"}, body, "https://h/v2/"), "sending")
    assert retrying(gate)(Failing(limited, 2 * MAX_ATTEMPTS)) == "done"
    assert gate.pauses == [60] * 2 * MAX_ATTEMPTS


def test_a_wish_of_zero_seconds_makes_no_storm() -> None:
    gate = RecordingGate()
    retrying(gate)(Failing(limited(0), 5))
    assert len(gate.pauses) == 5
    assert min(gate.pauses) > 0


def test_many_short_waits_do_not_overflow() -> None:
    assert retrying()(Failing(limited(0.00001), 1100)) == "done"


def test_a_look_for_what_was_written_just_now_ends_with_the_run() -> None:
    stop = Stop()
    retry = RequestRetry(RequestGate(stop), stop, first_wait=120)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(InterruptedRunError):
        retry.until("there", lambda: None)


def test_a_wait_ends_with_the_run() -> None:
    stop = Stop()
    retry = RequestRetry(RequestGate(stop), stop, first_wait=120)
    threading.Timer(0.05, stop.set).start()
    started = time.monotonic()
    with pytest.raises(InterruptedRunError):
        retry(Failing(ConnectionFailedError("reset"), 1))
    assert time.monotonic() - started < 25, "half of the wait at least was left out"


def test_a_source_that_fails_is_not_read_again_here_too() -> None:
    """Six requests of three reads each, in three attempts of a batch, made a minute of one bad sector."""
    broken = Failing(SourceReadError("input/output error"), 100)
    with pytest.raises(SourceReadError):
        retrying()(broken)
    assert broken.calls == 1


class Target:
    """Fails at every request while it is away, which it is for so many of them, questions for it among these."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.knocks = 0
        self.requests = 0

    def _answer(self) -> str:
        self.away -= 1
        if self.away >= 0:
            raise ConnectionFailedError("connection refused")
        return "done"

    def knock(self) -> str:
        self.knocks += 1
        return self._answer()

    def request(self) -> str:
        self.requests += 1
        return self._answer()


@pytest.mark.parametrize(("away", "knocks"), [(MAX_ATTEMPTS - 1, 0), (MAX_ATTEMPTS + 2, 3)])
def test_a_target_that_is_away_for_longer_than_all_attempts_is_waited_for(
    away: int, knocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.stores.registry.target_outage.KNOCK_SECONDS", 0.001)
    target, retry = Target(away), retrying()
    retry.wait_for(target.knock, 60)
    assert retry(target.request) == "done"
    assert target.knocks == knocks


def test_a_target_that_stays_away_is_asked_no_more() -> None:
    target = Target(away=1000)
    retry = retrying()
    retry.wait_for(target.knock, 0)
    with pytest.raises(TargetUnavailableError, match="connection refused"):
        retry(target.request)
    assert (target.requests, target.knocks) == (MAX_ATTEMPTS, 1)


def test_a_target_that_says_nothing_is_not_tried_six_times_before_it_is_missed() -> None:
    """A black hole takes a minute each time."""
    silent = Failing(TransferStalledError("the registry went silent"), 100)
    retry = retrying()
    retry.wait_for(silent, 0)
    with pytest.raises(TargetUnavailableError, match="silent"):
        retry(silent)
    assert silent.calls == 2


def test_a_target_that_is_there_may_be_silent_at_one_request() -> None:
    knocks: list[None] = []
    slow = Failing(TransferStalledError("the registry went silent"), MAX_ATTEMPTS - 1)
    retry = retrying()
    retry.wait_for(lambda: knocks.append(None), 0)
    assert retry(slow) == "done"
    assert len(knocks) == MAX_ATTEMPTS - 1


def test_what_fails_at_a_target_that_is_there_is_not_waited_for() -> None:
    knocks: list[None] = []
    retry = retrying()
    retry.wait_for(lambda: knocks.append(None), 60)
    broken = Failing(RegistryUnavailableError("no space is left", status=500), 100)
    with pytest.raises(RegistryUnavailableError):
        retry(broken)
    assert (broken.calls, len(knocks)) == (MAX_ATTEMPTS, 1)
    with pytest.raises(PermissionDeniedError):
        retry(Failing(PermissionDeniedError("forbidden"), 1))
    assert len(knocks) == 1


def met(retry: RequestRetry, error: LayoutliftError, times: int) -> list[type[LayoutliftError]]:
    """What comes of so many requests that fail for good."""
    raised: list[type[LayoutliftError]] = []
    for _ in range(times):
        with pytest.raises(LayoutliftError) as caught:
            retry(Failing(error, 100_000))
        raised.append(caught.type)
    return raised


@pytest.mark.parametrize("error", [RegistryUnavailableError("broken", status=503), ConnectionFailedError("reset")])
def test_a_target_that_lets_us_in_and_fails_at_all_else_is_not_tried_for_ever(
    error: LayoutliftError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_retry, "SILENT_SECONDS", 0.0)
    retry = retrying()
    retry.wait_for(lambda: None, 60)
    for answer in (Failing(error, 0), Failing(PermissionDeniedError("forbidden"), 1)):
        assert met(retry, error, LEAST_FAILURES - 1) == [type(error)] * (LEAST_FAILURES - 1)
        with contextlib.suppress(PermissionDeniedError):
            retry(answer)  # it works, or is refused: both show that the target is well
    assert met(retry, error, LEAST_FAILURES) == [type(error)] * (LEAST_FAILURES - 1) + [TargetUnavailableError]


def test_uploads_that_take_long_and_break_at_their_end_do_not_give_the_target_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The time in which bytes went there is none in which nothing succeeded."""
    clock = Clock()
    for module in (request_retry, silence):
        monkeypatch.setattr(module, "time", clock)

    class Upload(Failing):
        def __call__(self) -> str:
            clock.now += 0.0 if self.calls else 2 * SILENT_SECONDS
            return super().__call__()

    retry = retrying()
    for _ in range(2 * LEAST_FAILURES):
        with pytest.raises(RegistryUnavailableError):
            retry(Upload(RegistryUnavailableError("broken", status=503), 100))


def test_a_target_that_throttles_for_good_does_not_hold_each_request_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where pulls are counted: what is not counted is answered all the time."""
    monkeypatch.setattr(request_retry, "THROTTLED_SECONDS", 0.01)
    retry = retrying()
    for told in ([limited(None)], [limited(None), ConnectionFailedError("reset")]):
        assert met(retry, limited(None), LEAST_FAILURES - 1) == [RateLimitedError] * (LEAST_FAILURES - 1)
        assert retry(meeting(*told)) == "done", "it got through"
    assert met(retry, limited(None), LEAST_FAILURES - 1) == [RateLimitedError] * (LEAST_FAILURES - 1)
    assert retry(Failing(limited(None), 0)) == "done"
    with pytest.raises(TargetUnavailableError, match=r"slow down got through .*--max-requests"):
        retry(Failing(limited(None), 100_000))


def test_a_long_pause_that_the_target_wants_is_told_once_for_all_workers(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing moves in it, and whoever looks on would take the run for hung."""
    stop = Stop()
    gate = RequestGate(stop)
    retry = RequestRetry(gate, stop)

    def attempt() -> None:
        gate.enter()
        raise limited(TOLD_SECONDS)

    def work() -> None:
        with contextlib.suppress(InterruptedRunError):
            retry(attempt)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    wait_until(lambda: caplog.text, what="the pause is told")
    stop.set()
    for worker in workers:
        worker.join()
    assert caplog.text.count("wants a pause of 30 s, and all workers wait: slow down") == 1
