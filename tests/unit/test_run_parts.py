"""A report says which program made it, where, and of which source, whatever was typed."""

import json
import os
import socket
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tasks.run_options import RunKind, RunOptions
from tasks.run_parts import about_run
from tasks.runs import open_run
from tasks.stop import Stop
from tests.support.checks import check_of_one_tag


def reported(options: RunOptions) -> dict[str, Any]:
    """What the report of a check says of the run; the process goes elsewhere before it is written."""
    with open_run(RunKind.CHECK, options, Stop()) as run:
        run.tree.execute_all(run.survey().batches)
        os.chdir("/")
        found: dict[str, Any] = json.loads(run.write_report().read_bytes())["run"]
    return found


def test_a_report_names_the_program_the_machine_and_the_real_place_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.` or a link says nothing a month later, on another machine."""
    options = check_of_one_tag(tmp_path)
    (tmp_path / "link").symlink_to("source")
    monkeypatch.chdir(tmp_path)
    found = reported(replace(options, source="link"))
    assert (found["version"], found["host"]) == (version("layoutlift"), socket.gethostname())
    assert (found["source"], found["source_path"]) == ("link", str((tmp_path / "source").resolve()))


def test_a_bucket_has_no_path_but_its_name() -> None:
    about = about_run(RunKind.CHECK, RunOptions("s3://bucket/prefix", None), "r1")
    assert (about["source"], about["source_path"]) == ("s3://bucket/prefix", None)
