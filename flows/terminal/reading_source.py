"""What `layoutlift ls` reads a source with: what a layout holds besides its index is read several at a time."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tasks.endpoints import open_source
from tasks.operations.work.concurrency import READS_AT_ONCE
from tasks.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from flows.forms.list_parameters import ListParameters
    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import Source
    from tasks.stores.bucket.s3_address import BucketAccess


@contextmanager
def opened_source(parameters: ListParameters, access: BucketAccess) -> Iterator[tuple[Source, MapConcurrently]]:
    """The source, and what does several things with it at once; both end with the block, also where Ctrl-C does.

    Raises:
        ConfigurationError: the source is not there.
    """
    stop = Stop()
    source = open_source(parameters.source, stop, access, by_name=parameters.split_by_name)
    pool = ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="manifests")
    try:
        with _set_by_interrupt(stop):
            yield source, pool.map
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


@contextmanager
def _set_by_interrupt(stop: Stop) -> Iterator[None]:
    """Have Ctrl-C set `stop` before it is raised: what it breaks off waits for all that other threads still read."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():  # it handles signals alone
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()
        before(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
