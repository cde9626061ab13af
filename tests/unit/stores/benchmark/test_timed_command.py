import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from tasks.oci.errors import InterruptedRunError, ProgramFailedError, StateError
from tasks.stop import Stop
from tasks.stores.benchmark import timed_command
from tasks.stores.benchmark.timed_command import TimedCommand

BUSY = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"


def command(tmp_path: Path, code: str) -> TimedCommand:
    return TimedCommand([sys.executable, "-c", code], folder=tmp_path, environment=os.environ, log=tmp_path / "log")


def test_processor_time_is_the_commands_own(tmp_path: Path) -> None:
    timing = command(tmp_path, BUSY).run(Stop())
    assert timing.user + timing.system >= 0.29
    assert timing.wall >= 0.2, "the clock starts when the command is seen to run, which may be late"
    assert timing.first_byte is None


def test_the_time_of_children_counts(tmp_path: Path) -> None:
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"
    timing = command(tmp_path, code).run(Stop())
    assert timing.user + timing.system >= 0.29


def test_what_a_command_uses_before_it_is_ready_is_not_counted(tmp_path: Path) -> None:
    timing = command(tmp_path, f"{BUSY}\nprint('ready', flush=True); input()").run(Stop(), waits=True)
    assert timing.user < 0.25


def test_the_first_byte_is_seen_before_the_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    code = f"import pathlib, time; pathlib.Path({str(out / 'file')!r}).write_text('x'); time.sleep(1)"
    timing = command(tmp_path, code).run(Stop(), out=out)
    assert timing.first_byte is not None
    assert timing.first_byte < timing.wall - 0.1


@pytest.mark.filterwarnings("error")
def test_a_folder_that_is_looked_at_is_closed_though_the_first_of_its_files_says_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("one", "two"):
        (out / name).write_text("x")
    timing = command(tmp_path, "import time; time.sleep(0.1)").run(Stop(), out=out)
    assert timing.first_byte is not None


def test_a_command_that_fails_has_no_timing_and_its_words_are_told(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailedError, match="status 3: no such bucket"):
        command(tmp_path, "print('no such bucket'); raise SystemExit(3)").run(Stop())
    with pytest.raises(ProgramFailedError, match="did not get ready"):
        command(tmp_path, "raise SystemExit(1)").run(Stop(), waits=True)
    with pytest.raises(ProgramFailedError, match="can't be started"):
        TimedCommand(["/nonexistent"], folder=tmp_path, environment={}, log=tmp_path / "log").run(Stop())


def test_what_a_command_says_is_told_without_its_secrets(tmp_path: Path) -> None:
    """As oras, which names where a registry redirected it to."""
    said = "Get https://bucket.example/blob?X-Amz-Signature=hidden-signature: connection refused"
    with pytest.raises(ProgramFailedError, match=r"bucket\.example/blob") as failed:
        command(tmp_path, f"print({'x ' * 5_000 + said!r}); raise SystemExit(1)").run(Stop())
    assert "hidden-signature" not in str(failed.value)


def test_a_run_that_is_told_to_stop_ends_the_command(tmp_path: Path) -> None:
    stop = Stop()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(InterruptedRunError):
        command(tmp_path, "import time; time.sleep(60)").run(stop)


@pytest.mark.timeout(30)
def test_a_command_that_never_gets_ready_is_ended_too(tmp_path: Path) -> None:
    stop = Stop()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(InterruptedRunError):
        command(tmp_path, "import time; time.sleep(60)").run(stop, waits=True)


@pytest.mark.timeout(30)
def test_a_command_that_can_not_be_killed_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hung mount holds its readers until its own program has ended, which is for who started that."""
    held: list[int] = []
    stop = Stop()
    threading.Timer(0.3, stop.set).start()
    with monkeypatch.context() as patched:
        patched.setattr(timed_command, "LETS_GO_SECONDS", 0.1)
        patched.setattr(timed_command.os, "killpg", lambda pid, _: held.append(pid))
        with pytest.raises(InterruptedRunError):
            command(tmp_path, "import time; time.sleep(60)").run(stop)
    (pid,) = held
    os.kill(pid, signal.SIGKILL)  # it is there
    os.waitpid(pid, 0)


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(StateError, match="log can't be written"):
        command(tmp_path, "").run(Stop())
