"""How a lock is taken in a folder, and what is in nobody's way there; see test_state_directory for what runs see."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.oci.errors import InterruptedRunError, LockHeldError, StateError
from tasks.stop import Stop
from tasks.stores.state import run_lock
from tasks.stores.state.lock_group import PAIR
from tasks.stores.state.lock_holder import EXPIRY_SECONDS, HEARTBEAT_SECONDS, LockHolder, held_message
from tasks.stores.state.run_lock import RunLock, seen_locks
from tasks.stores.state.state_directory import StateDirectory
from tests.support.stops import Unhurried


def holder(run: str = "run") -> LockHolder:
    return LockHolder.here(run, "/mnt/bucket", "registry.example")


def age(path: Path, seconds: float) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


@pytest.fixture
def all_may_write() -> Iterator[None]:
    """As in a folder that users of one team share."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_the_folder_of_a_lock_is_made_with_those_above(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "pair"
    with RunLock(folder, holder()):
        assert (folder / PAIR).exists()


@pytest.mark.usefixtures("all_may_write")
def test_who_may_write_is_for_the_umask_to_say(tmp_path: Path) -> None:
    """Else the lock of one user could be taken over by no other."""
    with RunLock(tmp_path, holder()):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {PAIR: 0o666, run_lock._GUARD: 0o666}


def test_while_one_judges_the_lock_nobody_else_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lock, "_GUARD_SECONDS", 0.0)
    with (tmp_path / run_lock._GUARD).open("wb") as guard:
        fcntl.flock(guard, fcntl.LOCK_SH)
        with pytest.raises(LockHeldError, match="another run is taking the lock"), RunLock(tmp_path, holder()):
            pass
    assert not (tmp_path / PAIR).exists()


def test_another_lock_of_the_same_run_is_not_ones_own(tmp_path: Path) -> None:
    other = holder()
    with RunLock(tmp_path, holder()):
        (tmp_path / PAIR).write_bytes(other.content())
    assert LockHolder.parse((tmp_path / PAIR).read_bytes()) == other


def test_what_stands_in_the_place_of_a_lock_and_cannot_be_read_is_no_run(tmp_path: Path) -> None:
    (tmp_path / PAIR).mkdir()
    with pytest.raises(StateError, match=str(tmp_path / PAIR)), RunLock(tmp_path, holder()):
        pass


@pytest.mark.parametrize("place", ["link", "link/pair", "file", "file/pair"])
def test_a_folder_that_can_not_be_made_is_no_run(tmp_path: Path, place: str) -> None:
    """Who is told of another run waits for it."""
    (tmp_path / "link").symlink_to(tmp_path / "not mounted")
    (tmp_path / "file").touch()
    with (
        pytest.raises(StateError, match=str(tmp_path / place.partition("/")[0])),
        RunLock(tmp_path / place, holder()),
    ):
        pass


def test_a_lock_that_comes_to_be_while_one_is_taken_is_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a file system has no `flock`."""
    monkeypatch.setattr(RunLock, "_give_way_or_take_over", lambda lock, _: lock._path.touch())
    with pytest.raises(LockHeldError, match="another run"), RunLock(tmp_path, holder()):
        pass


@pytest.fixture
def elsewhere() -> LockHolder:
    """A holder on another machine, of which nobody here can tell whether it lives."""
    return replace(holder("theirs"), host="elsewhere", machine="another boot")


@pytest.fixture
def theirs(tmp_path: Path, elsewhere: LockHolder) -> Path:
    """Their lock, without a sign of life for more than a minute as its time says."""
    path = tmp_path / PAIR
    path.write_bytes(elsewhere.content())
    age(path, EXPIRY_SECONDS + 10)
    return path


def test_a_run_at_work_keeps_others_out_whatever_its_machine_takes_the_time_for(
    tmp_path: Path, theirs: Path, elsewhere: LockHolder
) -> None:
    """Many mounts date a file by the clock of the machine that wrote it."""
    watching = Unhurried(lambda: age(theirs, -HEARTBEAT_SECONDS))
    with pytest.raises(LockHeldError, match="run theirs on elsewhere"), RunLock(tmp_path, holder(), stop=watching):
        pytest.fail("it is inside")
    assert watching.paused == [2 * HEARTBEAT_SECONDS]
    assert elsewhere.wrote(theirs.read_bytes())


@pytest.mark.parametrize("ends", [False, True])
def test_a_lock_that_stays_as_it_is_or_goes_while_it_is_watched_is_taken(
    tmp_path: Path, theirs: Path, *, ends: bool
) -> None:
    watching = Unhurried(theirs.unlink if ends else lambda: None)
    with RunLock(tmp_path, ours := holder(), stop=watching):
        assert ours.wrote(theirs.read_bytes())
    assert watching.paused == [2 * HEARTBEAT_SECONDS]


def test_who_takes_a_lock_over_while_it_is_watched_has_it(tmp_path: Path, theirs: Path) -> None:
    watching = Unhurried(lambda: theirs.write_bytes(holder("quicker").content()))
    with pytest.raises(LockHeldError, match="run quicker on"), RunLock(tmp_path, holder(), stop=watching):
        pytest.fail("it is inside")


def test_while_a_lock_is_watched_others_may_look_at_it(tmp_path: Path, theirs: Path) -> None:
    def look() -> None:
        age(theirs, -3600)
        with pytest.raises(LockHeldError), RunLock(tmp_path, holder()):
            pytest.fail("it is inside")

    with pytest.raises(LockHeldError), RunLock(tmp_path, holder(), stop=Unhurried(look)):
        pytest.fail("it is inside")


@pytest.mark.usefixtures("theirs")
def test_a_run_that_is_told_to_end_takes_no_lock_over(tmp_path: Path) -> None:
    stop = Stop()
    stop.set()
    with pytest.raises(InterruptedRunError), RunLock(tmp_path, holder(), stop=stop):
        pytest.fail("it is inside")


@pytest.mark.parametrize("change", [{"pid": 2**70}, {}])
def test_no_lock_of_this_machine_is_watched(tmp_path: Path, change: dict[str, int]) -> None:
    """Neither of a process that is gone, nor of one that was stopped: it has no other clock."""
    (tmp_path / PAIR).write_bytes(replace(holder(), **change).content())
    age(tmp_path / PAIR, EXPIRY_SECONDS + 10)
    watching = Unhurried(lambda: pytest.fail("it is watched"))
    with RunLock(tmp_path, holder(), stop=watching):
        pass


def test_two_that_ask_for_the_time_use_files_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the first to be done would remove the file under the other's eyes."""
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", lambda *_, **__: None)
        for _ in range(2):
            run_lock._folder_time(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_held_is_seen_and_neither_the_own_lock_nor_one_without_life(tmp_path: Path) -> None:
    for name in ("shard-own", "shard-living", "shard-expired", PAIR):
        (tmp_path / name).write_bytes(holder(name).content())
        os.utime(tmp_path / name, (1000.0, 1000.0))
    age(tmp_path / "shard-living", EXPIRY_SECONDS)
    age(tmp_path / "shard-expired", EXPIRY_SECONDS + 1)
    seen = list(seen_locks(tmp_path, "shard-own"))
    assert [(lock.name, lock.holder and lock.holder.run, lock.age) for lock in seen] == [
        (PAIR, PAIR, 0.0),
        ("shard-living", "shard-living", EXPIRY_SECONDS),
    ]


SHARD = "shard-r1-1"


@pytest.fixture
def shard(tmp_path: Path, elsewhere: LockHolder) -> Path:
    """The lock of a shard on another machine, which outlived its run; its clock is behind."""
    path = tmp_path / SHARD
    path.write_bytes(elsewhere.content())
    age(path, EXPIRY_SECONDS + 15)
    return path


def test_a_shard_at_work_keeps_others_out_whatever_its_machine_takes_the_time_for(
    tmp_path: Path, shard: Path, elsewhere: LockHolder
) -> None:
    state = StateDirectory(tmp_path.parent, "source", "target", watching := Unhurried(lambda: age(shard, -10)))
    state.folder = tmp_path
    with pytest.raises(LockHeldError, match="run theirs on elsewhere"), state.lock("r2"):
        pytest.fail("it is inside")
    assert watching.paused == [2 * HEARTBEAT_SECONDS]
    assert elsewhere.wrote(shard.read_bytes())
    assert not (tmp_path / PAIR).exists()


@pytest.mark.parametrize("ends", [False, True])
def test_locks_of_shards_that_ended_are_watched_together_and_gone_afterwards(
    tmp_path: Path, shard: Path, *, ends: bool
) -> None:
    """Else each later run would watch them anew."""
    (other := tmp_path / "shard-r1-2").write_bytes(shard.read_bytes())
    age(other, EXPIRY_SECONDS + 15)
    state = StateDirectory(tmp_path.parent, "source", "target", watching := Unhurried(shard.unlink if ends else bool))
    state.folder = tmp_path
    with state.lock("r2"):
        assert (shard.exists(), other.exists()) == (False, False)
    with state.lock("r3"):
        pass
    assert watching.paused == [2 * HEARTBEAT_SECONDS]


def test_a_lock_of_a_shard_that_ended_stays_where_it_is_anothers_to_remove_and_keeps_nobody_out(
    tmp_path: Path, shard: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a folder with the sticky bit that users of one team share."""
    unlink = Path.unlink

    def no_right(path: Path, *, missing_ok: bool = False) -> None:
        if path.name.startswith(SHARD):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        unlink(path, missing_ok=missing_ok)

    (other := tmp_path / "shard-r1-2").write_bytes(shard.read_bytes())
    age(other, EXPIRY_SECONDS + 15)
    state = StateDirectory(tmp_path.parent, "source", "target", watching := Unhurried())
    state.folder = tmp_path
    monkeypatch.setattr(Path, "unlink", no_right)
    with state.lock("r2"):
        assert (shard.exists(), other.exists()) == (True, False)
    assert watching.paused == [2 * HEARTBEAT_SECONDS]
    assert [record.getMessage() for record in caplog.records] == [
        f"the lock {shard} of a shard that ended stays, to be removed by whoever may: Operation not permitted"
    ]


def test_no_lock_of_a_shard_of_this_machine_is_watched(tmp_path: Path) -> None:
    (tmp_path / SHARD).write_bytes(replace(holder(), pid=2**70).content())
    (tmp_path / PAIR).touch()
    assert list(seen_locks(tmp_path, PAIR, Unhurried(lambda: pytest.fail("it is watched")))) == []
    assert not (tmp_path / SHARD).exists()


def test_a_shard_neither_watches_nor_removes_the_locks_of_others(tmp_path: Path, shard: Path) -> None:
    """Its run has done so, and the others of that run may begin at the same time."""
    (tmp_path / "shard-r2-1").touch()
    assert list(seen_locks(tmp_path, "shard-r2-1", Unhurried(lambda: pytest.fail("it is watched")))) == []
    assert shard.exists()


@pytest.mark.usefixtures("shard")
def test_a_run_that_is_told_to_end_while_it_watches_shards_has_no_lock(tmp_path: Path) -> None:
    stop = Stop()
    stop.set()
    (tmp_path / PAIR).touch()
    with pytest.raises(InterruptedRunError):
        list(seen_locks(tmp_path, PAIR, stop))


def test_a_run_that_lives_is_not_told_to_be_over_in_a_minute() -> None:
    """Another machine watches its lock in a folder once that has expired, and then those of its shards."""
    said = held_message(LockHolder.here("r", "/source", "registry.example"), 3, "run.lock")
    assert said.endswith(
        "its last sign of life is 3 s old; if it dies, another run may start 100 s after its last one at the latest"
    )
