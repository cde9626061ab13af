"""What a run was asked for, as its report and the ledger's marks have it."""

from dataclasses import replace
from typing import Any

import pytest

from flows.forms.parameters import MigrateParameters
from tasks.choosing_options import ChoosingOptions
from tasks.operations.choosing.by_age import Ages
from tasks.operations.choosing.newest import Newest, NewestBy
from tasks.operations.in_step.since_last import settings_mark
from tasks.ports import Shard
from tasks.run_options import RunOptions, shown_options

CHOICE = ChoosingOptions(include=("team/**",))
PLAIN = RunOptions("/mnt/bucket", None, choosing=CHOICE)


def choosing(**options: Any) -> RunOptions:
    """The plain ones with these beside the pattern."""
    return replace(PLAIN, choosing=replace(CHOICE, **options))


def test_a_report_says_how_many_were_wanted_and_in_which_order() -> None:
    shown = shown_options(choosing(newest=Newest(5, NewestBy.SEMVER)))
    assert (shown["newest"], shown["order_by"]) == (5, "semver")
    assert shown.keys() - shown_options(PLAIN).keys() == {"newest", "order_by"}


def test_a_report_says_where_the_list_is_and_a_mark_has_it_by_repository() -> None:
    listed = choosing(include=(), tags_from="images.txt")
    assert shown_options(listed)["tags_from"] == "images.txt"
    assert listed.choosing.settings == ChoosingOptions().settings


def test_a_report_says_all_that_shaped_the_run_and_nothing_that_is_as_always() -> None:
    given = {
        "plain_http": True,
        "max_requests": 5.0,
        "registry_kind": "ecr",
        "create_repositories": True,
        "scan_on_push": True,
        "limit_rate": "2M",
        "hours": "22:00-06:00",
        "limits_from": "limits.yaml",
        "traces": True,
        "delete_vanished": True,
        "delete_max_tags": 7,
        "delete_max_percent": 50.0,
    }
    shown = shown_options(MigrateParameters(source="/mnt/bucket", target="registry.example", **given).to_options())
    assert shown == given | {"limit_rate": 2 * 1024**2, "jobs": 8, "depth": "manifest"}
    plain = MigrateParameters(source="/mnt/bucket", target="registry.example", delete_vanished=True)
    assert shown_options(plain.to_options()) == {"delete_vanished": True, "jobs": 8, "depth": "manifest"}
    assert shown_options(replace(plain.to_options(), deletion=None)) == {"jobs": 8, "depth": "manifest"}


def test_another_number_or_order_is_another_choice_and_none_is_that_of_earlier_versions() -> None:
    """A layout is taken as unchanged only under the mark that it has; what a ledger has must go on to count."""
    numbered = [Newest(5), Newest(6), Newest(5, NewestBy.NAME)]
    marks = {settings_mark(replace(CHOICE, newest=each).settings) for each in (None, *numbered)}
    assert len(marks) == 4
    assert settings_mark((("team/**",), ())) in marks


def test_the_marks_that_ledgers_have_are_those_of_these_settings() -> None:
    """With another form of them no layout would be unchanged any more, for nobody who upgrades."""
    both = Newest(5, NewestBy.SEMVER), Ages(5.0, None, 1.0)
    settings = ChoosingOptions(("team/**",), (":nightly-*",), *both).settings
    assert settings == (("team/**",), (":nightly-*",), 5, "semver", ("ages", 5.0, None))
    assert settings_mark(settings) == "0943eadbca163599"
    assert replace(CHOICE, newest=Newest(1)).settings == (("team/**",), (), 1, "created")
    assert replace(CHOICE, ages=Ages(5.0, 3.0, 1.0)).settings == (("team/**",), (), ("ages", 5.0, 3.0))


@pytest.mark.parametrize(
    "given",
    [
        {"include": ["team/**"]},
        {"exclude": [":nightly-*"]},
        {"newest": 1},
        {"newer_than": "30d"},
        {"older_than": "6h"},
        {"tags_from": "images.txt"},
        {"exclude_referrers": True},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_run_that_leaves_something_of_the_source_out_is_about_a_part_of_it(given: dict[str, Any]) -> None:
    assert MigrateParameters(source="/mnt/bucket", target="registry.example", **given).to_options().leaves_out


def test_a_run_with_all_tags_is_about_the_whole_source_whatever_they_are_called_at_the_target() -> None:
    """An untagged manifest that nobody asked for is no part of what users know a repository by."""
    given: dict[str, Any] = {"rename": ["a=b"], "flatten": 2, "split_by_name": True, "depth": "content"}
    assert not MigrateParameters(source="/mnt/bucket", target="registry.example", **given).to_options().leaves_out


def test_a_report_says_which_ages_were_asked_for_in_seconds_and_from_which_moment() -> None:
    """That lies before the beginning of a run that waited for its lock, and before that of a part."""
    options = choosing(ages=Ages(86_400.0, 3_600.0, 5_000_000.9))
    shown = shown_options(options)
    assert (shown["newer_than"], shown["older_than"]) == (86_400.0, 3_600.0)
    assert shown["ages_from"] == "1970-02-27T20:53:20+00:00"
    assert shown.keys() - shown_options(PLAIN).keys() == {"newer_than", "older_than", "ages_from"}
    part = replace(options, shard=Shard("run", 1, ("app",), moment=4_999_999.0))
    assert shown_options(part)["ages_from"] == "1970-02-27T20:53:19+00:00"
    one = shown_options(choosing(ages=Ages(86_400.0, None, 5_000_000.0)))
    assert one.keys() - shown_options(PLAIN).keys() == {"newer_than", "ages_from"}


def test_another_age_is_another_choice_and_another_moment_is_not() -> None:
    """What the moment makes of it is in the mark by the tags that are chosen."""
    ages = [None, Ages(5.0, None, 1.0), Ages(6.0, None, 1.0), Ages(None, 5.0, 1.0), Ages(6.0, 5.0, 1.0)]
    marks = {settings_mark(replace(CHOICE, ages=each).settings) for each in ages}
    assert len(marks) == 5
    assert settings_mark(replace(CHOICE, ages=Ages(5.0, None, 2.0)).settings) in marks
    assert settings_mark((("team/**",), ())) in marks


def test_a_part_decides_by_the_moment_of_the_whole_run() -> None:
    """It may begin hours later, on a machine whose clock is another."""
    part = replace(choosing(ages=Ages(5.0, None, 2_000.0)), shard=Shard("run", 1, ("app",), moment=1_000.0))
    assert part.counted_choosing.selection().ages == Ages(5.0, None, 1_000.0)
    assert replace(part, shard=None).counted_choosing.selection().ages == Ages(5.0, None, 2_000.0)
    assert replace(part, choosing=CHOICE).counted_choosing.selection().ages is None
