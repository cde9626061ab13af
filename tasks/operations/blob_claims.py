"""Sees to it that each blob is sent once a run, and into each repository by one worker at a time.

Two uploads of one blob into one repository at the same time lose tags on distribution 2.8, so a second
worker waits for the first. A blob that is in another repository of the target already is mounted from there
where the target can do that.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.oci.descriptor import Descriptor
    from tasks.ports import BlobArrival

MAX_HOMES = 500_000
"""Blobs whose repository is remembered for mounting: about 100 MB at the most."""

_Key = tuple[str, bytes]


def _key(repository: str, blob: Descriptor) -> _Key:
    """The size is part of it: a descriptor that lies about the size of known content must not profit from it."""
    return repository, bytes.fromhex(blob.digest.encoded) + blob.size.to_bytes(8)


class BlobClaims:
    """Which blobs are at the target or on their way there; shared by all workers of a run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[_Key, Future[BlobArrival]] = {}
        self._pushing: dict[bytes, Future[BlobArrival]] = {}
        self._elsewhere: dict[str, set[bytes]] = {}
        """For each repository in work, what it has besides the blobs whose home it is: most need one entry only."""
        self._homes: dict[bytes, str] = {}

    def ensure(
        self, repository: str, blob: Descriptor, push: Callable[[str | None], BlobArrival]
    ) -> BlobArrival | None:
        """Have the blob in the repository; None when this run saw it there before.

        `push` is called with the repository to mount from, or None, by exactly one worker. An error of it is
        raised to every worker that waits for the blob, and the next that asks tries again.
        """
        key = _key(repository, blob)
        claim, first = self._claim(key)
        if claim is None:
            return None
        if not first:
            claim.result()
            return None
        return self._fulfil(key, claim, push)

    def doubt(self, repository: str, blob: Descriptor) -> None:
        """Forget that the blob is there: the target says it is not, whatever it answered before."""
        _, content = _key(repository, blob)
        with self._lock:
            self._elsewhere.get(repository, set()).discard(content)
            if self._homes.get(content) == repository:
                del self._homes[content]

    def forget(self, repository: str) -> None:
        """Free what is kept for a repository that is finished."""
        with self._lock:
            self._elsewhere.pop(repository, None)

    def _claim(self, key: _Key) -> tuple[Future[BlobArrival] | None, bool]:
        with self._lock:
            if self._is_there(key):
                return None, False
            running = self._under_way.get(key)
            if running is not None:
                return running, False
            claim: Future[BlobArrival] = Future()
            self._under_way[key] = claim
            return claim, True

    def _is_there(self, key: _Key) -> bool:
        repository, content = key
        elsewhere = self._elsewhere.get(repository)
        return elsewhere is not None and (self._homes.get(content) == repository or content in elsewhere)

    def _fulfil(
        self, key: _Key, claim: Future[BlobArrival], push: Callable[[str | None], BlobArrival]
    ) -> BlobArrival:
        try:
            arrival = push(self._home_of(key, claim))
        except BaseException as error:
            self._settle(key, claim, arrived=False)
            claim.set_exception(error)
            raise
        self._settle(key, claim, arrived=True)
        claim.set_result(arrival)
        return arrival

    def _home_of(self, key: _Key, claim: Future[BlobArrival]) -> str | None:
        """Where the blob can be mounted from, after waiting for another repository's upload of it."""
        content = key[1]
        with self._lock:
            pushing = self._pushing.setdefault(content, claim)
        if pushing is not claim:
            pushing.exception()  # only that it is over matters here
        with self._lock:
            home = self._homes.get(content)
        return home if home != key[0] else None

    def _settle(self, key: _Key, claim: Future[BlobArrival], *, arrived: bool) -> None:
        repository, content = key
        with self._lock:
            del self._under_way[key]
            if self._pushing.get(content) is claim:
                del self._pushing[content]
            if not arrived:
                return
            elsewhere = self._elsewhere.setdefault(repository, set())
            if self._homes.setdefault(content, repository) != repository:
                elsewhere.add(content)
            if len(self._homes) > MAX_HOMES:
                self._forget_oldest_home()

    def _forget_oldest_home(self) -> None:
        """It is not mounted from there any more, and there it is still while that repository is in work."""
        content = next(iter(self._homes))
        home = self._homes.pop(content)
        if home in self._elsewhere:
            self._elsewhere[home].add(content)
