import pytest

from tasks.benchmark_values.cases import MIB
from tasks.benchmark_values.facts import Phase
from tasks.benchmark_values.summary import nearest_rank, summarize
from tests.support.benchmark_facts import measured


def test_median_minimum_p95_and_spread() -> None:
    (found,) = summarize([measured(wall) for wall in (2.0, 1.0, 4.0)])
    assert (found.median, found.minimum, found.p95, found.spread, found.count) == (2.0, 1.0, 4.0, 1.5, 3)
    assert found.rate == 4 * MIB


def test_the_nearest_rank_of_twenty_leaves_one_out() -> None:
    assert nearest_rank(list(range(1, 21)), 0.95) == 19
    assert nearest_rank([3.0], 0.95) == 3.0


@pytest.mark.parametrize(
    ("walls", "noisy"),
    [((1.0, 1.1, 1.2), False), ((1.0, 1.1, 1.4), True), ((1.0, 1.0), True), ((1.0,), False)],
)
def test_a_noisy_result_is_called_so(walls: tuple[float, ...], noisy: bool) -> None:
    (found,) = summarize([measured(wall) for wall in walls])
    assert found.is_noisy is noisy


def test_cold_and_warm_paths_and_cases_are_kept_apart() -> None:
    found = summarize(
        [
            measured(1.0),
            measured(9.0, phase=Phase.COLD),
            measured(5.0, path="goofys"),
            measured(7.0, case="8MiBx2"),
        ]
    )
    assert [(each.key.path, each.key.case, each.key.phase, each.median) for each in found] == [
        ("s3fs", "8MiB", "warm", 1.0),
        ("s3fs", "8MiB", "cold", 9.0),
        ("goofys", "8MiB", "warm", 5.0),
        ("s3fs", "8MiBx2", "warm", 7.0),
    ]


def test_what_could_not_be_seen_is_no_zero() -> None:
    (unseen,) = summarize([measured(1.0)])
    assert (unseen.first_byte, unseen.fuse_cpu, unseen.requests, unseen.sent) == (None, None, None, None)
    (seen,) = summarize([measured(1.0, fuse_user=1.0, fuse_system=0.5, s3_requests={"GET": 3, "LIST": 2}, s3_sent=7)])
    assert (seen.fuse_cpu, seen.requests, seen.sent) == (1.5, 5, 7)
