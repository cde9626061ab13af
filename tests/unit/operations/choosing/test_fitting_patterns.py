"""A pattern that leaves nothing out is named, unless it is a rule, or may fit what was not read."""

from collections.abc import Sequence

import pytest

from tasks.operations.choosing.fitting_patterns import excludes_fitting, patterns_fitting, unused_patterns
from tasks.operations.choosing.selection import Selection
from tasks.ports import Finding


def unused(
    *exclude: str, tags: Sequence[str] | None = ("v1",), folder: str = "notes", found: Sequence[Finding] = ()
) -> list[str]:
    """Which patterns are named that fit nothing of the layout `team/app`, beside a folder that is none."""
    selection = Selection.parse((), exclude)
    fitting = patterns_fitting("team/app", tags, selection, ())
    fitting |= excludes_fitting(folder, None, selection, fitting)
    named = unused_patterns(selection, fitting, found)
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
    selection = Selection.parse(["taem", "team/app"], ["taem"])
    named = unused_patterns(selection, patterns_fitting("team/app", (), selection, ()), ())
    assert [(each.path, each.code) for each in named] == [("taem", "include_unused"), ("taem", "exclude_unused")]
