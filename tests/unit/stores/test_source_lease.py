"""One cleaner at a time."""

import json
from dataclasses import asdict

import pytest

from tasks.oci.errors import LockHeldError
from tasks.stores.memory_files import MemoryFiles
from tasks.stores.pacing import Stop
from tasks.stores.source_lease import PATH, SourceLease
from tasks.stores.state.lock_holder import EXPIRY_SECONDS, LockHolder


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
    with lease(files, "first"):
        pass
    with lease(files, "second") as held:
        held.check()


def test_a_run_without_a_sign_of_life_gives_way_after_a_minute(files: MemoryFiles, clock: Clock) -> None:
    files.put(PATH, elsewhere())
    clock.now += EXPIRY_SECONDS - 1
    with pytest.raises(LockHeldError, match="theirs"), lease(files, "ours"):
        pass
    clock.now += 2
    with lease(files, "ours") as held:
        held.check()


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
