"""Comparisons with peers are about the whole command, and the time beyond its fixed cost is told beside it."""

from collections.abc import Iterator

import pytest

from tests.benchmarks import contenders as who
from tests.benchmarks.goals import Verdict, judge, told_beyond
from tests.benchmarks.measuring import Case, Measurement
from tests.benchmarks.statistics_of import Results

ZOT = "zot"


def made(workload: str, contender: str, wall: float, *, registry_cpu: float = 0.0, link: str = "") -> Measurement:
    case = Case(workload=workload, registry=ZOT, contender=contender, link=link)
    counts = {"tags": 1, "arrived": 1, "verified": 1}
    return Measurement(
        case=case, round=1, wall=wall, user=0, system=0, peak=0, exit_code=0, registry_cpu=registry_cpu, **counts
    )


def verdict_on_mixed(*others: Measurement, ours: float, registry_cpu: float = 0.0) -> Verdict:
    measured = [
        made("tiny", who.LAYOUTLIFT, 1.5),
        made("mixed", who.LAYOUTLIFT, ours, registry_cpu=registry_cpu),
        made("mixed", who.REGSYNC, 2.0),
        made("mixed", who.SKOPEO, 9.0),
        *others,
    ]
    [verdict] = (
        each for each in judge(Results(measured)) if each.goal.startswith("mixed") and "against" in each.goal
    )
    return verdict


@pytest.mark.parametrize(
    ("ours", "met", "met_beyond"), [(1.6, True, True), (3.1, False, True), (3.3, False, False), (9.0, False, False)]
)
def test_the_best_peer_is_compared_with_the_whole_command(ours: float, *, met: bool, met_beyond: bool) -> None:
    verdict = verdict_on_mixed(ours=ours)
    assert (verdict.passes, verdict.met_beyond) == (met, met_beyond)
    assert who.REGSYNC in verdict.goal
    assert f"beyond the fixed cost {ours - 1.5:.1f} s" in verdict.note


def test_what_one_client_with_nothing_else_to_do_reaches_is_a_floor() -> None:
    assert not verdict_on_mixed(ours=4.0).passes
    assert verdict_on_mixed(made("mixed", who.BARE, 3.5), ours=4.0).passes
    assert not verdict_on_mixed(made("mixed", who.BARE, 3.4), ours=4.0).passes
    assert verdict_on_mixed(made("mixed", who.BARE, 2.2), ours=4.0).met_beyond
    assert not verdict_on_mixed(made("mixed", who.BARE, 2.1), ours=4.0).met_beyond


def test_the_registrys_processor_time_is_a_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.goals.CORES", 2)
    assert verdict_on_mixed(ours=4.0, registry_cpu=7.0).passes
    assert not verdict_on_mixed(ours=4.0, registry_cpu=6.9).passes


def test_a_peer_that_lost_something_is_not_the_best() -> None:
    lost = Measurement(**vars(made("mixed", who.CRANE, 0.1)) | {"verified": 0})
    assert verdict_on_mixed(lost, ours=1.6).passes


def test_the_fixed_cost_is_that_of_the_same_distance() -> None:
    def verdicts(*measured: Measurement) -> Iterator[Verdict]:
        three = [Measurement(**vars(each) | {"case": _at_three(each.case)}) for each in measured]
        return (each for each in judge(Results(three)) if "against" in each.goal)

    ours, theirs = made("small", who.LAYOUTLIFT, 10.0, link="far"), made("small", who.REGSYNC, 10.0, link="far")
    [near] = verdicts(ours, theirs, made("tiny", who.LAYOUTLIFT, 3.0))
    [far] = verdicts(ours, theirs, made("tiny", who.LAYOUTLIFT, 3.0, link="far"))
    assert near.reached == far.reached == pytest.approx(1.0)
    assert (near.met_beyond, far.met_beyond) == (False, True)


def test_how_many_comparisons_would_be_met_beyond_the_fixed_cost_is_told() -> None:
    assert told_beyond([verdict_on_mixed(ours=3.1), verdict_on_mixed(ours=3.3)]).endswith("1 of 2 comparisons met")


def _at_three(case: Case) -> Case:
    return Case(**vars(case) | {"registry": "distribution 3"})
