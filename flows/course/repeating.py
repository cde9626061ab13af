"""Does something again and again beside a block of code."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def every(seconds: float, act: Callable[[], None], *, name: str) -> Iterator[None]:
    """Call `act` in a thread of its own, every so many seconds until the block ends.

    The thread has the caller's context: what Prefect keeps there, such as its client, is not made anew each time.
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
        thread.join()
