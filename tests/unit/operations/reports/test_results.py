"""What is counted over tags adds up, and what is a problem keeps a run from being complete."""

import pytest

from tasks.oci.codes import Refused
from tasks.operations.reports.results import Depth, Outcome, TagResult, Totals, Traffic

DEPTHS = [Depth.MANIFEST, Depth.BLOBS, Depth.CONTENT]


def test_traffic_is_added_up_each_count_by_itself() -> None:
    total = Traffic()
    for more in (Traffic(1, 2, 3, 4), Traffic(10, 20, 30, 40)):
        total.add(more)
    assert total == Traffic(blobs_pushed=11, blobs_mounted=22, blobs_present=33, bytes_pushed=44)


@pytest.mark.parametrize("proved", DEPTHS)
@pytest.mark.parametrize("asked", DEPTHS)
def test_a_deeper_proof_is_one_of_what_is_less_deep_too(proved: Depth, asked: Depth) -> None:
    assert proved.includes(asked) is (DEPTHS.index(proved) >= DEPTHS.index(asked))


@pytest.mark.parametrize(
    ("outcome", "code", "is_problem"),
    [
        (Outcome.COPIED, None, False),
        (Outcome.UP_TO_DATE, None, False),
        (Outcome.TO_COPY, None, False),
        (Outcome.FAILED, "internal_error", True),
        (Outcome.REFUSED, Refused.CONFLICT, True),
        (Outcome.REFUSED, Refused.CONFLICT_SKIPPED, False),
    ],
)
def test_what_did_not_arrive_is_a_problem_unless_the_user_said_to_skip_it(
    outcome: Outcome, code: str | None, is_problem: bool
) -> None:
    assert TagResult("app", "v1", None, None, None, outcome, code=code).is_problem is is_problem


def test_a_run_of_which_nothing_was_counted_is_complete_and_one_with_any_problem_is_not() -> None:
    nothing = Totals()
    assert (nothing.tags, nothing.complete, nothing.traffic) == (0, True, Traffic(0, 0, 0, 0))
    assert not Totals(problems=1).complete
    assert not Totals(other_problems=1).complete
    nothing.outcomes[Outcome.COPIED] += 2
    nothing.outcomes[Outcome.FAILED] += 1
    assert nothing.tags == 3
