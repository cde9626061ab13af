"""What a listing reads ends with it."""

import signal
import threading
from collections.abc import Iterator

import pytest

from flows.forms.list_parameters import ListParameters
from flows.terminal import reading_source
from tasks.operations.work.concurrency import map_ahead
from tasks.stop import Stop
from tasks.stores.bucket.s3_address import BucketAccess


def test_ctrl_c_ends_what_other_threads_read_of_layouts_before_these_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Layouts of a bucket are read ahead, and one may have thousands of manifests."""
    stop = Stop()
    monkeypatch.setattr(reading_source, "Stop", lambda: stop)
    monkeypatch.setattr(reading_source, "open_source", lambda *_, **__: None)
    told: list[bool] = []
    main = threading.main_thread()
    is_waited_for = threading.Event()

    def layouts() -> Iterator[str]:
        yield "app"
        is_waited_for.set()

    def read(_: str) -> None:
        is_waited_for.wait(10)
        for _ in range(30):  # one that comes just before a thread begins to wait does not wake it
            signal.pthread_kill(main.ident or 0, signal.SIGINT)
            stop.pause(1)
            if stop.requested:
                break
        told.append(stop.requested)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored
    opened = reading_source.opened_source(ListParameters(source="s3://bucket"), BucketAccess())
    try:
        with pytest.raises(KeyboardInterrupt), opened as (_, map_concurrently):
            list(map_ahead(lambda layout: list(map_concurrently(read, [layout])), layouts(), 1, name="test"))
    finally:
        handler = signal.signal(signal.SIGINT, before)
    assert told == [True]
    assert handler is signal.default_int_handler
