"""Shards are whole repositories, every one once, of nearly equal work, and the same however they were listed."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.operations.running.shards import MOST_BYTES, OVERHEAD, plan_shards, quoted, unquoted

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
