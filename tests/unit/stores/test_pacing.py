"""All workers together stay within what the user allows and the target asks for."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import InterruptedRunError
from tasks.ports import BlobContent
from tasks.stop import Stop
from tasks.stores.pacing import Pace, PacedContent, RequestGate
from tasks.stores.verified_content import CHUNK_SIZE, VerifiedContent

PATIENCE_SECONDS = 30
"""Far more than what does not wait takes on any machine, and far less than the waits that are to be left out."""


def in_threads(number: int, act: object) -> float:
    """Seconds that so many threads take to do something."""
    threads = [threading.Thread(target=act) for _ in range(number)]  # type: ignore[arg-type]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - started


def test_a_pace_holds_for_all_threads_together() -> None:
    pace = Pace(100, Stop())
    assert in_threads(4, lambda: [pace.take() for _ in range(5)]) >= 19 / 100


def test_no_pace_is_no_limit() -> None:
    pace = Pace(None, Stop())
    started = time.monotonic()
    for _ in range(1000):
        pace.take(1e12)
    assert time.monotonic() - started < PATIENCE_SECONDS


def test_a_pause_holds_every_worker() -> None:
    gate = RequestGate(Stop())
    gate.enter()
    gate.pause(0.2)
    gate.pause(0.01)
    assert in_threads(4, gate.enter) >= 0.19


def test_a_pause_also_holds_those_who_wait_for_their_turn_when_it_begins() -> None:
    gate = RequestGate(Stop(), 10)
    gate.enter()
    threading.Timer(0.05, gate.pause, [0.5]).start()  # the next turn would come after 0.1 s
    assert in_threads(1, gate.enter) >= 0.5


def test_a_run_that_ends_wakes_those_that_wait() -> None:
    stop = Stop()
    gate = RequestGate(stop)
    gate.pause(60)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(InterruptedRunError):
        gate.enter()
    with pytest.raises(InterruptedRunError):
        gate.enter()
    assert stop.requested


def content(data: bytes) -> BlobContent:
    import contextlib  # noqa: PLC0415 - only here
    import io  # noqa: PLC0415

    descriptor = Descriptor("application/x", Digest.of(data), len(data))
    return VerifiedContent(descriptor, lambda: contextlib.nullcontext(io.BytesIO(data)))


def test_paced_content_is_the_content_later() -> None:
    noted: list[int] = []
    paced = PacedContent(content(bytes(100)), Pace(1000, Stop()), noted.append)
    started = time.monotonic()
    with paced.chunks() as chunks:
        read = b"".join(bytes(chunk) for chunk in chunks)
    assert read == paced.read() == bytes(100)
    assert (paced.descriptor.size, noted) == (100, [100, 100])
    assert time.monotonic() - started >= 0.09


class TimelyStop(Stop):
    """Waits in no time: `now` goes on instead."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> TimelyStop:
    stop = TimelyStop()
    monkeypatch.setattr("tasks.stores.pacing.time", stop)
    return stop


def test_no_upload_is_silent_for_long_however_many_share_a_low_rate(stop: TimelyStop) -> None:
    """Proxies cut one of which nothing comes for a minute."""
    size, pace = 3 * CHUNK_SIZE + 1, Pace(100_000, stop)
    uploads = [PacedContent(content(bytes(size)), pace, lambda _: None) for _ in range(8)]
    with ExitStack() as stack:
        readers = {stack.enter_context(each.chunks()): 0.0 for each in uploads}
        read = longest = 0
        while readers:
            for reader, before in list(readers.items()):  # in turn, as they come to the pace
                if (piece := next(reader, None)) is None:
                    del readers[reader]
                    continue
                read += len(piece)
                longest = max(longest, stop.now - before)
                readers[reader] = stop.now
    assert longest < 5
    assert (read, stop.now) == (8 * size, pytest.approx(8 * size / 100_000, rel=0.01))


def test_a_small_upload_takes_its_turns_like_a_large_one(stop: TimelyStop, monkeypatch: pytest.MonkeyPatch) -> None:
    pace = Pace(100_000, stop)
    turns: list[float] = []
    take = pace.take

    def noting(units: float = 1.0) -> None:
        turns.append(units)
        take(units)

    monkeypatch.setattr(pace, "take", noting)
    assert PacedContent(content(bytes(200_001)), pace, lambda _: None).read() == bytes(200_001)
    assert (sum(turns), max(turns)) == (200_001, 10_000)


@pytest.mark.parametrize("rate", [None, 1e9])
def test_a_pace_that_hardly_holds_anything_takes_nothing_apart(rate: float | None) -> None:
    with PacedContent(content(bytes(2 * CHUNK_SIZE)), Pace(rate, Stop()), lambda _: None).chunks() as chunks:
        assert [len(chunk) for chunk in chunks] == [CHUNK_SIZE, CHUNK_SIZE]


def test_a_limit_that_is_lifted_lets_the_rest_pass_at_once(stop: TimelyStop) -> None:
    pace, data = Pace(100_000, stop), bytes(range(256)) * 4096
    with PacedContent(content(data), pace, lambda _: None).chunks() as chunks:
        first = bytes(next(chunks))
        pace.change(None)
        (rest,) = (bytes(chunk) for chunk in chunks)
    assert len(first) < CHUNK_SIZE / 2
    assert first + rest == data


def test_paced_content_ends_with_the_run() -> None:
    stop = Stop()
    with PacedContent(content(b"x"), Pace(None, stop), lambda _: None).chunks() as chunks:
        stop.set()
        with pytest.raises(InterruptedRunError):
            next(chunks)


@pytest.mark.parametrize("rate", [None, 1e9])
def test_a_changed_pace_holds_for_those_who_wait_already(rate: float | None) -> None:
    pace = Pace(0.001, Stop())
    pace.take()  # whoever comes next waits for 1000 s
    threading.Timer(0.1, pace.change, [rate]).start()
    assert in_threads(3, pace.take) < PATIENCE_SECONDS
    assert in_threads(1, pace.take) < PATIENCE_SECONDS


class LockTakenLate:
    """A lock before whose first holder somebody else comes."""

    def __init__(self, first: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._first = [first]

    def __enter__(self) -> None:
        if self._first:
            self._first.pop()()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_rate_that_changes_just_when_somebody_takes_a_turn_holds_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop = Stop()
    pace = Pace(0.001, stop)
    monkeypatch.setattr(pace, "_lock", LockTakenLate(lambda: pace.change(1e9)))
    pace.take()
    alarm = threading.Timer(PATIENCE_SECONDS, stop.set)
    alarm.start()
    pace.take()  # would be interrupted if it waited for a turn of the old rate
    alarm.cancel()
