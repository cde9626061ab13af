"""The AWS CLI that a benchmark runs with the user's credentials is what was locked, byte for byte."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tasks.oci.errors import ConfigurationError, ProgramMissingError
from tasks.stores.benchmark.aws_cli import LOCKED, VERSION, cache_folder, ready_aws_cli

ROOT = Path(__file__).parents[4]


def test_every_package_is_pinned_with_hashes_and_the_cli_as_it_is_called() -> None:
    text = LOCKED.read_text()
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+) .*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE))
    assert len(pinned) == text.count("==")
    assert pinned["awscli"] == VERSION
    assert (ROOT / "requirements" / "awscli.in").read_text() == f"awscli=={VERSION}\n"


def test_the_list_is_installed_with_the_package() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert LOCKED.name in wanted["tasks.stores.benchmark"]


def test_nothing_is_installed_without_its_hash_and_a_failure_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    environments: list[dict[str, str]] = []

    def run(command: list[str], *, env: dict[str, str], **_: Any) -> None:
        commands.append(command)
        environments.append(env)
        if "venv" in command:
            Path(command[-1]).mkdir()
        if len(commands) == 2:
            raise subprocess.CalledProcessError(1, command, stderr="THESE PACKAGES DO NOT MATCH THE HASHES")

    monkeypatch.setattr(subprocess, "run", run)
    for name in ("AWS_SECRET_ACCESS_KEY", "LAYOUTLIFT_TARGET_PASSWORD", "PYTHONPATH", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "one")
    with pytest.raises(ProgramMissingError, match="DO NOT MATCH THE HASHES"):
        ready_aws_cli(tmp_path / "awscli")
    assert commands[1][-5:] == ["--only-binary", ":all:", "--require-hashes", "-r", str(LOCKED)]
    told = {name for each in environments for name in each}
    assert "PIP_INDEX_URL" in told
    assert not [name for name in told if name.startswith(("AWS_", "LAYOUTLIFT_", "PYTHON"))], "no secret is pip's"
    assert ready_aws_cli(tmp_path / "awscli") == tmp_path / "awscli" / "bin" / "aws"
    assert len(commands) == 4


@pytest.mark.parametrize("cache", ["", "relative"])
def test_it_is_kept_below_the_home_that_the_environment_names(cache: str) -> None:
    found = cache_folder({"HOME": "/home/one", "XDG_CACHE_HOME": cache})
    assert found == Path("/home/one/.cache/layoutlift", f"awscli-{VERSION}")
    assert cache_folder({"HOME": "/home/one", "XDG_CACHE_HOME": "/cache"}).parent == Path("/cache/layoutlift")


def test_a_user_without_a_home_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    with pytest.raises(ConfigurationError, match="no home folder"):
        cache_folder({})
