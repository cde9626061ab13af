"""Allowed hours: which moments of a week they hold, and how mistakes in them are named."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tasks.operations.running.hold import Hold, Limits
from tasks.operations.running.hours import Hours
from tasks.stop import Stop

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("text", "moment", "is_open"),
    [
        ("09:00-17:00 UTC", at(0, 9), True),
        ("09:00-17:00 UTC", at(0, 8, 59), False),
        ("09:00-17:00 UTC", at(0, 17), False),
        ("22:00-06:00 UTC", at(0, 23), True),
        ("22:00-06:00 UTC", at(0, 5, 59), True),
        ("22:00-06:00 UTC", at(0, 6), False),
        ("fri 22:00-06:00 UTC", at(5, 5), True),
        ("fri 22:00-06:00 UTC", at(4, 5), False),
        ("sun 22:00-06:00 UTC", at(0, 5), True),
        ("mon-fri 20:00-06:00, sat-sun UTC", at(6, 12), True),
        ("mon-fri 20:00-06:00, sat-sun UTC", at(2, 12), False),
        ("sat-mon UTC", at(0, 12), True),
        ("sat-mon UTC", at(1, 12), False),
        ("00:00-24:00 UTC", at(3, 23, 59), True),
        ("mon 24:00-06:00 UTC", at(1, 5), True),
        ("mon 24:00-06:00 UTC", at(0, 5), False),
        ("24:00-00:00 UTC", at(3, 12), True),
        ("mon 24:00-00:00 UTC", at(1, 23, 59), True),
        ("mon 24:00-00:00 UTC", at(0, 23, 59), False),
        ("mon 24:00-00:00 UTC", at(2, 0), False),
        ("mon 24:00-24:00 UTC", at(1, 23, 59), True),
        ("22:00-06:00 America/New_York", at(0, 4), True),
        ("22:00-06:00 America/New_York", at(0, 12), False),
    ],
)
def test_which_moments_are_allowed(text: str, moment: datetime, is_open: bool) -> None:
    assert Hours.parse(text).are_open(moment) is is_open
    elsewhere = moment.astimezone(ZoneInfo("Asia/Tokyo"))
    assert Hours.parse(text).are_open(elsewhere) is is_open, "a moment is one wherever it is told"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "night",
        "9-17",
        "25:00-26:00",
        "09:60-10:00",
        "mon-",
        "09:00-17:00 Mars/Base",
        "09:00-17:00,",
        "x 1:00-2:00",
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"hours are such as|no time zone"):
        Hours.parse(text)


def test_the_next_opening_is_told() -> None:
    hours = Hours.parse("sat 10:30-11:00 UTC")
    assert hours.opening(at(0, 12, 7)) == at(5, 10, 30)
    assert hours.opening(at(5, 10, 45)) == at(5, 10, 45)
    assert Hours.parse("mon 24:00-00:00 UTC").opening(at(2, 1)) == at(8, 0)


def test_the_reason_to_hold_names_when_it_goes_on() -> None:
    limits = Limits(hours=Hours.parse("22:00-06:00 UTC"))
    assert limits.reason_to_hold(at(0, 23)) is None
    told = limits.reason_to_hold(at(0, 12))
    assert told == "outside the allowed hours 22:00-06:00 UTC, until 2026-11-23 22:00 UTC"
    assert Limits(paused=True).reason_to_hold(at(0, 23)) == "paused"


def test_whoever_waits_goes_on_with_the_hold_or_with_the_run() -> None:
    hold, stop = Hold(), Stop()
    hold.wait(stop)
    assert not hold.is_on()
    hold.change("paused")
    assert hold.is_on()
    stop.set()
    hold.wait(stop)
    assert hold.reason == "paused"
