"""`make` works with the better built Python of two, and with the one that it is told to use."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path("infra/choose_python.sh").resolve()


def python(path: Path, *, optimised: bool = True, suitable: bool = True) -> Path:
    """A stand-in that answers the two questions of the script: how it was built, and what it can do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    answers = f"*CONFIG_ARGS*) exit {int(not optimised)};; *ensurepip*) exit {int(not suitable)};;"
    path.write_text(f"#!/bin/sh\ncase $2 in {answers} esac\n")
    path.chmod(0o755)
    return path


def chosen(search_path: Path, distributions: Path) -> str:
    outcome = subprocess.run(
        [SCRIPT, distributions],
        env={"PATH": f"{search_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert outcome.stderr == ""
    return outcome.stdout.strip()


def test_a_python_that_was_compiled_without_optimisation_gives_way_to_the_distributions(tmp_path: Path) -> None:
    python(tmp_path / "path" / "python3", optimised=False)
    distributions = python(tmp_path / "usr" / "python3")
    assert chosen(tmp_path / "path", distributions) == str(distributions)


def test_an_optimised_python_of_the_search_path_is_taken(tmp_path: Path) -> None:
    python(tmp_path / "path" / "python3")
    assert chosen(tmp_path / "path", python(tmp_path / "usr" / "python3")) == "python3"


def test_a_distributions_python_that_is_too_old_or_makes_no_environments_is_not_taken(tmp_path: Path) -> None:
    python(tmp_path / "path" / "python3", optimised=False)
    assert chosen(tmp_path / "path", python(tmp_path / "usr" / "python3", suitable=False)) == "python3"
    assert chosen(tmp_path / "path", tmp_path / "missing") == "python3"


@pytest.mark.parametrize("named_by", ["argument", "environment"])
def test_a_python_that_is_named_is_taken_before_all(named_by: str) -> None:
    named = "PYTHON=python3.99"
    command = ["make", "python", named] if named_by == "argument" else ["env", named, "make", "python"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 2
    assert "'python3.99' is not" in outcome.stderr
