"""The first try is made without the policy's machinery, and counts among its attempts."""

import pytest
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_none

from tasks.oci.errors import ConnectionFailedError, LayoutliftError, PermissionDeniedError, is_transient
from tasks.stores.first_try import first_tried


class Attempts:
    """Fails as told, then succeeds."""

    def __init__(self, *errors: LayoutliftError) -> None:
        self.errors = list(errors)
        self.made = 0

    def __call__(self) -> str:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def policy(attempts: int) -> Retrying:
    return Retrying(
        stop=stop_after_attempt(attempts), wait=wait_none(), retry=retry_if_exception(is_transient), reraise=True
    )


def test_what_succeeds_at_once_is_called_once() -> None:
    attempts = Attempts()
    assert first_tried(policy(1), attempts) == "done"
    assert attempts.made == 1


def test_what_fails_for_the_moment_is_tried_again_as_often_as_the_policy_says() -> None:
    attempts = Attempts(*(ConnectionFailedError("broken") for _ in range(2)))
    assert first_tried(policy(3), attempts) == "done"
    assert attempts.made == 3
    failing = Attempts(*(ConnectionFailedError("broken") for _ in range(9)))
    with pytest.raises(ConnectionFailedError):
        first_tried(policy(3), failing)
    assert failing.made == 3


def test_what_fails_for_good_is_not_tried_again() -> None:
    attempts = Attempts(PermissionDeniedError("no"))
    with pytest.raises(PermissionDeniedError):
        first_tried(policy(3), attempts)
    assert attempts.made == 1
