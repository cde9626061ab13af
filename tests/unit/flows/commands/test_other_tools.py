"""Who types an option of the tool that was used before is told what to do here instead."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.commands.headings import HeadedCommand
from flows.commands.other_tools import COMMANDS, INSTEAD, OF_MIGRATE

PAGE = Path(__file__).parents[4] / "docs" / "coming-from.md"


def leaves(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """All commands, each as it is typed."""
    for name in group.list_commands(context := click.Context(group)):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def options_of(command: str) -> set[str]:
    return {name for each in dict(leaves(main))[command].params for name in each.opts}


def said(*options: str, command: str = "migrate") -> str:
    ended = CliRunner().invoke(main, [*command.split(), "/mnt/bucket", *options])
    assert ended.exit_code == 2
    return ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("option", INSTEAD)
def test_an_option_of_another_tool_leads_to_ours(option: str) -> None:
    assert said(option) == f"Error: No such option '{option}': {INSTEAD[option]}"


@pytest.mark.parametrize("option", INSTEAD)
def test_what_is_named_is_there(option: str) -> None:
    assert set(re.findall(r"--[a-z-]+", INSTEAD[option])) <= options_of("migrate")
    assert option not in options_of("migrate")


def test_the_command_knows_each_option_of_another_tool_that_the_page_has_another_name_for() -> None:
    rows = [line.split("|")[2:6] for line in PAGE.read_text().splitlines() if line.count("|") == 7]
    named = set(re.findall(r"`(--[a-z-]+)", " ".join(map(" ".join, rows))))
    assert len(named) > 15
    assert named - options_of("migrate") <= INSTEAD.keys()


def test_nothing_is_advised_that_the_command_does_not_have() -> None:
    assert "--plain-http" not in said("--insecure", command="ls")
    assert said("--profile", command="ls") == f"Error: No such option '--profile': {INSTEAD['--profile']}"


def test_a_mistyped_option_leads_to_the_one_that_is_written_nearly_so() -> None:
    shown = said("--reporrt")
    assert shown.startswith("Error: No such option '--reporrt'. ")
    assert "'--report'" in shown


@pytest.mark.parametrize(
    "option",
    ["--force", "--format", "--remove-signatures", "--prune", "--cert-file", "--tag", "--retry", "--from-oci-layout"],
)
def test_an_option_of_another_tool_is_not_guessed_at(option: str) -> None:
    assert option in INSTEAD
    assert "Did you mean" not in said(option)


@pytest.mark.parametrize("option", ["--orders", "--file", "--certificate-file"])
def test_no_option_is_suggested_that_is_only_somewhat_alike(option: str) -> None:
    assert said(option) == f"Error: No such option '{option}'."


@pytest.mark.parametrize(("begun", "whole"), [("--tags", "--tags-from"), ("--dry", "--dry-run")])
def test_an_option_that_was_only_begun_leads_to_the_whole(begun: str, whole: str) -> None:
    assert f"'{whole}'" in said(begun)


@pytest.mark.parametrize("option", ["--standalone", "--dry-run"])
def test_a_plan_says_of_what_only_migrate_has_what_to_do(option: str) -> None:
    assert said(option, command="plan") == f"Error: No such option '{option}': {OF_MIGRATE['plan', option]}"


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("verify", "--on-conflict"),
        ("cutover", "--on-conflict"),
        ("zot check", "--standalone"),
        ("cleanup plan", "--dry-run"),
        ("delete", "--dry-run"),
        ("recover", "--standalone"),
    ],
)
def test_so_do_commands_of_groups(command: str, option: str) -> None:
    assert said(option, command=command) == f"Error: No such option '{option}': {OF_MIGRATE[command, option]}"


@pytest.mark.parametrize("command", ["server start", "alerts remove", "validate"])
def test_a_command_without_a_source_has_no_advice_on_buckets(command: str) -> None:
    assert said("--profile", "x", command=command) == "Error: No such option '--profile'."


def test_all_commands_know_what_is_typed_from_habit() -> None:
    assert {name for name, command in leaves(main) if not isinstance(command, HeadedCommand)} == set()


def test_no_command_has_what_it_is_told_to_do_without() -> None:
    for command, option in OF_MIGRATE:
        assert option not in options_of(command), command


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_another_tool_leads_to_ours(command: str) -> None:
    ended = CliRunner().invoke(main, [command, "somewhere"])
    assert (ended.exit_code, ended.stderr.splitlines()[-1]) == (
        2,
        f"Error: No such command '{command}': {COMMANDS[command]}",
    )
    assert command not in main.list_commands(click.Context(main))
