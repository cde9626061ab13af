"""What a scheduled cleanup can be told."""

import pytest
from pydantic import ValidationError

from flows.forms.cleanup_parameters import CleanupParameters


@pytest.mark.parametrize("text", ["6d", "90d", "12w 6d"])
def test_a_plan_waits_for_a_yes_as_long_as_plans_are_kept(text: str) -> None:
    given = CleanupParameters(source="/mnt/bucket", policy="/policy.yaml", approval_within=text)
    assert given.approval_within == text


@pytest.mark.parametrize(("text", "said"), [("91d", "for 90d at most"), ("soon", "a duration is a number with")])
def test_no_plan_waits_longer_than_it_is_kept(text: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        CleanupParameters(source="/mnt/bucket", policy="/policy.yaml", approval_within=text)
