"""The model of sharded migrations agrees with what can be worked out by hand."""

from dataclasses import replace

import pytest

from tests.benchmarks.scale_model import Costs, Place, Repository, simulate, source_of

COSTS = Costs(registry_requests=6, source_gets=3, engine_cpu=0.004, registry_cpu=0.009)
FREE = Place(
    registry_cores=1e9,
    registry_requests=1e9,
    registry_network=1e18,
    source_gets=1e9,
    start_seconds=0,
    absorb_seconds=0,
)
EQUAL = [Repository(100, 0.0)] * 64


def test_one_worker_waits_for_its_requests() -> None:
    place = replace(FREE, round_trip=0.1)
    outcome = simulate(EQUAL, COSTS, place, 1, objects=0)
    assert outcome.wall == pytest.approx(6_400 * 6 * 0.1 / place.connections)
    assert outcome.first_limit == "worker connections"


@pytest.mark.parametrize("workers", [2, 4, 16, 64])
def test_where_nothing_is_shared_workers_add_up(workers: int) -> None:
    alone, together = (simulate(EQUAL, COSTS, FREE, count, objects=0) for count in (1, workers))
    assert alone.wall / together.wall == pytest.approx(workers)


def test_a_shared_part_is_the_end_of_it_and_is_named() -> None:
    place = replace(FREE, registry_cores=2)
    outcome = simulate(EQUAL, COSTS, place, 16, objects=0)
    assert outcome.wall == pytest.approx(6_400 * 0.009 / 2)
    assert outcome.first_limit == "registry CPU"


def test_the_largest_repository_bounds_the_time() -> None:
    outcome = simulate([Repository(10_000, 0.0), *EQUAL], COSTS, FREE, 64, objects=0)
    assert outcome.wall == pytest.approx(10_000 * 0.004)
    assert outcome.first_limit == "the last repositories"


def test_a_source_has_what_was_asked_for() -> None:
    source = source_of(1_000, 500_000, 20e12)
    assert sum(each.tags for each in source) == pytest.approx(500_000, rel=0.01)
    assert sum(each.tags * each.bytes_a_tag for each in source) == pytest.approx(20e12)
