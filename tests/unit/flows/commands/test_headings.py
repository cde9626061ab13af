"""`--help` divides the many options of a command by what they are about."""

from typing import Any

import click
import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.commands.headings import HeadedCommand, headed
from flows.forms.field_order import HEADINGS, LAST


def headings_of(*command: str) -> dict[str, list[str]]:
    """The lists of options that a command's `--help` shows, by heading."""
    found: click.Command | None = main
    context = click.Context(main)
    for name in command:
        assert isinstance(found, click.Group)
        found = found.get_command(context, name)
        assert found is not None
        context = click.Context(found, info_name=name, parent=context)
    return {
        heading: [str(each.name) for each in options if "--help" not in each.opts]
        for heading, options in headed(context.command, context)
    }


def test_options_stand_below_their_heading_in_its_order() -> None:
    shown = headings_of("migrate")
    assert shown["Names at the target"] == ["rename", "flatten", "strict_names"]
    assert list(shown) == [heading for heading in HEADINGS if heading in shown]


@pytest.mark.parametrize("command", ["check", "zot check"])
def test_a_command_without_a_target_has_no_heading_of_one(command: str) -> None:
    assert not [heading for heading in headings_of(*command.split()) if "target" in heading]


@pytest.mark.parametrize(
    ("command", "first"),
    [
        ("cleanup plan", ["policy", "gate"]),
        ("cleanup apply", ["i_am_the_only_writer", "max_tags"]),
        ("cleanup undo", ["source", "i_am_the_only_writer"]),
        ("delete", ["gate", "keep_referrers", "applies", "i_am_the_only_writer"]),
        ("recover", ["marked", "applies", "i_am_the_only_writer"]),
    ],
)
def test_what_a_command_is_told_to_do_stands_before_what_it_has_besides(command: str, first: list[str]) -> None:
    (shown,) = headings_of(*command.split()).values()
    assert shown[: len(first)] == first
    assert shown[-1] == "debug"


def test_help_shows_the_headings() -> None:
    lines = CliRunner().invoke(main, ["migrate", "--help"]).output.splitlines()
    assert [line.removesuffix(":") for line in lines if line and line[0] != " "][1:] == list(headings_of("migrate"))


def test_a_command_of_few_options_has_one_list() -> None:
    assert list(headings_of("ls")) == ["Options"]


@pytest.mark.parametrize(
    "command", ["ls", "check", "plan", "migrate", "verify", "cutover", "benchmark run", "cleanup plan", "delete"]
)
def test_every_option_has_its_place(command: str) -> None:
    named = {name for names in HEADINGS.values() for name in names}
    shown = [name for names in headings_of(*command.split()).values() for name in names]
    assert shown
    assert [name for name in shown if name not in named] == [], "name them in HEADINGS of flows/forms/field_order.py"


def test_an_option_that_has_no_place_is_shown_all_the_same() -> None:
    options = [click.Option([f"--n{number}"]) for number in range(30)]
    command = HeadedCommand("novel", params=[*options, click.Option(["--debug"])])
    context = click.Context(command)
    assert [(heading, len(found)) for heading, found in headed(command, context)] == [(LAST, 32)]
    assert "--n29" in command.get_help(context)


def test_hidden_options_and_arguments_are_in_no_list() -> None:
    parameters: list[Any] = [click.Argument(["source"]), click.Option(["--secret"], hidden=True)]
    command = HeadedCommand("small", params=parameters, add_help_option=False)
    assert headed(command, click.Context(command)) == [("Options", [])]
