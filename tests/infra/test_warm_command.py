"""A command that is forked from a process with all imported is the command that users start."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command import STARTED_ANEW, Layoutlift
from tests.support.layouts import LayoutBuilder
from tests.support.warm_command import WarmCommand


@pytest.mark.parametrize(
    ("line", "code", "environment"),
    [
        (["ls", "layouts"], 0, {}),
        (["ls", "layouts", "--json"], 0, {}),
        (["check", "nowhere"], 2, {}),
        (["check", "layouts", "--state", "other"], 0, {"XDG_STATE_HOME": "/proc/no-place"}),
        (["check", "layouts"], 2, {"XDG_STATE_HOME": "/proc/no-place"}),
        (["migrate", "layouts", "registry.example", "--username", "me", "--password-stdin", "--jobs", "0"], 2, {}),
        (["ls", "layouts", "--excepting"], 2, {"COLUMNS": "40"}),
    ],
)
def test_it_ends_says_and_writes_the_same(
    line: list[str], code: int, environment: Mapping[str, str], layoutlift: Layoutlift
) -> None:
    layout = LayoutBuilder(layoutlift.home / "layouts" / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    anew = replace(layoutlift, program=STARTED_ANEW)
    forked, started = (
        each(*line, code=code, environment=environment, stdin="secret\n") for each in (layoutlift, anew)
    )
    assert (plain(forked.stdout), plain(forked.stderr)) == (plain(started.stdout), plain(started.stderr))
    assert forked.output


def plain(text: str) -> str:
    """Without what differs from run to run: its name and seconds."""
    return re.sub(r"[0-9T]+-[0-9a-f]{6}|[0-9.]+ s", "…", text)


def run(command: WarmCommand, folder: Path, timeout: float = 60.0, **more: str) -> int | None:
    environment = {"LANG": "C.UTF-8", "HOME": str(folder), **more}
    ended = command.run(["layoutlift", "check", str(folder)], environment, folder, "", timeout)
    return ended and ended.returncode


def test_who_needs_a_start_of_his_own_gets_none(tmp_path: Path) -> None:
    command = WarmCommand()
    LayoutBuilder(tmp_path / "app").write()
    assert run(command, tmp_path) == 0
    assert run(command, tmp_path, LANG="C") is None
    assert run(command, tmp_path, PYTHONDEVMODE="1") is None
    with command._lock:  # another thread's command is at work
        assert run(command, tmp_path) is None


def test_a_command_that_takes_too_long_is_killed_and_the_next_one_runs(tmp_path: Path) -> None:
    command = WarmCommand()
    LayoutBuilder(tmp_path / "app").write()
    with pytest.raises(subprocess.TimeoutExpired):
        run(command, tmp_path, timeout=0.0)
    assert run(command, tmp_path) == 0
