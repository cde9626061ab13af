"""A rule by which a user chooses counts wherever it has to; one that is new is told here what it still lacks."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flows.forms.source_parameters import ChoosingParameters, ReadingParameters
from tasks.choosing_options import ChoosingOptions
from tasks.operations.choosing.by_age import Ages
from tasks.operations.choosing.newest import Newest
from tasks.operations.choosing.selection import Selection

ALL = ChoosingOptions()
GIVEN: dict[str, Any] = {
    "include": ("app",),
    "exclude": (":v1",),
    "newest": Newest(5),
    "ages": Ages(60.0, None, 1_000.0),
    "tags_from": "images.txt",
}
WRITTEN: dict[str, dict[str, Any]] = {
    "include": {"include": ["app"]},
    "exclude": {"exclude": [":v1"]},
    "newest": {"newest": 5},
    "order_by": {"newest": 5, "order_by": "name"},
    "newer_than": {"newer_than": "30d"},
    "older_than": {"older_than": "6h"},
    "tags_from": {"tags_from": "images.txt"},
}
OWN = sorted(ChoosingParameters.model_fields.keys() - ReadingParameters.model_fields.keys())


@pytest.fixture(autouse=True)
def _listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("images.txt").write_text("app:v1\n")


@pytest.mark.parametrize("name", [each.name for each in fields(ChoosingOptions)])
def test_each_rule_chooses_less_and_is_in_the_report_and_in_the_marks_of_layouts(name: str) -> None:
    """Left out of the marks, one has `--since-last` take a layout as done of which something else was chosen."""
    chosen = replace(ALL, **{name: GIVEN[name]})
    assert chosen.selection() != ALL.selection() == Selection()
    assert chosen.leaves_out
    assert chosen.shown().keys() - ALL.shown().keys()
    by_repository = name == "tags_from"  # a mark has only what the list has of its layout
    assert (chosen.settings == ALL.settings) == by_repository
    assert bool(chosen.selection().wanted_of("app")) == by_repository


def test_with_no_rule_everything_is_chosen_and_nothing_is_said_of_it() -> None:
    assert (ALL.selection().is_everything, ALL.leaves_out, ALL.shown()) == (True, False, {})


@pytest.mark.parametrize("name", OWN)
def test_each_option_that_chooses_reaches_the_engine(name: str) -> None:
    without = {option: value for option, value in WRITTEN[name].items() if option != name}
    chosen = ChoosingParameters(source="/mnt/bucket", **WRITTEN[name]).choosing
    assert chosen != ChoosingParameters(source="/mnt/bucket", **without).choosing
    assert chosen.leaves_out


@pytest.mark.parametrize("name", sorted({*OWN} - {"tags_from"}))
def test_an_exact_list_goes_with_no_other_option_that_chooses(name: str) -> None:
    with pytest.raises(ValidationError, match="it says exactly what comes: leave out --"):
        ChoosingParameters(source="/mnt/bucket", **WRITTEN[name], **WRITTEN["tags_from"])
