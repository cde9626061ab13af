"""What goes wrong in the process that reads a mount is told to whoever asked, and to nobody else."""

import errno
import os
import shutil
import signal
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tasks.oci.errors import InterruptedRunError, SourceError, SourceReadError, SourceUnavailableError
from tasks.stop import Stop
from tasks.stores import silence
from tasks.stores.directory import mounts, watched_process
from tasks.stores.directory.layout_channel import Channel
from tasks.stores.directory.mount_patience import Patience
from tasks.stores.directory.watched_layouts import WatchedLayouts
from tasks.stores.directory.watched_process import WatchedProcess
from tasks.stores.silence import Silence
from tests.support.hung_mounts import stopped_process
from tests.support.layouts import LayoutBuilder


@pytest.fixture
def source(tmp_path: Path) -> Generator[WatchedLayouts]:
    LayoutBuilder(tmp_path / "app").write()
    process = WatchedProcess(str(tmp_path), Patience())
    yield WatchedLayouts(process)
    process.close()


def test_a_bug_costs_the_request_that_met_it_and_is_named(source: WatchedLayouts) -> None:
    said = r"unexpected ValueError: (open: )?embedded null (byte|character)"  # by the version of Python
    with pytest.raises(SourceError, match=said) as raised:
        source.read_index("a\0b")
    assert raised.value.code == SourceError.code
    assert source.read_index("app").raw


def test_an_empty_root_is_told_from_one_with_something_in_it(source: WatchedLayouts, tmp_path: Path) -> None:
    assert not source.is_empty()
    shutil.rmtree(tmp_path / "app")
    assert source.is_empty()


@pytest.mark.parametrize("lacking", ["socket.socketpair", "os.memfd_create", "subprocess.Popen"])
def test_a_machine_that_gives_no_more_is_not_taken_for_a_process_that_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    """As under a limit of open files or of processes; whoever reads that a process ended looks for what killed it."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(lacking, refuse)
    with (
        closing(WatchedProcess(str(tmp_path), Patience())) as process,
        pytest.raises(SourceUnavailableError, match="Too many open files; raise the limit"),
    ):
        process.ask({"do": "look", "path": "."}, "the source")


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def process(tmp_path: Path, stop: Stop) -> Generator[WatchedProcess]:
    """Reads two layouts, and is gone at the end."""
    for name in ("app", "other"):
        LayoutBuilder(tmp_path / name).write()
    process = WatchedProcess(str(tmp_path), Patience(), stop)
    assert process.ask({"do": "look", "path": "."}, "the source") == 0
    yield process
    process.close()
    assert process._process is not None
    process._process.wait(60)


def test_a_list_is_none_where_a_mount_below_the_source_was_taken_away_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its layouts would be passed over, and the run end well."""
    LayoutBuilder(tmp_path / "app").write()
    (tmp_path / "mounted").mkdir()
    monkeypatch.setattr(mounts, "hanging_mounts", lambda: frozenset({str(tmp_path / "mounted")}))
    with closing(WatchedProcess(str(tmp_path), Patience())) as process:
        source = WatchedLayouts(process)
        with pytest.raises(SourceUnavailableError, match="/mounted was taken away"):
            list(source.list_layouts())


def test_a_list_that_comes_steadily_ends_with_the_run(process: WatchedProcess, stop: Stop) -> None:
    """A slow mount gives a layout now and then, each within the time that a single read has when a run is to end."""
    layouts = WatchedLayouts(process).list_layouts()
    assert next(layouts) == "app"
    stop.set()
    with pytest.raises(InterruptedRunError):
        next(layouts)


def test_a_list_of_which_nothing_comes_is_waited_for_no_longer_than_one_look(
    process: WatchedProcess, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []
    receive = Channel.receive

    def noted(channel: Channel, seconds: float | None = None) -> Any:
        looks.append(found := receive(channel, seconds))
        return found

    monkeypatch.setattr(Channel, "receive", noted)
    assert process._pid is not None
    with stopped_process(process._pid):
        os.kill(process._pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process._pid, os.WSTOPPED)  # until it has stopped, it may still answer
        stop.set()
        with pytest.raises(InterruptedRunError):
            next(WatchedLayouts(process).list_layouts())
    assert looks == [None]


def test_a_source_of_which_nothing_can_be_read_is_gone_though_its_mount_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with s3fs, whose store is away: each file is given up by itself, late."""
    LayoutBuilder(tmp_path / "app").write()
    process = WatchedProcess(str(tmp_path), Patience())
    monkeypatch.setattr(silence, "LEAST_FAILURES", 2)
    monkeypatch.setattr(process, "_silence", Silence(0.0))
    with closing(process):
        assert process.read({"do": "index", "path": "app"}, "app")
        monkeypatch.setattr(watched_process, "error_from_json", lambda _: SourceReadError("Input/output error"))
        for kind, reason in (
            (SourceReadError, "Input/output error"),
            (SourceUnavailableError, "nothing could be read"),
        ):
            with pytest.raises(kind, match=reason):
                process.read({"do": "index", "path": "absent"}, "absent")
        with pytest.raises(SourceUnavailableError, match="the store behind it may be away"):
            process.read({"do": "index", "path": "app"}, "app")
