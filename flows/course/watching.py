"""Lets whoever started a flow in this process watch it: the command's progress bars hang on this."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from tasks.runs import open_run
from tasks.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.run_options import RunKind, RunOptions
    from tasks.runs import Run


class Watcher(Protocol):
    """Somebody who watches a run, and may stop it."""

    stop: Stop

    def open(self, kind: RunKind, options: RunOptions) -> AbstractContextManager[Run]:
        """Open a run, until the end of the block, that ends when `stop` says so."""
        ...

    def watch(self, run: Run) -> AbstractContextManager[None]:
        """Watch `run` until the end of the block."""
        ...


class NoWatcher:
    """Nobody watches, as in a worker."""

    def __init__(self) -> None:
        self.stop = Stop()

    def open(self, kind: RunKind, options: RunOptions) -> AbstractContextManager[Run]:
        """See `Watcher.open`."""
        return open_run(kind, options, self.stop)

    def watch(self, run: Run) -> AbstractContextManager[None]:  # noqa: ARG002 - the protocol's form
        """See `Watcher.watch`."""
        return nullcontext()


_watcher: ContextVar[Watcher | None] = ContextVar("layoutlift_watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Have the flows of this block watched."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def current_watcher() -> Watcher:
    """Who watches the flow that is about to begin."""
    return _watcher.get() or NoWatcher()
