"""How old a tag is: what its writer noted, else when its manifest was stored, and never a guess."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasks.operations.choosing.ages import noted_time, tag_time
from tasks.operations.choosing.tag_order import OrderBy

NOW = datetime(2026, 6, 15, tzinfo=UTC).timestamp()
STORED = NOW - 1000.0
NOTED = datetime(2025, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("2025-01-01T00:00:00Z", NOTED),
        ("2025-01-01T02:00:00+02:00", NOTED),
        ("1970-01-01T00:00:00Z", STORED),
        ("yesterday", STORED),
        ("2025-01-01T00:00:00", STORED),
        (None, STORED),
        ("2030-01-01T00:00:00Z", None),
        ("2026-06-15T00:04:00Z", NOW + 240.0),  # as a clock that is a little ahead has it
        ("2026-06-15T00:06:00Z", None),
    ],
)
@pytest.mark.parametrize("order_by", [OrderBy.CREATED, OrderBy.SEMVER, OrderBy.NAME])
def test_the_writers_note_counts_where_it_can_be_true(
    order_by: OrderBy, note: str | None, expected: float | None
) -> None:
    """Also where names say what is newest: rules ask for ages besides, as `keep_monthly` does."""
    assert tag_time(order_by, None if note is None else noted_time(note), STORED, NOW) == expected


def test_by_the_manifests_time_the_note_does_not_count() -> None:
    assert tag_time(OrderBy.MANIFEST_MODIFIED, NOTED, STORED, NOW) == STORED


@pytest.mark.parametrize("stored", [None, 0.0, NOW + 3600])
def test_a_time_that_can_not_be_true_is_no_age(stored: float | None) -> None:
    assert tag_time(OrderBy.CREATED, None, stored, NOW) is None
