"""For how long what the target said is believed, before something is written or deleted on the strength of it.

See docs/decisions/056-tags-that-others-push.md.
"""

from __future__ import annotations

from tasks.uptime import uptime

FRESH_SECONDS = 5.0
"""What was said earlier is asked again: pauses of the target may lie between, and others write tags, too."""


def is_fresh(as_of: float) -> bool:
    """Whether what was asked at this moment of `uptime` is believed still: while the machine sleeps, others push."""
    return uptime() - as_of < FRESH_SECONDS
