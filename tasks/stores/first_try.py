"""A policy of retries that costs nothing where the first try succeeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tasks.oci.errors import LayoutliftError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import Retrying

_Value = TypeVar("_Value")


def first_tried(retrying: Retrying, attempt: Callable[[], _Value]) -> _Value:
    """Call `attempt` under a policy of tenacity's that retries transient errors.

    Nearly every first call succeeds, and is made without tenacity, which costs a tenth of a small request.
    """
    try:
        return attempt()
    except LayoutliftError as error:
        if not error.transient:
            raise
        failures = [error]

    def again() -> _Value:
        if failures:
            raise failures.pop()
        return attempt()

    return retrying(again)
