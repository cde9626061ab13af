"""What needs no Prefect does not import it, and `--help` answers at once."""

import re
import resource
import sys
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tests.support.command import LAYOUTLIFT, Layoutlift
from tests.support.layouts import LayoutBuilder

HELP_SECONDS = 0.5
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
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    target = f"{docker_registry.host}/{prefix}"
    if command == "ls":
        line = ["ls", str(tmp_path)]
    elif command == "check":
        line = layoutlift.line("check", tmp_path)
    else:
        line = layoutlift.line(command, tmp_path, target)
        layoutlift.migrate(tmp_path, target, "--state", tmp_path / "state")
    packages = imported(layoutlift, *line)
    assert "prefect" not in packages
    if command in {"ls", "check"}:
        assert packages.isdisjoint({"oras", "requests", "urllib3"})


def test_ls_of_a_directory_imports_no_sdk(layoutlift: Layoutlift, tmp_path: Path) -> None:
    LayoutBuilder(tmp_path / "app").write()
    assert imported(layoutlift, "ls", tmp_path).isdisjoint({"boto3", "botocore"})


def test_help_and_version_answer_within_half_a_second(layoutlift: Layoutlift) -> None:
    for line in (["--help"], ["migrate", "--help"], ["--version"]):
        assert min(seconds_of(layoutlift, line) for _ in range(5)) < HELP_SECONDS


def seconds_of(layoutlift: Layoutlift, line: list[str]) -> float:
    """Of processor time, which is the same on a busy machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert layoutlift(*line).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
