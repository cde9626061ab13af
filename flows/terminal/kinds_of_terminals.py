"""What the terminal that a command runs on can do, as far as its name tells."""

from __future__ import annotations

import os

_DUMB = frozenset({"dumb", "unknown"})


def draws_over_lines() -> bool:
    """Whether it can draw over a line, by $TERM: elsewhere no bars are shown, which would be seen at the end only."""
    return os.environ.get("TERM", "").lower() not in _DUMB
