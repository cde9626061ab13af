"""A lock that tells how many have come for it, so that a test knows who waits."""

import threading
from itertools import count


class CountingLock:
    """`number` is how many have come, those that it is still kept from among them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._came = count(1)
        self.number = 0

    def __enter__(self) -> None:
        self.number = next(self._came)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
