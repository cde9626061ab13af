"""Ctrl-C ends the command quietly, however early it comes, and its import takes no longer than it must."""

import gc
import importlib.metadata
import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from flows.entry import main

PROJECT = Path(__file__).resolve().parents[3]
WITH_CTRL_C = """
import os, signal, sys
from importlib import import_module

_, interrupted, entry, *arguments = sys.argv
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job would ignore
sys.argv = ["layoutlift", *arguments]

class CtrlC:
    def find_spec(self, name, path, target=None):
        if name == interrupted:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, CtrlC())
module, function = entry.split(":")
sys.exit(getattr(import_module(module), function)())
"""

WITH_SEARCHES = """
import gc, sys
from flows.entry import main

def searched(phase, info):
    command = sys.modules.get("flows.cli")
    if phase == "start" and command and not hasattr(command, "main"):
        print("searched for garbage while the command was imported")

gc.callbacks.append(searched)
sys.argv = ["layoutlift", "--version"]
main()
"""


@pytest.mark.parametrize(
    ("imported", "asked"),
    [(module, "ls") for module in ("flows.cli", "click", "pydantic", "tasks.run_options", "flows.terminal.listing")]
    + [("flows.commands.cutover", "--help")],
)
def test_ctrl_c_during_an_import_ends_quietly_with_130(imported: str, asked: str, tmp_path: Path) -> None:
    assert importlib.util.find_spec(imported)  # or nothing would be interrupted
    entry = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["scripts"]["layoutlift"]
    program = [sys.executable, "-c", WITH_CTRL_C, imported, entry, asked, tmp_path]
    ended = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_nothing_looks_for_garbage_while_the_command_is_imported() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITH_SEARCHES], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines() == [f"layoutlift, version {importlib.metadata.version('layoutlift')}"]


def test_nothing_looks_for_garbage_when_the_command_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[object] = []
    command = ModuleType("flows.cli")
    command.main = lambda: left.extend([] for _ in range(20_000))
    monkeypatch.setitem(sys.modules, "flows.cli", command)
    try:
        main()
        assert len(left) == 20_000
        assert len(gc.get_objects()) < len(left)
    finally:
        gc.unfreeze()
