"""What needs no Prefect does not import it, and `--help` answers at once."""

import re
import resource
import sys
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tests.support.command import LAYOUTLIFT, STARTED_ANEW, Layoutlift
from tests.support.layouts import LayoutBuilder

YARDSTICK = (sys.executable, "-c", "import click, pydantic, urllib3")
MOST_TIMES = 4
"""Of the yardstick's processor time; help takes 2.3 to 2.9 times as much, and with Prefect 8."""
IMPORTED = re.compile(r"^import time:.*\|\s+([\w.]+)$", re.MULTILINE)


def imported(layoutlift: Layoutlift, *line: str | Path) -> set[str]:
    """The top-level packages that the command imports."""
    program = (sys.executable, "-X", "importtime", LAYOUTLIFT)
    traced = Layoutlift(layoutlift.home, layoutlift.environment, program)
    modules = IMPORTED.findall(traced(*line).stderr)
    assert "flows.cli" in modules
    return {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize("command", ["ls", "plan", "migrate", "verify", "check"])
def test_commands_without_a_server_import_no_prefect(
    command: str, layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    layout = LayoutBuilder(source / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    target = f"{docker_registry.host}/{prefix}"
    if command == "ls":
        line = ["ls", str(source)]
    elif command == "check":
        line = layoutlift.line("check", source)
    else:
        line = layoutlift.line(command, source, target)
        layoutlift.migrate(source, target, "--state", tmp_path / "state")
    packages = imported(layoutlift, *line)
    assert "prefect" not in packages
    if command in {"ls", "check"}:
        assert packages.isdisjoint({"oras", "requests", "urllib3"})


def test_ls_of_a_directory_imports_no_sdk(layoutlift: Layoutlift, tmp_path: Path) -> None:
    LayoutBuilder(tmp_path / "app").write()
    assert imported(layoutlift, "ls", tmp_path).isdisjoint({"boto3", "botocore"})


@pytest.mark.parametrize("line", [["migrate", "--help"], ["--version"]], ids=" ".join)
def test_help_and_version_answer_at_once(line: list[str], layoutlift: Layoutlift) -> None:
    """Compared by turns with something that is as fast as the machine is at the moment."""
    yardstick = Layoutlift(layoutlift.home, layoutlift.environment, YARDSTICK)
    layoutlift.program = STARTED_ANEW
    pairs = [(seconds_of(layoutlift, *line), seconds_of(yardstick)) for _ in range(3)]
    ours, theirs = (min(seconds) for seconds in zip(*pairs, strict=True))
    assert ours < MOST_TIMES * theirs


def seconds_of(program: Layoutlift, *line: str) -> float:
    """Of processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert program(*line).code == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
