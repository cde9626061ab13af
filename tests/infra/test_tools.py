"""Programs are taken from where their user had them put, and from nowhere that others may write to."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from infra.real_parts import find_tool, tools
from tasks.oci.errors import ProgramMissingError
from tasks.stores.local_parts.programs import TOOLS_VARIABLE

CI = Path(__file__).parents[2] / ".ci" / "run"
OTHER_USER = 4711


def put(folder: Path, name: str, script: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for made in (folder, folder.parent):  # whatever the umask
        made.chmod(0o755)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_what_lies_beside_the_clone_is_no_program_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who clones into /tmp has a neighbour there that anybody could make."""
    beside = put(tmp_path / "shared" / "bin", "goofys").parent
    monkeypatch.setattr(tools, "CHECKOUT", tmp_path / "clone", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(TOOLS_VARIABLE, raising=False)
    with pytest.raises(ProgramMissingError, match=TOOLS_VARIABLE):
        find_tool("goofys")
    monkeypatch.setenv(TOOLS_VARIABLE, str(beside))
    assert find_tool("goofys") == beside / "goofys"


def taken(tmp_path: Path) -> str:
    """The folder of tools that CI has in a clone there."""
    (tmp_path / "clone" / ".ci").mkdir(parents=True, exist_ok=True)
    run = shutil.copy(CI, tmp_path / "clone" / ".ci" / "run")
    put(tmp_path / "stubs", "make", f'echo "${TOOLS_VARIABLE}"')
    environment = {"PATH": f"{tmp_path / 'stubs'}:{os.environ['PATH']}"}
    return subprocess.run([run], env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_ci_takes_what_lies_beside_the_clone_where_nobody_else_could_have_put_it_there(tmp_path: Path) -> None:
    assert taken(tmp_path) == ""
    program = put(tmp_path / "shared" / "bin", "goofys")
    assert taken(tmp_path) == str(program.parent)
    for path in (program, program.parent, program.parent.parent):
        mode = path.stat().st_mode
        path.chmod(0o777)
        assert taken(tmp_path) == "", path
        path.chmod(mode)
    assert taken(tmp_path) == str(program.parent)
    (program.parent / "gone").symlink_to("nowhere")
    assert taken(tmp_path) == str(program.parent), "a link that leads nowhere is no program"
    (tmp_path / "shared").rename(tmp_path / "elsewhere")
    (tmp_path / "shared").symlink_to("elsewhere")
    assert taken(tmp_path) == str(tmp_path / "elsewhere" / "bin"), "a link may be another one in a moment"


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_ci_takes_no_program_of_another_user(tmp_path: Path) -> None:
    program = put(tmp_path / "shared" / "bin", "goofys")
    for path in (program, program.parent, program.parent.parent):
        os.chown(path, OTHER_USER, 0)
        assert taken(tmp_path) == "", path
        os.chown(path, 0, 0)
    assert taken(tmp_path) == str(program.parent)
