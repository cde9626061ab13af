"""One cleaner at a time."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from tasks.oci.errors import InterruptedRunError, LockHeldError, SourceWriteError
from tasks.stop import Stop
from tasks.stores import source_lease
from tasks.stores.source_lease import PATH, SETTLE_SECONDS, SourceLease
from tasks.stores.state import lock_holder
from tasks.stores.state.lock_holder import EXPIRY_SECONDS, HEARTBEAT_SECONDS, LockHolder
from tests.support.memory_files import MemoryFiles
from tests.support.stops import Unhurried

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(clock: Clock) -> MemoryFiles:
    return MemoryFiles(clock)


def lease(files: MemoryFiles, run: str) -> SourceLease:
    return SourceLease(files, run, "s3://bucket", Stop())


def elsewhere() -> bytes:
    """A holder on another machine, of which nobody here can tell whether it lives."""
    holder = LockHolder.here("theirs", "s3://bucket", "")
    return json.dumps({**asdict(holder), "host": "other", "machine": "other"}).encode()


def test_a_second_run_is_kept_out_and_told_by_whom(files: MemoryFiles) -> None:
    with lease(files, "first"), pytest.raises(LockHeldError, match="first"), lease(files, "second"):
        pass


def test_the_lease_is_free_when_its_run_ended(files: MemoryFiles) -> None:
    with lease(files, "first") as first:
        pass
    assert not first._heart._thread.is_alive()
    with lease(files, "second") as held:
        held.check()


def test_of_two_that_take_it_at_once_the_one_whose_is_there_a_moment_later_has_it(files: MemoryFiles) -> None:
    """Where nothing compares and writes in one step, as on a mount."""
    files.is_conditional = False
    stop = Unhurried(lambda: files.put(PATH, elsewhere()))
    with pytest.raises(LockHeldError), SourceLease(files, "ours", "/mnt/bucket", stop):
        pytest.fail("both runs are inside")
    assert stop.paused == [SETTLE_SECONDS]
    found = files.read_file(PATH)
    assert found is not None
    assert b"theirs" in found.raw


def test_a_run_without_a_sign_of_life_gives_way_after_a_minute(files: MemoryFiles, clock: Clock) -> None:
    files.put(PATH, elsewhere())
    clock.now += EXPIRY_SECONDS - 1
    with pytest.raises(LockHeldError, match="theirs"), lease(files, "ours"):
        pass
    clock.now += 2
    with lease(files, "ours") as held:
        held.check()


@pytest.mark.parametrize("behind", [2 * EXPIRY_SECONDS, -2 * EXPIRY_SECONDS])
def test_on_a_mount_a_run_at_work_keeps_others_out_whatever_its_machine_takes_the_time_for(
    files: MemoryFiles, clock: Clock, behind: float
) -> None:
    """Many mounts date a file by the clock of the machine that wrote it."""
    files.is_conditional = False

    def beat() -> None:
        clock.now -= behind
        files.put(PATH, elsewhere())
        clock.now += behind

    beat()
    with (
        pytest.raises(LockHeldError, match=r"theirs .* is 0 s old"),
        SourceLease(files, "ours", "/mnt/bucket", Unhurried(beat)),
    ):
        pytest.fail("both runs are inside")


def test_on_a_mount_a_run_without_a_sign_of_life_gives_way(files: MemoryFiles, clock: Clock) -> None:
    files.is_conditional = False

    def end() -> None:
        if watching.paused == [2 * HEARTBEAT_SECONDS]:
            files.put(PATH, b"{}")

    for happens in (lambda: None, end):
        files.put(PATH, elsewhere())
        clock.now += EXPIRY_SECONDS + 1
        watching = Unhurried(happens)
        with SourceLease(files, "ours", "/mnt/bucket", watching) as held:
            held.check()
        assert watching.paused == [2 * HEARTBEAT_SECONDS, SETTLE_SECONDS]


def test_a_run_that_is_told_to_end_takes_no_lease_over(files: MemoryFiles, clock: Clock) -> None:
    files.is_conditional = False
    files.put(PATH, theirs := elsewhere())
    clock.now += EXPIRY_SECONDS + 1
    stop = Stop()
    stop.set()
    with pytest.raises(InterruptedRunError), SourceLease(files, "ours", "/mnt/bucket", stop):
        pytest.fail("it was told to end")
    assert files.contents()[PATH] == theirs


def test_a_lease_dated_ahead_says_so_and_what_to_do(files: MemoryFiles, clock: Clock) -> None:
    files.put(PATH, elsewhere())
    clock.now -= 7200
    with (
        pytest.raises(LockHeldError, match=rf"theirs .* 7200 s ahead .*, and {PATH} can be removed"),
        lease(files, "o"),
    ):
        pass


def test_a_run_that_died_on_this_machine_gives_way_at_once(files: MemoryFiles) -> None:
    holder = {**asdict(LockHolder.here("dead", "s3://bucket", "")), "pid": 2**22 + 1}
    files.put(PATH, json.dumps(holder).encode())
    with lease(files, "ours") as held:
        held.check()


def test_a_run_whose_lease_was_taken_over_changes_nothing_more(
    files: MemoryFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lease(files, "ours") as held:
        files.put(PATH, elsewhere())
        held.check()  # as long as its own sign of life is fresh, nobody may take it
        monkeypatch.setattr(held, "_renewed", held._renewed - EXPIRY_SECONDS)
        with pytest.raises(LockHeldError, match="took the lease"):
            held.check()
    found = files.read_file(PATH)
    assert found is not None
    assert LockHolder.parse(found.raw) is not None  # theirs was not released


def test_a_run_that_hears_from_its_heart_that_the_lease_is_lost_changes_nothing_more(
    files: MemoryFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_holder, "HEARTBEAT_SECONDS", 0.01)
    held = lease(files, "ours")
    with held:
        files.put(PATH, elsewhere())
        held._heart._thread.join(timeout=10)
        with pytest.raises(LockHeldError, match="took the lease"):
            held.check()


def test_a_run_whose_lease_somebody_removed_changes_nothing_more(
    files: MemoryFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lease(files, "ours") as held:
        monkeypatch.setattr(held, "_renewed", held._renewed - EXPIRY_SECONDS)
        found = files.stat_file(PATH)
        assert found is not None
        files.delete_files([found])
        with pytest.raises(LockHeldError, match="took the lease"):
            held.check()


def test_a_run_that_slept_and_still_has_its_lease_keeps_others_out_from_then_on(
    files: MemoryFiles, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else another run could take it right after the look."""
    with lease(files, "ours") as held:
        monkeypatch.setattr(held, "_renewed", held._renewed - 2 * EXPIRY_SECONDS)
        clock.now += 2 * EXPIRY_SECONDS
        held.check()
        with pytest.raises(LockHeldError, match="ours"), lease(files, "second"):
            pass


class Unsure(MemoryFiles):
    """Files on whose next write something happens after it was done."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.afterwards: Callable[[], None] = lambda: None

    def write_file(self, path: str, raw: bytes, expected: str | None) -> str:
        mark = super().write_file(path, raw, expected)
        afterwards, self.afterwards = self.afterwards, lambda: None
        afterwards()
        return mark


def test_a_run_that_slept_while_it_renewed_its_lease_keeps_others_out_from_then_on(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store dated it before the sleep, and answered after it."""
    monkeypatch.setattr(source_lease, "uptime", clock)
    files = Unsure(clock)

    def sleep() -> None:
        clock.now += 2 * EXPIRY_SECONDS

    with lease(files, "ours") as held:
        files.afterwards = sleep
        assert held._renew()
        held.check()
        with pytest.raises(LockHeldError, match="ours"), lease(files, "second"):
            pass


def test_a_run_that_never_heard_that_it_renewed_its_lease_keeps_others_out_after_a_sleep(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_lease, "uptime", clock)
    files = Unsure(clock)

    def lose() -> None:
        raise SourceWriteError("the store is away")

    with lease(files, "ours") as held:
        files.afterwards = lose
        with pytest.raises(SourceWriteError):
            held._renew()
        clock.now += 2 * EXPIRY_SECONDS
        held.check()
        with pytest.raises(LockHeldError, match="ours"), lease(files, "second"):
            pass
