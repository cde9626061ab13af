"""Every command can be made to say what it does."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.terminal.log_lines import DEBUG
from tasks.ports import Finding
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.layouts import LayoutBuilder
from tests.support.scripted_registry import Reply, ScriptedRegistry


def leaves(context: click.Context) -> Iterator[click.Context]:
    """A context for each command that does something."""
    if not isinstance(context.command, click.Group):
        yield context
        return
    for name in context.command.list_commands(context):
        command = context.command.get_command(context, name)
        assert command is not None
        yield from leaves(click.Context(command, info_name=name, parent=context))


def test_every_command_has_the_option_once() -> None:
    for _ in range(2):
        for context in leaves(click.Context(main, info_name="layoutlift")):
            options = [parameter for parameter in context.command.params if "--debug" in parameter.opts]
            assert len(options) == 1, context.command_path


@pytest.mark.parametrize(
    ("arguments", "variable", "debugged"),
    [((), None, False), (("--debug",), "0", True), ((), "1", True)],
)
def test_the_option_and_its_variable_write_each_request_to_standard_error(
    arguments: tuple[str, ...], variable: str | None, debugged: bool, tmp_path: Path
) -> None:
    layout = LayoutBuilder(tmp_path / "tree" / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    registry = ScriptedRegistry()
    registry.always("GET", "/v2/", Reply())
    registry.always("GET", "/v2/app/tags/list", Reply(404))
    registry.always("HEAD", "/v2/app/manifests/v1", Reply(404))
    program = [sys.executable, "-c", "from flows.cli import main; main()", "plan", tmp_path / "tree", registry.host]
    environment = {name: value for name, value in os.environ.items() if name != DEBUG}
    if variable is not None:
        environment[DEBUG] = variable
    ended = subprocess.run(
        [*program, "--plain-http", "--state", tmp_path / "state", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    registry.stop()
    registry.check()
    assert ended.returncode == 0, ended.stderr
    assert (f"debug: GET {registry.url}/v2/app/tags/list: 404, " in ended.stderr) is debugged


def test_what_a_store_warns_of_can_not_steer_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = LayoutDirectory.list_layouts

    def list_layouts(directory: LayoutDirectory) -> Iterator[str | Finding]:
        logging.getLogger("tasks.stores.silence").warning("%s is waited for", "app\x1b]0;owned\x07")
        return find(directory)

    monkeypatch.setattr(LayoutDirectory, "list_layouts", list_layouts)
    ended = CliRunner().invoke(main, ["ls", str(tmp_path)])
    assert "warning: app\\x1b]0;owned\\x07 is waited for\n" in ended.stderr
    assert "\x1b" not in ended.stderr


def test_a_variable_that_is_neither_yes_nor_no_is_told(tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, ["ls", str(tmp_path)], env={DEBUG: "perhaps"})
    assert ended.exit_code == 2
    assert "perhaps" in ended.output
    assert DEBUG in ended.output
