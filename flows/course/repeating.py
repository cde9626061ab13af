"""Does something again and again beside a block of code."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ANSWER_SECONDS = 1.0
"""Patience with what asks a Prefect server: its client tries for minutes, and the report is to be written."""


@contextmanager
def every(seconds: float, act: Callable[[], None], *, name: str, patience: float | None = None) -> Iterator[None]:
    """Call `act` in a thread of its own, every so many seconds until the block ends.

    The thread has the caller's context: what Prefect keeps there, such as its client, is not made anew each time.
    With `patience`, a call that has not come back so many seconds after the end of the block is left to itself.
    """
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(seconds):
            act()

    thread = threading.Thread(target=copy_context().run, args=(repeat,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(patience)
