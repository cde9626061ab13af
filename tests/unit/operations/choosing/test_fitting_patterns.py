"""A pattern that leaves nothing out is named, unless it is a rule, or may fit what was not read."""

from collections.abc import Sequence

import pytest

from tasks.operations.choosing.fitting_patterns import FittingPatterns
from tasks.operations.choosing.selection import Selection
from tasks.ports import Finding


def unused(
    *exclude: str, tags: Sequence[str] | None = ("v1",), folder: str = "notes", found: Sequence[Finding] = ()
) -> list[str]:
    """Which patterns are named that fit nothing of the layout `team/app`, beside a folder that is none."""
    fitting = FittingPatterns(Selection.parse((), exclude))
    fitting.see_layout("team/app", tags)
    fitting.see_folder(folder)
    named = fitting.unused(found)
    assert {each.code for each in named} <= {"exclude_unused"}
    return [each.path for each in named]


def test_an_exclude_that_fits_no_repository_and_no_tag_is_named_once() -> None:
    assert unused("teem/**", "teem/**", "team/app:v12", "team/app:v1", "team/*") == ["teem/**", "team/app:v12"]
    assert unused("team/app:v12", tags=None) == [], "nobody looked at its tags"


@pytest.mark.parametrize("rule", [":*-dev", "team/app:regex:rc.*", "**:semver:<1"])
def test_a_rule_for_tags_may_find_none_to_leave_out(rule: str) -> None:
    assert unused(rule) == []


def test_a_rule_for_tags_of_repositories_that_are_not_there_is_named() -> None:
    assert unused("teem/*:*-dev") == ["teem/*:*-dev"]


def test_an_exclude_may_be_for_folders_that_are_no_layouts() -> None:
    assert unused("lost+found**", folder="lost+found") == []
    assert unused("aside", "aside/**", folder="aside") == []
    assert unused("lost+found**") == ["lost+found**"]


def test_an_exclude_that_may_fit_what_was_not_read_is_not_named() -> None:
    broken = Finding("other", "invalid_layout", "no JSON")
    assert unused("other/x", "teem", found=[broken]) == ["teem"]
    assert unused("teem", found=[Finding(".", "source_read", "it can't be listed")]) == []


def test_a_pattern_may_be_given_to_take_and_to_leave_out() -> None:
    fitting = FittingPatterns(Selection.parse(["taem", "team/app"], ["taem"]))
    fitting.see_layout("team/app", ())
    named = [(each.path, each.code) for each in fitting.unused(())]
    assert named == [("taem", "include_unused"), ("taem", "exclude_unused")]


def test_what_fits_something_for_a_part_of_a_run_does_so_for_the_run() -> None:
    whole, part = (FittingPatterns(Selection.parse(["app", "lib", "taem"], ["aside", "teem"])) for _ in range(2))
    whole.see_layout("lib")
    part.see_layout("app")
    part.see_folder("aside")
    assert part.names == ("--exclude aside", "app")
    whole.absorb(part.names)
    assert [each.path for each in whole.unused(())] == ["taem", "teem"]
