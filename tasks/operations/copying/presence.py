"""Asks the target for a blob before it is sent, where the blob may be there; a question costs a round trip."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tasks.oci.errors import ContentNotFoundError, MissingAtTargetError, RegistryUnavailableError

if TYPE_CHECKING:
    from tasks.oci.descriptor import Descriptor
    from tasks.oci.errors import LayoutliftError
    from tasks.ports import Target

WORTH_ASKING, ALWAYS_ASKED_FOR = 256 * 1024, 16 * 1024 * 1024
"""Bytes from which a blob may be, or is, asked for in a repository that seems new."""
ASKED_AT_FIRST = 4
"""An interrupted run leaves blobs without a tag, the first ones first: where none of so many is there, none is."""
BROKEN = 500
"""How a registry answers what it can't read of its own; the other errors of servers tell of the moment."""


def is_lost(error: LayoutliftError) -> bool:
    """Whether an error says that the target has lost something, or can't tell of it for good: sending mends both."""
    is_broken = isinstance(error, RegistryUnavailableError) and error.status == BROKEN
    return is_broken or isinstance(error, MissingAtTargetError)


class Presence:
    """What one repository of the target may have; `new` says that it has no tag. Safe to share by all workers.

    With `opened`, a blob is there only if the target begins to give it, too: some answer from a database that they
    have what their store has lost.
    """

    def __init__(self, target: Target, repository: str, *, new: bool, opened: bool) -> None:
        self._target = target
        self._repository = repository
        self._new = new
        self._opened = opened
        self._asked = 0
        self._found = False
        self._lock = threading.Lock()

    def has(self, blob: Descriptor, *, ask: bool = False) -> bool:
        """Whether the blob is known to be there; `ask` looks in any case.

        One of which the target can't tell, and goes on being unable to, is not: an entry that a full disk left broken
        is mended by sending the blob once more.

        Raises:
            DamagedAtTargetError: it is there in another size.
            RegistryError: the target does not say.
        """
        if not (ask or not self._new or blob.size >= ALWAYS_ASKED_FOR or self._takes_a_question(blob.size)):
            return False
        try:
            there = self._target.has_blob(self._repository, blob) and not (self._opened and self._is_lost(blob))
        except RegistryUnavailableError as error:
            if not is_lost(error):
                raise
            return False
        self._found = self._found or there
        return there

    def _is_lost(self, blob: Descriptor) -> bool:
        try:
            with self._target.fetch_blob(self._repository, blob).chunks():
                return False
        except ContentNotFoundError:
            return True

    def _takes_a_question(self, size: int) -> bool:
        """Whether one of the first questions is left for a blob of so many bytes, or they found something."""
        if size < WORTH_ASKING:
            return False
        with self._lock:
            self._asked += 1
            return self._found or self._asked <= ASKED_AT_FIRST
