from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.real_parts import wait_until
from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError, LockHeldError, StateError
from tasks.ports import Shard
from tasks.stores.state import lock_holder, run_lock, run_state, state_directory
from tasks.stores.state.state_directory import StateDirectory, default_state_root
from tests.support.lock_race import how_many_get_in
from tests.support.sleeping import sleep_of_machine
from tests.support.stops import Unhurried

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def state(tmp_path):
    return StateDirectory(tmp_path, "/mnt/bucket", "registry.example:5000/team", Unhurried())


def age_lock(state, seconds):
    then = time.time() - seconds
    os.utime(state.folder / "lock", (then, then))


def leave_lock(state, **changes):
    holder = lock_holder.LockHolder.here("old", "s", "t")
    values = {name: getattr(holder, name) for name in lock_holder.LockHolder.__slots__} | changes
    state.folder.mkdir(parents=True, exist_ok=True)
    (state.folder / "lock").write_text(json.dumps(values))


def start_holder(state, root):
    """A process that holds the lock until it is killed."""
    program = f"""
import pathlib, time
from tasks.stores.state.state_directory import StateDirectory
with StateDirectory(pathlib.Path({str(root)!r}), "/mnt/bucket", "registry.example:5000/team").lock("other"):
    print("held", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    assert (state.folder / "lock").exists()
    return process


def test_default_root():
    assert default_state_root({"XDG_STATE_HOME": "/x", "HOME": "/h"}) == Path("/x/layoutlift")
    assert default_state_root({"HOME": "/h"}) == Path("/h/.local/state/layoutlift")
    assert default_state_root({"XDG_STATE_HOME": "relative", "HOME": "/h"}) == Path("/h/.local/state/layoutlift")
    assert default_state_root({}) == Path.home() / ".local/state/layoutlift"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    """As one of a number that nobody has, in a container or where `env -i` took HOME away."""

    def no_home(_: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", classmethod(no_home))
    assert default_state_root({"XDG_STATE_HOME": "/x"}) == Path("/x/layoutlift")
    with pytest.raises(ConfigurationError, match="set HOME"):
        default_state_root({})


def test_each_pair_has_a_folder_of_its_own(tmp_path):
    pairs = [("/mnt/a", "h/p"), ("/mnt/a", "h-p"), ("/mnt/a--h", "p"), ("/mnt/a\udc80", "h/p"), ("s3://mnt/a", "h/p")]
    folders = {StateDirectory(tmp_path, *pair).folder for pair in pairs}
    assert len(folders) == len(pairs)
    assert all(folder.parent == tmp_path for folder in folders)
    assert StateDirectory(tmp_path, "/mnt/a/", "h/p").folder == StateDirectory(tmp_path, "/mnt/a", "h/p").folder
    assert list(tmp_path.iterdir()) == []


def test_no_credentials_are_kept(tmp_path):
    state = StateDirectory(tmp_path, "s3://key:hunter2@bucket/p", "user:hunter2@host/p")
    with state.lock("r1"):
        content = (state.folder / "lock").read_text()
    assert "hunter2" not in content + str(state.folder)
    assert "s3://bucket/p" in content


def test_the_lock_says_who_holds_it(state):
    with state.lock("r1"):
        content = json.loads((state.folder / "lock").read_text())
        assert content["run"] == "r1"
        assert content["host"] == socket.gethostname()
        assert content["pid"] == os.getpid()
        assert content["source"] == "/mnt/bucket"
        assert content["target"] == "registry.example:5000/team"
        with pytest.raises(LockHeldError) as raised, state.lock("r2"):
            pytest.fail("both runs are inside")
        message = str(raised.value)
    assert all(part in message for part in ("r1", socket.gethostname(), str(os.getpid()), content["started"]))
    assert not (state.folder / "lock").exists()
    with state.lock("r2"):
        pass


def test_another_pair_is_free(state, tmp_path):
    with state.lock("r1"), StateDirectory(tmp_path, "/mnt/bucket", "elsewhere").lock("r2"):
        pass


def test_a_living_process_keeps_its_lock_and_a_killed_one_loses_it_at_once(state, tmp_path):
    process = start_holder(state, tmp_path)
    try:
        with pytest.raises(LockHeldError, match="other"), state.lock("r2"):
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with state.lock("r2"):
        assert json.loads((state.folder / "lock").read_text())["run"] == "r2"


@pytest.mark.parametrize("changes", [{"host": "elsewhere"}, {"machine": "other boot"}, {"machine": ""}, {"pid": -1}])
def test_a_process_that_can_not_be_seen_keeps_its_lock_until_it_expires(state, changes):
    leave_lock(state, **{"pid": 2**22 + 1, **changes})
    with pytest.raises(LockHeldError), state.lock("r2"):
        pass
    age_lock(state, 59)
    with pytest.raises(LockHeldError), state.lock("r2"):
        pass
    age_lock(state, 61)
    with state.lock("r2"):
        pass


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"run": 1}'])
def test_a_half_written_lock_counts_until_it_expires(state, content):
    state.folder.mkdir()
    (state.folder / "lock").write_bytes(content)
    with pytest.raises(LockHeldError), state.lock("r2"):
        pass
    age_lock(state, 61)
    with state.lock("r2"):
        pass


def test_age_is_told_by_the_folders_clock(state, monkeypatch):
    leave_lock(state, host="elsewhere")
    age_lock(state, -3600)  # the file server's clock is an hour ahead ...
    ahead = time.time() + 3600
    monkeypatch.setattr(run_lock, "_folder_time", lambda _: ahead + 30)
    with pytest.raises(LockHeldError, match="30 s old"), state.lock("r2"):
        pass
    monkeypatch.setattr(run_lock, "_folder_time", lambda _: ahead + 61)
    with state.lock("r2"):
        pass


@pytest.mark.parametrize("is_read", [False, True])
def test_a_lock_that_goes_while_others_are_looked_at_is_in_nobodys_way(state, monkeypatch, is_read):
    """As that of a shard that ends just then: before it is read, or between that and the look at its age."""
    state.folder.mkdir()
    going = ["shard-theirs-1", "shard-theirs-2"]
    for name in going:
        (state.folder / name).write_bytes(b"{")
    read = Path.read_bytes

    def read_bytes(path):
        content = read(path)
        if path.name in going:
            going.remove(path.name)
            path.unlink()
            return content if is_read else read(path)
        return content

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with state.lock("ours"):
        assert going == []


def test_a_lock_of_others_that_cannot_be_read_is_an_error_of_the_state(state):
    """As that of another user's shard, in a folder that several share; what is there can't be called ended."""
    (state.folder / "shard-theirs-1").mkdir(parents=True)
    with pytest.raises(StateError, match="shard-theirs-1 can't be written or read: Is a directory"), state.lock("r1"):
        pytest.fail("another run may be at work")
    assert not (state.folder / "lock").exists()


@pytest.mark.parametrize("content", [None, b"{"])
def test_a_lock_dated_ahead_says_so_and_what_to_do(state, content):
    leave_lock(state, host="elsewhere")
    if content is not None:
        (state.folder / "lock").write_bytes(content)
    age_lock(state, -7200)
    with pytest.raises(LockHeldError) as raised, state.lock("r2"):
        pytest.fail("it is held")
    assert "dated 7200 s ahead" in str(raised.value)
    assert f"{state.folder / 'lock'} can be removed" in str(raised.value)


def test_the_heart_beats(state, monkeypatch):
    monkeypatch.setattr(lock_holder, "HEARTBEAT_SECONDS", 0.05)
    with state.lock("r1"):
        age_lock(state, 1000)
        wait_until(lambda: time.time() - (state.folder / "lock").stat().st_mtime < 10, what="the heart beats")
        with pytest.raises(LockHeldError), state.lock("r2"):
            pass


def test_who_lost_the_lock_is_told_and_leaves_the_new_holders_alone(state, monkeypatch, caplog):
    monkeypatch.setattr(lock_holder, "HEARTBEAT_SECONDS", 0.05)
    lost = threading.Event()
    with state.lock("r1", lost.set):
        assert not lost.is_set()
        leave_lock(state, run="r2")
        assert lost.wait(30)
        assert "another run has taken over the lock" in caplog.text
    assert json.loads((state.folder / "lock").read_text())["run"] == "r2"


def test_a_lock_that_somebody_removed_is_lost_and_may_be_told_as_removed(state, monkeypatch, caplog):
    monkeypatch.setattr(lock_holder, "HEARTBEAT_SECONDS", 0.05)
    lost = threading.Event()
    with state.lock("r1", lost.set):
        (state.folder / "lock").unlink()
        assert lost.wait(30)
        assert "or somebody removed it" in caplog.text


def test_a_lock_that_was_released_during_a_late_beat_is_not_lost(monkeypatch):
    monkeypatch.setattr(lock_holder, "HEARTBEAT_SECONDS", 0.01)
    beating, released = threading.Event(), threading.Event()

    def renew() -> bool:
        beating.set()
        return not released.wait(30)

    heart = lock_holder.Heartbeat(renew, lambda: pytest.fail("the run is told that it lost its lock"))
    heart.start()
    assert beating.wait(30)
    heart.stop()
    released.set()
    heart.stop()
    wait_until(lambda: not heart._thread.is_alive(), what="the last beat has ended")
    assert not heart.is_lost


def test_the_lock_is_released_when_the_run_fails(state):
    with pytest.raises(ZeroDivisionError), state.lock("r1"):
        _ = 1 / 0
    assert not (state.folder / "lock").exists()


def test_just_one_of_many_takes_over(state, tmp_path):
    program = f"""
import pathlib, sys, time
from infra.real_parts import wait_until
from tasks.oci.errors import LockHeldError
from tasks.stop import Stop
from tasks.stores.state.state_directory import StateDirectory
Stop.pause = lambda *_: None
state = StateDirectory(pathlib.Path({str(tmp_path)!r}), "/mnt/bucket", "registry.example:5000/team")
print("ready", flush=True)
sys.stdin.readline()
try:
    with state.lock("racer"):
        print("won", flush=True)
        sys.stdin.readline()
except LockHeldError:
    print("lost", flush=True)
"""
    racers = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    assert {racer.stdout.readline() for racer in racers} == {"ready\n"}
    leave_lock(state, host="elsewhere")
    age_lock(state, 61)
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    ends = sorted(racer.stdout.readline() for racer in racers)
    for racer in racers:
        racer.communicate("end\n")
    assert ends == ["lost\n"] * 7 + ["won\n"]


def test_just_one_of_many_threads_takes_over_again_and_again(state):
    for _ in range(20):
        leave_lock(state, host="elsewhere")
        age_lock(state, 61)
        assert how_many_get_in([state.lock("racer") for _ in range(6)]) == 1


def test_of_two_that_find_no_lock_only_one_makes_it(state, monkeypatch):
    """Where there is no `flock`, both may look before either writes."""

    def quicker(lock, _):
        leave_lock(state, run="quicker")

    monkeypatch.setattr(run_lock.RunLock, "_give_way_or_take_over", quicker)
    with pytest.raises(LockHeldError, match="is taking the lock"), state.lock("r2"):
        pytest.fail("both runs are inside")
    assert json.loads((state.folder / "lock").read_text())["run"] == "quicker"


def test_a_lock_that_can_not_be_written_is_not_left_behind(state, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(lock_holder.LockHolder, "content", full)
        with pytest.raises(StateError, match="No space"), state.lock("r1"):
            pass
    assert not (state.folder / "lock").exists()
    with state.lock("r2"):
        pass


def test_a_beat_that_does_not_reach_the_folder_loses_no_lock_and_one_that_finds_another_does(state, monkeypatch):
    def away(*_):
        raise OSError(5, "Input/output error")

    with state.lock("r1") as lock:
        assert lock._renew()
        with monkeypatch.context() as patch:
            patch.setattr(run_lock.os, "utime", away)
            assert lock._renew()
        (state.folder / "lock").write_bytes(b"{")
        assert not lock._renew()
        (state.folder / "lock").unlink()
        assert not lock._renew()


def test_the_heart_stops_with_the_run(state):
    with state.lock("r1") as lock:
        assert lock._heart._thread.is_alive()
    assert not lock._heart._thread.is_alive()


def test_a_run_that_takes_the_lock_just_now_is_waited_for(state, monkeypatch):
    state.folder.mkdir(parents=True)
    guard = os.open(state.folder / "lock.guard", os.O_RDWR | os.O_CREAT)
    fcntl.flock(guard, fcntl.LOCK_EX)
    waits = []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            fcntl.flock(guard, fcntl.LOCK_UN)

    monkeypatch.setattr(run_lock, "time", SimpleNamespace(monotonic=time.monotonic, sleep=wait))
    with state.lock("r1"):
        assert waits == [run_lock._GUARD_STEP_SECONDS] * 3
    os.close(guard)


def test_who_ends_while_another_judges_the_lock_leaves_it_to_expire(state, monkeypatch):
    monkeypatch.setattr(run_lock, "_GUARD_SECONDS", 0.0)
    with state.lock("r1"):
        guard = os.open(state.folder / "lock.guard", os.O_RDWR)
        fcntl.flock(guard, fcntl.LOCK_EX)
        with pytest.raises(LockHeldError, match="is taking the lock"), state.lock("r2"):
            pytest.fail("both runs are inside")
    os.close(guard)
    assert (state.folder / "lock").exists()


def test_a_folder_that_can_not_be_made_is_a_state_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="Not a directory"), StateDirectory(tmp_path / "file", "s", "t").lock("r1"):
        pass


def test_the_file_that_keeps_the_lock_from_being_taken_is_named(state):
    """As one that another user made, and that this one may not write."""
    (state.folder / "lock.guard").mkdir(parents=True)
    with pytest.raises(StateError, match=r"/lock\.guard can't be written"), state.lock("r1"):
        pass


def test_no_file_is_left_behind(state):
    with state.lock("r1"):
        pass
    assert [path.name for path in state.folder.iterdir()] == ["lock.guard"]


def test_each_run_has_a_file_of_the_ledger_and_reads_those_of_all(state):
    ledger = state.ledger("r1")
    ledger.note_tag("app", "v1", DIGEST, "manifest", 0, layout="app")
    ledger.close()
    assert len(list(state.folder.glob("ledger-*-r1.jsonl"))) == 1
    assert state.ledger("r2").tags_of("app") == {"v1": DIGEST}


def note(state, run, tag, content):
    ledger = state.ledger(run)
    ledger.note_tag("app", tag, Digest.of(content), "manifest", 0, layout="app")
    ledger.close()


@pytest.fixture
def slept(monkeypatch):
    return sleep_of_machine(monkeypatch)


@pytest.mark.parametrize(("seconds", "files"), [(20.0, 3), (31.0, 4)])
def test_what_a_run_still_does_that_may_have_lost_its_lock_comes_after_what_others_did_before(
    state, tmp_path, slept, seconds, files
):
    """As a tag that it overwrites in the seconds before it notices."""
    with state.lock("late"):
        late = state.ledger("late")
        for tag in ("before", "late"):
            late.note_tag("app", tag, Digest.of(b"old"), "manifest", 0, layout="app")
        late.flush()
        slept.seconds = seconds
        other = StateDirectory(tmp_path, "/mnt/bucket", "registry.example:5000/team")
        for tag in ("before", "late"):
            note(other, "took-over", tag, b"new")
        for number in range(5):  # one file for all of it
            late.note_tag("app", "late", Digest.of(b"%d" % number), "manifest", 0, layout="app")
        late.close()
    assert len(list(state.folder.glob("ledger-*"))) == files
    last = Digest.of(b"4") if files == 4 else Digest.of(b"new")
    assert state.ledger("reader").tags_of("app") == {"before": Digest.of(b"new"), "late": last}


def test_a_beat_after_a_sleep_that_finds_the_lock_its_own_is_a_sign_that_nobody_took_over(state, slept):
    with state.lock("r1") as lock:
        ledger = state.ledger("r1")
        ledger.note_started("one")
        slept.seconds = 3600.0
        lock._renew()
        ledger.note_started("two")
        ledger.close()
    assert len(list(state.folder.glob("ledger-*"))) == 1


@pytest.mark.parametrize("copied", [shutil.copy, shutil.copy2])
def test_a_folder_that_was_copied_has_the_same_last_words(state, tmp_path, copied):
    """With its times or without; in which order the files are copied is a matter of chance."""
    for run in ("r1", "r2", "r3"):
        ledger = state.ledger(run)
        ledger.note_tag("app", "v1", Digest.of(run.encode()), "manifest", 0, layout="app")
        ledger.close()
    copy = StateDirectory(tmp_path / "copy", "/mnt/bucket", "registry.example:5000/team")
    copy.folder.mkdir(parents=True)
    for path in sorted(state.folder.glob("ledger-*"), reverse=True):
        copied(path, copy.folder)
    assert copy.ledger("r4").tags_of("app") == {"v1": Digest.of(b"r3")}


def test_a_run_has_a_folder_below_the_pairs(state):
    assert state.run_folder("r1") == state.folder / "runs" / "r1"
    assert state.run_folder("..").parent == state.folder / "runs"
    assert state.run_folder("..").name not in {"..", "."}


def test_old_runs_leave_room_and_what_is_at_work_or_young_stays(state, monkeypatch):
    monkeypatch.setattr(run_state, "KEPT_RUNS", 2)
    ages = {"old-1": 9, "old-2": 8, "newest": 2, "at-work": 9, "young": 0.5}
    for run, days in ages.items():
        folder = state.run_folder(run)
        folder.mkdir(parents=True)
        for name in ("results.jsonl", "report.json")[: 1 if run == "at-work" else 2]:
            (folder / name).write_text("{}")
            os.utime(folder / name, (time.time() - days * 86_400,) * 2)
    report = state.run_folder("newest") / "report.json"
    assert state.keep_report("newest", report) == str(report)
    assert {path.name for path in (state.folder / "runs").iterdir()} == {"newest", "at-work", "young"}
    monkeypatch.setattr(run_state, "KEPT_RUNS", 0)
    state.keep_report("newest", report)
    assert {path.name for path in (state.folder / "runs").iterdir()} == {"at-work", "young"}


@pytest.mark.parametrize(("days", "stays"), [(0.9, True), (1.1, False)])
def test_what_a_report_was_made_of_goes_after_a_day(state, days, stays):
    """It is as large again as the report, of each of the runs that are kept."""
    earlier, last = state.run_folder("earlier"), state.run_folder("last")
    for folder in (earlier, last):
        folder.mkdir(parents=True)
        for name in ("results.jsonl", "report.json"):
            (folder / name).write_text("{}")
    os.utime(earlier / "report.json", (time.time() - days * 86_400,) * 2)
    state.keep_report("last", last / "report.json")
    assert (earlier / "report.json").exists()
    assert (earlier / "results.jsonl").exists() is stays
    assert (last / "results.jsonl").exists()


@pytest.mark.parametrize(("days", "stays"), [(29, True), (31, False)])
def test_what_a_killed_run_left_goes_after_a_month(state, days, stays):
    """A run that the system kills each night would fill the disk with results that nobody reads."""
    killed, last = state.run_folder("killed"), state.run_folder("last")
    for folder in (killed, last):
        folder.mkdir(parents=True)
        (folder / "results.jsonl").write_text("{}")
    for path in (killed / "results.jsonl", killed):
        os.utime(path, (time.time() - days * 86_400,) * 2)
    (last / "report.json").write_text("{}")
    state.keep_report("last", last / "report.json")
    assert killed.exists() is stays
    assert last.exists()


def leave_runs(state, *runs, names=("report.json",), days=40):
    for run in runs:
        folder = state.run_folder(run)
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text("{}")
        for path in (*folder.iterdir(), folder):
            os.utime(path, (time.time() - days * 86_400,) * 2)


def test_a_run_that_can_not_be_removed_keeps_no_other_from_going(state, monkeypatch, caplog):
    """As those of another user, where one ran it by hand: the disk would fill up from then on."""
    monkeypatch.setattr(run_state, "KEPT_RUNS", 1)
    leave_runs(state, "r0", "r1", "r2", "r3")
    leave_runs(state, "dead-1", "dead-2", names=("results.jsonl",))
    leave_runs(state, "last", days=0)
    theirs, rmtree = {state.run_folder(run) for run in ("r0", "r2", "dead-1")}, shutil.rmtree

    def remove(folder):
        if folder in theirs:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        rmtree(folder)

    with monkeypatch.context() as patch:
        patch.setattr(state_directory.shutil, "rmtree", remove)
        state.keep_report("last", state.run_folder("last") / "report.json")
    assert {path.name for path in (state.folder / "runs").iterdir()} == {"r0", "r2", "dead-1", "last"}
    said = f"what old runs left in {state.run_folder('r0')}, and in 2 more, stays for now: Permission denied"
    assert caplog.messages == [said]


def test_what_is_no_folder_among_those_of_runs_is_in_nobodys_way(state, caplog):
    """As a desktop leaves it, or an archive of some."""
    leave_runs(state, "dead", names=("results.jsonl",))
    leave_runs(state, "last", days=0)
    for name in (".DS_Store", "zz.tar"):
        (state.folder / "runs" / name).touch()
    state.keep_report("last", state.run_folder("last") / "report.json")
    assert {path.name for path in (state.folder / "runs").iterdir()} == {".DS_Store", "zz.tar", "last"}
    assert caplog.messages == []


@pytest.mark.parametrize(("age", "is_free"), [(30.0, False), (lock_holder.EXPIRY_SECONDS + 10, True)])
def test_a_shard_that_died_elsewhere_keeps_a_run_out_until_its_lock_expires(state, age, is_free):
    leave_lock(state, host="elsewhere", machine="another boot")
    shard = (state.folder / "lock").rename(state.folder / "shard-theirs-1")
    then = time.time() - age
    os.utime(shard, (then, then))
    if is_free:
        with state.lock("ours"):
            pass
    else:
        with pytest.raises(LockHeldError, match="old"), state.lock("ours"):
            pass


def test_a_shard_that_finds_a_half_written_lock_of_a_run_gives_way(state):
    """Nobody knows whether that run is its own."""
    state.folder.mkdir()
    (state.folder / "lock").write_bytes(b"{")
    with pytest.raises(LockHeldError, match="is taking the lock"), state.lock("r1", None, Shard("r1", 1, ("app",))):
        pytest.fail("it is inside")


def test_asking_a_folder_for_the_time_leaves_no_file_behind(state):
    leave_lock(state, host="elsewhere", machine="another boot")
    age_lock(state, lock_holder.EXPIRY_SECONDS + 10)
    with state.lock("ours"):
        assert list(state.folder.glob(".now-*")) == []


def test_a_folder_that_knows_no_flock_has_locks_all_the_same(state, monkeypatch):
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with state.lock("first"), pytest.raises(LockHeldError, match="first"), state.lock("second"):
        pass
