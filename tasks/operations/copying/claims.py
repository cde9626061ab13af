"""Sees to it that each blob, or manifest, is sent once a run, and into each repository by one worker at a time.

Two uploads of one blob into one repository at the same time lose tags on distribution 2.8, so a second
worker waits for the first. A blob that is in another repository of the target already is mounted from there
where the target can do that. Manifests have claims of their own, for what is the same with them: a second worker
waits, and what arrived is not sent again.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import islice
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


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Another worker's sending of a blob; `here` says that it is into the same repository."""

    sending: Future[BlobArrival]
    here: bool

    def wait(self) -> None:
        """Wait until it is over; its error is raised if it was to be here."""
        error = self.sending.exception()
        if self.here and error is not None:
            raise error


class Claims:
    """What is at the target or on its way there, blobs or manifests; shared by all workers of a run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[_Key, Future[BlobArrival]] = {}
        self._pushing: dict[bytes, Future[BlobArrival]] = {}
        self._guests: dict[str, set[bytes]] = {}
        """For each repository in work, the blobs that it has as a guest; most are only where `_homes` says."""
        self._homes: dict[bytes, str] = {}

    def ensure(
        self, repository: str, blob: Descriptor, push: Callable[[str | None], BlobArrival]
    ) -> BlobArrival | None:
        """Have the blob in the repository, after whoever sends it just now; None when this run saw it there before.

        `push` is called with the repository to mount from, or None, by exactly one worker. An error of it is
        raised to every worker that waits for the blob, and the next that asks tries again.
        """
        while isinstance(outcome := self.attempt(repository, blob, push), UnderWay):
            outcome.wait()
        return outcome

    def attempt(
        self, repository: str, blob: Descriptor, push: Callable[[str | None], BlobArrival]
    ) -> BlobArrival | UnderWay | None:
        """As `ensure`, but nothing is done while another worker sends the blob, here or to where it has its home."""
        key = _key(repository, blob)
        content = key[1]
        with self._lock:
            if self._is_there(key):
                return None
            home = self._homes.get(content)
            if (running := self._under_way.get(key)) is not None:
                return UnderWay(running, here=True)
            if home is None and (running := self._pushing.get(content)) is not None:
                return UnderWay(running, here=False)
            claim: Future[BlobArrival] = Future()
            self._under_way[key] = claim
            if home is None:
                self._pushing[content] = claim
        return self._fulfil(key, claim, partial(push, home if home != repository else None))

    def doubt(self, repository: str, blob: Descriptor) -> None:
        """Forget that the blob is there: the target says it is not, whatever it answered before."""
        _, content = _key(repository, blob)
        with self._lock:
            self._guests.get(repository, set()).discard(content)
            if self._homes.get(content) == repository:
                del self._homes[content]

    def forget(self, repository: str) -> None:
        """Free what is kept for a repository that is finished."""
        with self._lock:
            self._guests.pop(repository, None)

    def _is_there(self, key: _Key) -> bool:
        repository, content = key
        guests = self._guests.get(repository)
        return guests is not None and (self._homes.get(content) == repository or content in guests)

    def _fulfil(self, key: _Key, claim: Future[BlobArrival], push: Callable[[], BlobArrival]) -> BlobArrival:
        try:
            arrival = push()
        except BaseException as error:
            self._settle(key, claim, arrived=False)
            claim.set_exception(error)
            raise
        self._settle(key, claim, arrived=True)
        claim.set_result(arrival)
        return arrival

    def _settle(self, key: _Key, claim: Future[BlobArrival], *, arrived: bool) -> None:
        repository, content = key
        with self._lock:
            del self._under_way[key]
            if self._pushing.get(content) is claim:
                del self._pushing[content]
            if not arrived:
                return
            guests = self._guests.setdefault(repository, set())
            if self._homes.setdefault(content, repository) != repository:
                guests.add(content)
            if len(self._homes) > MAX_HOMES:
                self._forget_oldest_homes()

    def _forget_oldest_homes(self) -> None:
        """They are not mounted from there any more, and there they are still while that repository is in work.

        A dict is searched from its start, over all that left it since it last grew: for many at once, then.
        """
        for content in list(islice(self._homes, max(1, MAX_HOMES // 100))):
            home = self._homes.pop(content)
            if home in self._guests:
                self._guests[home].add(content)
