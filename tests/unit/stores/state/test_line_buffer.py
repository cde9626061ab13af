"""Lines are written in time by one thread, however long a write takes."""

import threading
import time
from unittest.mock import Mock

import pytest

from infra.real_parts import wait_until
from tasks.stores.state.line_buffer import LineBuffer


class Mount:
    """Takes no lines until it is back."""

    def __init__(self) -> None:
        self.is_back, self.is_asked = threading.Event(), threading.Event()
        self.written: list[bytes] = []

    def write(self, lines: bytes) -> None:
        self.is_asked.set()
        assert self.is_back.wait(30)
        self.written.append(lines)


def test_while_a_write_hangs_one_thread_waits_for_it_and_then_writes_what_came_meanwhile() -> None:
    """Other threads append line after line."""
    mount = Mount()
    lines = LineBuffer(mount.write, seconds=0.01, most_bytes=2**30)
    before, most, count = threading.active_count(), 0, 1
    lines.append(b"x")
    assert mount.is_asked.wait(30)
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        lines.append(b"x")
        count += 1
        most = max(most, threading.active_count() - before)
    mount.is_back.set()
    wait_until(lambda: len(b"".join(mount.written)) == count, what="all is written without another call")
    assert most <= 2
    lines.close()
    assert b"".join(mount.written) == b"x" * count


def test_what_is_closed_while_its_timer_writes_begins_no_other() -> None:
    mount = Mount()
    lines = LineBuffer(mount.write, seconds=0.01, most_bytes=2**30)
    before = threading.active_count()
    lines.append(b"1")
    assert mount.is_asked.wait(30)
    lines.append(b"2")
    closing = threading.Thread(target=lines.close)
    closing.start()
    wait_until(lambda: lines._timer is None, what="it is being closed")
    mount.is_back.set()
    closing.join()
    wait_until(lambda: threading.active_count() == before, what="the timer's thread has ended")
    assert (mount.written, lines._timer) == ([b"1", b"2"], None)


def test_a_moment_without_a_thread_costs_no_later_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next line asks for a timer again."""
    written: list[bytes] = []
    lines = LineBuffer(written.append, seconds=0.01, most_bytes=2**30)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Timer, "start", Mock(side_effect=RuntimeError("can't start new thread")))
        lines.append(b"a")
    lines.append(b"b")
    wait_until(lambda: b"".join(written) == b"ab", what="both are written without another call")
    lines.close()
