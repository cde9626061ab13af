"""Each command line that a page shows names a command, options and a make target that there are."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from flows.cli import main

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
BLOCK = re.compile(r"^```(?:sh|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
BEHIND = re.compile(r"^[^#\n]*\S +#.*$", re.MULTILINE)
"""A comment behind a command, which zsh hands to it, or behind a variable's value, where systemd does so."""
UNCLEAN = re.compile(r"^#(?! [\w ,.:/-]+$).*$", re.MULTILINE)
"""A comment of whose line zsh, which takes it for a command, would do more than say that there is none."""
NO_COMMANDS = {"layoutlift source", "layoutlift target", "layoutlift COMMAND --help"}
"""Two kinds of blocks, as the dashboard calls them, and what stands for every command."""


def lines_of(text: str, program: str) -> list[str]:
    """The command lines of a page, in blocks and in the text."""
    shown = [line for block in BLOCK.findall(text.replace("\\\n", " ")) for line in block.splitlines()]
    lines = [line.removeprefix("$ ") for line in (*shown, *INLINE.findall(BLOCK.sub("", text)))]
    return [line for line in lines if re.match(rf"{program} +[^ #]", line)]


def mistakes(line: str) -> Iterator[str]:
    """What a line says that no command knows; `start|stop` stands for two commands."""
    words = shlex.split(re.split(r" [|>&]", line)[0], comments=True)[1:]
    command: click.Command = main
    while isinstance(command, click.Group) and words:
        first, *words = words
        found = [command.get_command(click.Context(command), name) for name in first.split("|")]
        if None in found:
            yield first
            return
        command = found[0]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    yield from given - known - {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_commands_and_options_that_there_are(page: Path) -> None:
    lines = set(lines_of(page.read_text(), "layoutlift")) - NO_COMMANDS
    assert {line: found for line in lines if (found := list(mistakes(line)))} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_make_targets_that_there_are(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {line.split()[1] for line in lines_of(page.read_text(), "make")} <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_no_comments_that_harm_where_commands_are_copied(page: Path) -> None:
    blocks = SHELL.findall(page.read_text())
    assert [line for block in blocks for wrong in (BEHIND, UNCLEAN) for line in wrong.findall(block)] == []


def test_what_no_command_knows_would_be_seen() -> None:
    page = "`layoutlift lift a`\n```sh\n$ layoutlift ls a --colour=red \\\n  --json\nmake coffee\n```\n"
    found = [mistake for line in lines_of(page, "layoutlift") for mistake in mistakes(line)]
    assert found == ["--colour", "lift"]
    assert lines_of(page, "make") == ["make coffee"]
