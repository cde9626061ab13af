from typing import Any

import pytest

from tasks.benchmark_values.cases import MIB
from tasks.benchmark_values.facts import UsedPath
from tasks.operations.benchmark.history import Entry, Regression, compare, entries_of
from tests.support.benchmark_facts import about, measured, results


def entry(run: str, *walls: float, **changes: object) -> Entry:
    """A run that pulled as often as `walls` are given; one alone stands for three that agree."""
    return Entry.of(about(run, **changes), results(*map(measured, walls * 3 if len(walls) == 1 else walls)))


def lost(now: Entry, earlier: list[Entry]) -> tuple[Regression, ...]:
    """What became slower by more than 30 %."""
    return compare(now, earlier, 0.3).regressions


def test_a_loss_beyond_what_is_allowed_is_named_with_both_numbers() -> None:
    earlier = [entry("r1", 1.0), entry("r2", 1.0)]
    (found,) = lost(entry("r3", 2.0), earlier)
    assert (found.now, found.before) == (4 * MIB, 8 * MIB)
    assert str(found) == "s3fs 8MiB warm: 4.0 MiB/s, before 8.0 MiB/s (-50 %)"


def test_a_loss_that_is_allowed_a_gain_and_a_first_run_are_none() -> None:
    earlier = [entry("r1", 1.0)]
    assert lost(entry("r2", 1.4), earlier) == ()
    assert lost(entry("r2", 0.1), earlier) == ()
    assert lost(entry("r2", 9.0), []) == ()


def test_one_odd_run_decides_nothing() -> None:
    earlier = [entry("r1", 1.0), entry("r2", 0.01), entry("r3", 1.0)]
    assert lost(entry("r4", 1.1), earlier) == ()


def test_the_best_of_a_run_counts_because_others_only_slow_it_down() -> None:
    assert lost(entry("r2", 1.0, 50.0, 60.0), [entry("r1", 1.0)]) == ()


@pytest.mark.parametrize(("before", "now"), [((1.0, 1.0), (9.0, 9.0, 9.0)), ((1.0, 1.0, 1.0), (9.0, 9.0))])
def test_fewer_than_three_pulls_are_compared_with_nothing(before: tuple[float, ...], now: tuple[float, ...]) -> None:
    assert compare(entry("r2", *now), [entry("r1", *before)], 0.3).results == 0
    assert lost(entry("r2", *now), [entry("r1", *before)]) == ()


def test_what_lies_within_the_spread_of_earlier_pulls_is_no_loss() -> None:
    spread = entry("r1", 1.0, 1.1, 2.0)
    assert lost(entry("r2", 1.9), [spread]) == ()
    assert lost(entry("r2", 2.1), [spread])


def test_one_odd_spread_hides_nothing() -> None:
    earlier = [entry("r1", 1.0), entry("r2", 1.0, 1.0, 60.0), entry("r3", 1.0)]
    assert lost(entry("r4", 2.0), earlier)


def test_runs_that_did_not_say_their_slowest_pull_are_compared_with_nothing() -> None:
    row = entry("r1", 1.0).to_json()
    del row["slowest"]
    made = compare(entry("r2", 9.0), entries_of([row]), 0.3)
    assert (made.results, made.regressions, [run.run for run in made.runs]) == (0, (), ["r1", "r2"])


@pytest.mark.parametrize(
    "name", ["host", "processors", "location", "endpoint", "content", "cold", "repeats", "pause"]
)
def test_only_what_is_measured_alike_is_compared(name: str) -> None:
    other = 5 if name in {"processors", "repeats", "pause"} else "other"
    assert lost(entry("r2", 9.0), [entry("r1", 1.0, **{name: other})]) == ()
    assert lost(entry("r2", 9.0, **{name: other}), [entry("r1", 1.0, **{name: other})])


@pytest.mark.parametrize("own", [{"options": ("use_cache=/x",)}, {"place": "other-bucket"}, {"place": "/mnt/mine"}])
def test_a_path_with_options_or_a_place_of_its_own_is_compared_with_its_like(own: dict[str, Any]) -> None:
    paths = (UsedPath(name="s3fs", **own),)
    assert lost(entry("r2", 9.0), [entry("r1", 1.0, paths=paths)]) == ()
    assert lost(entry("r2", 9.0, paths=paths), [entry("r1", 1.0)]) == ()
    assert lost(entry("r2", 9.0, paths=paths), [entry("r1", 1.0, paths=paths)])


def test_entries_survive_being_written_and_torn_lines_are_passed_over() -> None:
    kept = entry("r1", 1.0)
    assert entries_of([kept.to_json(), {"run": "torn"}, {}]) == [kept]


def test_what_other_commands_measured_is_not_compared() -> None:
    """As after a change of the user's own file of paths."""
    one, other = ((UsedPath(name="s3fs", recipe=recipe),) for recipe in ("a", "b"))
    before = entries_of([entry("r1", 1.0, paths=one).to_json()])
    assert lost(entry("r2", 9.0, paths=other), before) == ()
    assert lost(entry("r2", 9.0, paths=one), before)
    silent = before[0].to_json()
    del silent["recipes"]
    assert lost(entry("r2", 9.0, paths=other), entries_of([silent]))


def test_no_run_is_compared_with_itself() -> None:
    made = compare(entry("r2", 2.0), [entry("r2", 1.0)], 0.3)
    assert (made.results, [run.run for run in made.runs]) == (0, ["r2"])
