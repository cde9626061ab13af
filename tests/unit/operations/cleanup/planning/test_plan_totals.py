"""What a plan adds up to."""

from dataclasses import fields

import pytest

from tasks.operations.cleanup.planning.plan_totals import has_work
from tasks.operations.cleanup.values import PlanTotals

STILL = {"repositories", "refused", "tags_kept", "blobs_kept", "bytes_kept", "bytes_later", "bytes_held"}
"""What a plan that changes nothing may count."""


@pytest.mark.parametrize("name", [each.name for each in fields(PlanTotals)])
def test_each_count_but_of_what_stays_as_it_is_means_that_there_is_something_to_do(name: str) -> None:
    assert has_work(PlanTotals(**{name: 1})) is (name not in STILL)


def test_a_plan_that_names_nothing_has_no_work() -> None:
    assert not has_work(PlanTotals())
