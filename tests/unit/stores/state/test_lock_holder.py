"""Who holds a lock is known, or nobody takes it for dead."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from tasks.oci.errors import StateError
from tasks.stores.state import lock_holder
from tasks.stores.state.lock_holder import Heartbeat, LockHolder

HERE = LockHolder.here("run", "s3://bucket", "registry.example")


def ended_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_holder_is_read_as_it_was_written() -> None:
    assert LockHolder.parse(HERE.content()) == HERE
    assert LockHolder.parse(HERE.content(beat=1)) == HERE
    assert HERE.content(beat=1) != HERE.content(beat=2)
    assert LockHolder.here("run", "s3://bucket", "registry.example").token != HERE.token


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"1", b"{}", b"[" * 100_000])
def test_what_is_half_written_names_nobody(raw: bytes) -> None:
    assert LockHolder.parse(raw) is None


@pytest.mark.parametrize("change", [{"pid": "1"}, {"pid": True}, {"pid": None}, {"host": 1}, {"token": None}])
def test_what_is_not_of_our_writing_names_nobody(change: dict[str, object]) -> None:
    assert LockHolder.parse(json.dumps({**json.loads(HERE.content()), **change}).encode()) is None


def test_a_process_of_this_machine_that_is_gone_is_dead() -> None:
    assert replace(HERE, pid=ended_process()).is_dead
    assert replace(HERE, pid=2**70).is_dead, "there is no such process"


def test_a_process_that_runs_is_not_dead_and_notices_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert not replace(HERE, pid=process.pid).is_dead
        process.communicate(b"\n")
    assert process.returncode == 0


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"machine": "another boot"}])
def test_of_a_process_elsewhere_nobody_here_can_say_that_it_is_dead(change: dict[str, str]) -> None:
    assert not replace(HERE, pid=ended_process(), **change).is_dead


def test_where_the_machine_is_not_known_nobody_can_say_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_holder, "_machine", lambda: "")
    assert not replace(HERE, pid=ended_process(), machine="").is_dead


def test_a_process_of_another_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, signal: int) -> None:
        raise PermissionError(pid, signal)

    monkeypatch.setattr(os, "kill", forbidden)
    assert not HERE.is_dead


@pytest.mark.parametrize("pid", [0, -1, -(2**70)])
def test_a_number_that_means_many_processes_is_not_asked_for(monkeypatch: pytest.MonkeyPatch, pid: int) -> None:
    asked: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: asked.append(pid))
    assert not replace(HERE, pid=pid).is_dead
    assert asked == []


def test_a_store_that_is_away_for_a_beat_loses_nobody_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_holder, "HEARTBEAT_SECONDS", 0.01)
    away, reached = [StateError("the store is away")], threading.Event()

    def renew() -> bool:
        if away:
            raise away.pop()
        reached.set()
        return True

    heart = Heartbeat(renew, lambda: pytest.fail("the run is told that it lost its lock"))
    heart.start()
    assert reached.wait(10)
    heart.stop()
    assert not heart.is_lost
