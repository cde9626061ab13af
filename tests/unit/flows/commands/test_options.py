"""What the options of a command make of what they are given, and of the environment."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from flows.cli import main
from flows.commands.options import with_parameters
from flows.forms.parameters import MigrateParameters


def taken(**environment: str) -> dict[str, Any]:
    """What a command gets of variables alone."""
    found: dict[str, Any] = {}

    @click.command()
    @with_parameters(MigrateParameters)
    def command(**given: Any) -> None:
        found.update(given)

    ended = CliRunner().invoke(command, ["/mnt/bucket", "localhost:5000"], env=environment, catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return found


@pytest.mark.parametrize(
    ("value", "values"),
    [
        ("Legacy Tools", ("Legacy Tools",)),
        ("Legacy Tools\nteam/**:v*\n", ("Legacy Tools", "team/**:v*")),
        ("", ()),
    ],
)
def test_each_line_of_a_variable_is_a_value(value: str, values: tuple[str, ...]) -> None:
    assert taken(LAYOUTLIFT_INCLUDE=value)["include"] == values


def test_a_rename_with_a_blank_can_stand_in_the_environment() -> None:
    assert taken(LAYOUTLIFT_RENAME="Legacy Tools=archive/tools")["rename"] == ("Legacy Tools=archive/tools",)


@pytest.mark.parametrize(
    "before",
    [["migrate"], ["migrate", "--report"], ["check", "--state"], ["cleanup", "plan", "--policy"], ["zot", "check"]],
    ids=" ".join,
)
def test_a_shell_completes_names_of_files(before: list[str]) -> None:
    (item,) = BashComplete(main, {}, "layoutlift", "_LAYOUTLIFT_COMPLETE").get_completions(before, "/mn")
    assert (item.type, item.value) == ("file", "/mn")


@pytest.mark.parametrize("option", ["--on-conflict", "--registry-kind"])
def test_a_shell_completes_what_an_option_takes(option: str) -> None:
    items = BashComplete(main, {}, "layoutlift", "_LAYOUTLIFT_COMPLETE").get_completions(["migrate", option], "")
    assert {item.type for item in items} == {"plain"}
    assert {"overwrite", "harbor"} & {item.value for item in items}


def test_a_process_alone_can_be_asked_for_in_the_environment(tmp_path: Path) -> None:
    command = ["migrate", str(tmp_path), "localhost:1", "--shards", "2"]
    ended = CliRunner().invoke(main, command, env={"LAYOUTLIFT_STANDALONE": "1"})
    assert ended.exit_code == 2
    assert "need Prefect: leave out --standalone (LAYOUTLIFT_STANDALONE) and --dry-run" in ended.stderr


def test_an_option_that_does_not_go_with_another_is_named_with_the_variable_that_it_came_from() -> None:
    command = ["migrate", "/mnt/bucket", "localhost:1", "--prove-again"]
    ended = CliRunner().invoke(main, command, env={"LAYOUTLIFT_SINCE_LAST": "1"})
    assert ended.exit_code == 2
    assert "--prove-again: not with --since-last (LAYOUTLIFT_SINCE_LAST), which" in ended.stderr
