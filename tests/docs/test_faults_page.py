"""The table of faults tells of tests that are there, and of every file of them."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"
FAULTS = ROOT / "tests" / "faults"
SUPPORT = {"test_cleanup_model"}
"""Of cleanups, whose page is docs/cleanup.md."""
FILE = re.compile(r"`(?:(tests/[\w/]+/))?(test_\w+)(?:\.py)?`")


def rows() -> list[str]:
    """The cells on tests of all tables."""
    lines = PAGE.read_text().splitlines()
    return [line.rstrip(" |").rpartition(" | ")[2] for line in lines if line.startswith("| ") and "---" not in line]


def names_in(path: Path) -> list[str]:
    """The names of a file's tests as the page writes them: in words."""
    tree = ast.parse(path.read_text())
    found = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [name.removeprefix("test_").replace("_", " ") for name in found if name.startswith("test_")]


@cache
def every_name() -> list[str]:
    return [name for path in ROOT.glob("tests/*/**/test_*.py") for name in names_in(path)]


def phrases(cell: str) -> list[str]:
    """The parts of tests' names in a cell, without its files' names and dots."""
    bare = FILE.sub("", cell).replace(": ", ";", 1) if FILE.search(cell) else cell
    parts = (part for phrase in bare.split(";") for part in phrase.split("…"))
    return [part.strip(" .,:") for part in parts if part.strip(" .,:")]


CELLS = [cell for cell in rows() if cell != "test"]


@pytest.mark.parametrize("cell", CELLS)
def test_each_test_that_the_page_names_is_there(cell: str) -> None:
    files = [(ROOT / (folder or "tests/faults/")) / f"{name}.py" for folder, name in FILE.findall(cell)]
    known = {path.name: path for path in ROOT.glob("tests/*/**/test_*.py")}
    assert not [path.name for path in files if path.name not in known]
    names = every_name()
    assert not [phrase for phrase in phrases(cell) if not any(phrase.lower() in name.lower() for name in names)]


def test_a_name_that_no_test_has_would_be_seen() -> None:
    (phrase,) = phrases("`test_state`: a full disc …")
    assert not any(phrase in name for name in every_name())


def test_the_page_tells_of_every_file_of_faults() -> None:
    told = {name for _, name in FILE.findall(PAGE.read_text())}
    assert {path.stem for path in FAULTS.glob("test_*.py")} - told - SUPPORT == set()
