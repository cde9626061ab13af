"""Shards are whole repositories, every one once, of nearly equal work, and the same however they were listed."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.operations.choosing.by_age import Ages
from tasks.operations.choosing.exact_list import ExactList
from tasks.operations.choosing.selection import Selection
from tasks.operations.running.shards import MOST_BYTES, OVERHEAD, plan_shards, quoted, shards_of, unquoted
from tasks.operations.running.source_survey import Survey
from tasks.operations.work.planning import NamePlan

PATHS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SIZES = st.dictionaries(PATHS, st.integers(0, 5_000), min_size=1, max_size=60)


def work(paths: tuple[str, ...], sizes: dict[str, int]) -> int:
    return sum(sizes[path] + OVERHEAD for path in paths)


@given(SIZES, st.integers(1, 20))
def test_every_repository_is_in_exactly_one_shard(sizes: dict[str, int], wanted: int) -> None:
    shards = plan_shards(sizes, wanted)
    assert sorted(path for shard in shards for path in shard) == sorted(sizes)
    assert len(shards) == min(wanted, len(sizes))
    assert all(shards)


@given(SIZES, st.integers(1, 20))
def test_no_shard_has_more_than_the_mean_and_one_repository(sizes: dict[str, int], wanted: int) -> None:
    works = [work(shard, sizes) for shard in plan_shards(sizes, wanted)]
    mean = sum(works) / len(works)
    assert max(works) <= mean + max(sizes.values()) + OVERHEAD


@given(SIZES, st.integers(1, 20), st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_the_order(sizes: dict[str, int], wanted: int, chance: random.Random) -> None:
    items = list(sizes.items())
    chance.shuffle(items)
    assert plan_shards(dict(items), wanted) == plan_shards(sizes, wanted)


@given(SIZES, st.integers(1, 5), st.integers(60, 400))
def test_the_paths_of_a_shard_fit_into_the_parameters_of_a_flow_run(
    sizes: dict[str, int], wanted: int, most: int
) -> None:
    shards = plan_shards(sizes, wanted, most)
    assert sorted(path for shard in shards for path in shard) == sorted(sizes)
    for shard in shards:
        assert len(shard) == 1 or sum(len(path) + 4 for path in quoted(shard)) <= most


def test_the_layouts_that_repositories_lie_in_count_among_the_paths() -> None:
    sizes = dict.fromkeys(("a", "b", "c", "d"), 1)
    assert len(plan_shards(sizes, 1, most_bytes=20)) == 1
    assert len(plan_shards(sizes, 1, most_bytes=20, layouts={"a": "dump", "c": "dump"})) == 2


def test_a_hundred_thousand_repositories_make_more_shards_than_were_asked_for() -> None:
    sizes = {f"team-{number % 97}/service-{number:06}": number % 500 for number in range(100_000)}
    shards = plan_shards(sizes, 2)
    assert len(shards) > 2
    assert max(sum(len(path) + 4 for path in shard) for shard in shards) <= MOST_BYTES


@pytest.mark.parametrize("path", ["team/app", "Legacy Tools", "50%", "größe", "a\udcffb", "a:b@c"])
def test_paths_travel_as_ascii_and_arrive_as_they_were(path: str) -> None:
    (shown,) = quoted([path])
    assert shown.isascii()
    assert unquoted([shown]) == (path,)
    assert quoted(["team/app", "Legacy Tools"]) == ["team/app", "Legacy Tools"]


def test_each_part_knows_among_how_many_rates_are_shared_out() -> None:
    assert [shard.of for shard in shards_of(survey_of(app=2, lib=1, tools=1), "run", 8)] == [3, 3, 3]


def test_each_part_of_a_split_source_knows_which_layouts_it_needs() -> None:
    survey = replace(
        survey_of(app=9, lib=4, tools=4), layouts={"app": "dump", "lib": "more/dump", "tools": "more/dump"}
    )
    shards = shards_of(survey, "run", 2)
    assert {shard.repositories: shard.layouts for shard in shards} == {
        ("app",): ("dump",),
        ("lib", "tools"): ("more/dump",),
    }


def test_each_part_knows_what_the_list_of_the_whole_run_says_of_it() -> None:
    listed = ExactList.parse(["app:v1", "lib:v1"], "images.txt")
    shards = shards_of(replace(survey_of(app=2, lib=1), selection=Selection(listed=listed)), "run", 2)
    assert {shard.repositories: shard.listed for shard in shards} == {
        (path,): listed.mark_of([path]) for path in ("app", "lib")
    }
    assert [shard.listed for shard in shards_of(survey_of(app=2), "run", 2)] == [None]


def test_each_part_knows_the_moment_from_which_the_whole_run_counts_ages() -> None:
    recent = Selection(ages=Ages(60.0, None, 1_000.5))
    shards = shards_of(replace(survey_of(app=2, lib=1), selection=recent), "run", 2)
    assert [shard.moment for shard in shards] == [1_000.5, 1_000.5]
    assert [shard.moment for shard in shards_of(survey_of(app=2), "run", 2)] == [None]


def survey_of(**sizes: int) -> Survey:
    return Survey(NamePlan({}, {}), sizes, (), frozenset(), sizes, {}, Selection())
