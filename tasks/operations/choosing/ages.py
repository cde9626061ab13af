"""How old a tag is, as far as a bucket can tell: nobody keeps a log of pushes and pulls there.

What its writer noted (`org.opencontainers.image.created` on the entry of `index.json`, as oras and buildx write
it) says when it was made; the time at which its manifest's blob was stored says when it came, or was copied.
"""

from __future__ import annotations

from datetime import UTC, datetime

from tasks.operations.choosing.tag_order import OrderBy

FUTURE_SECONDS = 300.0
"""How far clocks may be apart before a time counts as one of the future."""
_EPOCHS_UNTIL = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
"""Reproducible builds write 1970 or 1980 where they mean that they won't say."""


def noted_time(text: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 time, None for what is none, as without a zone.

    None also for a time before there were images: by that, a writer says nothing.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None or moment.timestamp() < _EPOCHS_UNTIL else moment.timestamp()


def credible_time(when: float | None, now: float) -> float | None:
    """The time if it can be true: neither before there were images nor in the future."""
    if when is None or not _EPOCHS_UNTIL <= when <= now + FUTURE_SECONDS:
        return None
    return when


def tag_time(order_by: OrderBy, noted: float | None, modified: float | None, now: float) -> float | None:
    """When a tag was made, None where that is not known; then it is kept.

    The writer's note counts, also where names say what is newest; the blob's time only where it was asked for, or
    where there is no note or one of a build that does not say. A note of the future makes the age unknown: nothing
    is guessed from a wrong clock.
    """
    if order_by is not OrderBy.MANIFEST_MODIFIED and noted is not None:
        return credible_time(noted, now)
    return credible_time(modified, now)
