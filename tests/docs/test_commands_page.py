"""The page of the commands says what the commands are, and its check would notice if it did not."""

import re

import click
import pytest
from click.testing import CliRunner

from flows import cli
from infra.command_reference import PAGE, reference

COMMANDS = re.findall(r"^## layoutlift (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def help_of(command: str) -> str:
    """What `--help` prints on a terminal of 80 columns."""
    return CliRunner().invoke(cli.main, [*command.split(), "--help"], env={"COLUMNS": "80"}).output


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run `make docs`"


def test_a_new_option_makes_the_page_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    option = click.Option(["--novelty"], envvar="LAYOUTLIFT_NOVELTY", help="Either a|b")
    monkeypatch.setattr(cli.ls, "params", [*cli.ls.params, option])
    changed = set(reference().splitlines()) - set(PAGE.read_text(encoding="utf-8").splitlines())
    assert changed == {"| `--novelty TEXT` | `LAYOUTLIFT_NOVELTY` | Either a\\|b |"}


def test_every_command_that_is_no_group_has_a_section() -> None:
    sections = {line.removeprefix("## ") for line in reference().splitlines() if line.startswith("## ")}
    assert {"layoutlift migrate", "layoutlift server start", "layoutlift cleanup plan"} <= sections
    assert "layoutlift server" not in sections


def test_what_stands_for_a_value_says_what_it_is() -> None:
    assert re.findall(r"^\| `(--\S+) TEXT`", PAGE.read_text(encoding="utf-8"), re.MULTILINE) == []


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_terminal(command: str) -> None:
    assert [line for line in help_of(command).splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_source_and_target_may_be(command: str) -> None:
    shown = help_of(command)
    for argument in re.findall(r"\b(?:SOURCE|TARGET|LOCATION)\b", shown.splitlines()[0]):
        assert f"\n  {argument} is " in shown or f" {argument} is " in shown
