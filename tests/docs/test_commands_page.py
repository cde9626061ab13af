"""The page of the commands says what the commands are, and its check would notice if it did not."""

import click
import pytest

from flows import cli
from infra.command_reference import PAGE, reference


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
