"""What is committed was meant to be: no report or state that somebody left beside the sources."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"deployments", "docs", "flows", "infra", "requirements", "tasks", "tests"}
FILES = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "pyproject.toml"}


@pytest.fixture(scope="module")
def committed() -> list[bytes]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("these sources are not a checkout")
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    return subprocess.run(command, capture_output=True, check=True).stdout.split(b"\0")[:-1]


def test_nothing_lies_beside_the_sources(committed: list[bytes]) -> None:
    top = {name.partition(b"/")[0].decode(errors="replace") for name in committed}
    assert {name for name in top - FOLDERS - FILES if not name.startswith(".")} == set()


def test_every_name_can_be_typed(committed: list[bytes]) -> None:
    assert [name for name in committed if not re.fullmatch(rb"[\w./+-]+", name)] == []
