"""Allowed hours: the times of the week in which a run may begin new work.

`22:00-06:00`, or `mon-fri 20:00-06:00, sat-sun`; with a time zone behind it if need be: `22:00-06:00 Europe/Berlin`.
A window that ends before it begins goes on into the next day; days without hours are open all day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_PATTERN = "|".join(_DAYS)
_WINDOW = re.compile(
    rf"(?:({_DAY_PATTERN})(?:-({_DAY_PATTERN}))?)?\s*(?:(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d))?", re.IGNORECASE
)
_ZONE = re.compile(r"(?P<windows>.*?)\s+(?P<zone>UTC|[A-Za-z]+(?:/[A-Za-z0-9_+-]+)+)")
_MINUTES_A_DAY = 24 * 60
_FORM = "hours are such as 22:00-06:00, or mon-fri 20:00-06:00, sat-sun, with a time zone behind them if need be"


@dataclass(frozen=True, slots=True)
class _Window:
    """Minutes of the day, on these days of the week; an end up to two days long is on the next day."""

    days: frozenset[int]
    begins: int
    ends: int

    def is_open(self, weekday: int, minute: int) -> bool:
        if weekday in self.days and self.begins <= minute < self.ends:
            return True
        return (weekday - 1) % 7 in self.days and minute + _MINUTES_A_DAY < self.ends


@dataclass(frozen=True, slots=True)
class Hours:
    """Windows of the week in one time zone; the machine's own where `zone` is None."""

    text: str
    windows: tuple[_Window, ...]
    zone: tzinfo | None

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Read allowed hours.

        Raises:
            ValueError: the text is not of the form of hours; the message shows the form.
        """
        windows, zone = text.strip(), None
        if (match := _ZONE.fullmatch(windows)) is not None:
            windows, zone = match["windows"], _zone(match["zone"])
        return cls(text.strip(), tuple(_window(part.strip()) for part in windows.split(",")), zone)

    def are_open(self, now: datetime) -> bool:
        """Whether new work may begin at a moment (which knows its time zone)."""
        local = now.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        return any(window.is_open(local.weekday(), minute) for window in self.windows)

    def opening(self, now: datetime) -> datetime:
        """The next moment, to the minute, at which they are open; now where they are."""
        moment = now.astimezone(UTC)
        while not self.are_open(moment):
            moment = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        return moment.astimezone(self.zone)


def _window(text: str) -> _Window:
    match = _WINDOW.fullmatch(text)
    if match is None or not text:
        raise ValueError(_FORM)
    first, last, *times = match.groups()
    begins, ends = 0, _MINUTES_A_DAY
    if times[0] is not None:
        begins, ends = _minute(times[0], times[1]), _minute(times[2], times[3])
        while ends <= begins:  # twice for 24:00-00:00: one that is never open would be waited for without end
            ends += _MINUTES_A_DAY
    return _Window(_days(first, last), begins, ends)


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    begin = _DAYS.index(first.lower())
    end = begin if last is None else _DAYS.index(last.lower())
    return frozenset((begin + step) % 7 for step in range((end - begin) % 7 + 1))


def _minute(hour: str, minute: str) -> int:
    if (hour, minute) == ("24", "00"):
        return _MINUTES_A_DAY
    try:
        moment = time(int(hour), int(minute))
    except ValueError as error:
        raise ValueError(f"{hour}:{minute} is no time of the day; {_FORM}") from error
    return moment.hour * 60 + moment.minute


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{name} is no time zone that this machine knows") from error
