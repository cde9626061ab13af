from typing import Any

import pytest

from tasks.benchmark_values.cases import MIB
from tasks.benchmark_values.facts import UsedPath
from tasks.operations.benchmark.history import Entry, entries_of, find_regressions
from tests.support.benchmark_facts import about, measured, results


def entry(run: str, *walls: float, **changes: object) -> Entry:
    return Entry.of(about(run, **changes), results(*(measured(wall) for wall in walls)))


def test_a_loss_beyond_what_is_allowed_is_named_with_both_numbers() -> None:
    earlier = [entry("r1", 1.0), entry("r2", 1.0)]
    (found,) = find_regressions(entry("r3", 2.0), earlier, 0.3)
    assert (found.now, found.before) == (4 * MIB, 8 * MIB)
    assert str(found) == "s3fs 8MiB warm: 4.0 MiB/s, before 8.0 MiB/s (-50 %)"


def test_a_loss_that_is_allowed_a_gain_and_a_first_run_are_none() -> None:
    earlier = [entry("r1", 1.0)]
    assert find_regressions(entry("r2", 1.4), earlier, 0.3) == ()
    assert find_regressions(entry("r2", 0.1), earlier, 0.3) == ()
    assert find_regressions(entry("r2", 9.0), [], 0.3) == ()


def test_one_odd_run_decides_nothing() -> None:
    earlier = [entry("r1", 1.0), entry("r2", 0.01), entry("r3", 1.0)]
    assert find_regressions(entry("r4", 1.1), earlier, 0.3) == ()


def test_the_best_of_a_run_counts_because_others_only_slow_it_down() -> None:
    assert find_regressions(entry("r2", 1.0, 50.0, 60.0), [entry("r1", 1.0)], 0.3) == ()


@pytest.mark.parametrize("name", ["host", "location", "endpoint", "content", "cold", "repeats"])
def test_only_what_is_measured_alike_is_compared(name: str) -> None:
    other = 5 if name == "repeats" else "other"
    assert find_regressions(entry("r2", 9.0), [entry("r1", 1.0, **{name: other})], 0.3) == ()
    assert find_regressions(entry("r2", 9.0, **{name: other}), [entry("r1", 1.0, **{name: other})], 0.3)


@pytest.mark.parametrize("own", [{"options": ("use_cache=/x",)}, {"place": "other-bucket"}, {"place": "/mnt/mine"}])
def test_a_path_with_options_or_a_place_of_its_own_is_compared_with_its_like(own: dict[str, Any]) -> None:
    paths = (UsedPath(name="s3fs", **own),)
    assert find_regressions(entry("r2", 9.0), [entry("r1", 1.0, paths=paths)], 0.3) == ()
    assert find_regressions(entry("r2", 9.0, paths=paths), [entry("r1", 1.0)], 0.3) == ()
    assert find_regressions(entry("r2", 9.0, paths=paths), [entry("r1", 1.0, paths=paths)], 0.3)


def test_entries_survive_being_written_and_torn_lines_are_passed_over() -> None:
    kept = entry("r1", 1.0)
    assert entries_of([kept.to_json(), {"run": "torn"}, {}]) == [kept]
