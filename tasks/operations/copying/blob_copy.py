"""Copies the blobs of one layout into one repository of the target.

Who waits holds a hand, and who has the same base layer as a hundred others would wait first of all: what another
worker sends just now is left for last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.errors import DamagedAtTargetError, SizeMismatchError
from tasks.oci.media_types import may_be_absent
from tasks.operations.copying.claims import UnderWay
from tasks.operations.copying.presence import Presence
from tasks.operations.reports.results import Traffic
from tasks.ports import BlobArrival

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.operations.copying.copy_tools import CopyTools


class BlobCopy:
    """Safe to share by all workers on a repository; see `Presence` for `new` and `opened`."""

    def __init__(self, tools: CopyTools, path: str, repository: str, *, new: bool, opened: bool) -> None:
        self._tools = tools
        self._path = path
        self._repository = repository
        self._presence = Presence(tools.target, repository, new=new, opened=opened)
        self._absent: set[Digest] = set()

    def ensure(self, blobs: Sequence[Descriptor]) -> None:
        """Have all of them there.

        Raises:
            LayoutliftError: one can't be read or sent, by this worker or by the one that it waited for.
        """
        while blobs:
            under_way = self._tools.hands.map(self._attempt, blobs)
            for each in under_way:
                if each is not None:
                    each.wait()
            blobs = [blob for blob, each in zip(blobs, under_way, strict=True) if each is not None]

    def send_again(self, blob: Descriptor, *, surely: bool) -> None:
        """Have a blob there that the target says it misses; `surely` trusts nothing that it said before.

        Raises:
            LayoutliftError: it can't be read or sent.
        """
        self._tools.blobs.doubt(self._repository, blob)
        while (running := self._attempt(blob, surely=surely, ask=True)) is not None:
            running.wait()

    def _attempt(self, blob: Descriptor, *, surely: bool = False, ask: bool = False) -> UnderWay | None:
        if may_be_absent(blob.media_type) and self._is_absent(blob.digest):
            return None
        outcome = self._tools.blobs.attempt(
            self._repository, blob, lambda home: self._push(blob, home, surely=surely, ask=ask)
        )
        if isinstance(outcome, UnderWay):
            return outcome
        if outcome is not None:
            self._tools.note_traffic(_traffic_of(outcome, blob.size))
        return None

    def _is_absent(self, digest: Digest) -> bool:
        """Whether the layout lacks a blob; found out once, as a mount is asked for what it lacks again and again."""
        if digest not in self._absent and self._tools.source.stat_blob(self._path, digest) is None:
            self._absent.add(digest)
        return digest in self._absent

    def _push(self, blob: Descriptor, home: str | None, *, surely: bool, ask: bool) -> BlobArrival:
        if not surely and self._is_present(blob, ask=ask):
            return BlobArrival.PRESENT
        content = self._tools.paced(self._tools.source.blob(self._path, blob))
        return self._tools.target.push_blob(self._repository, content, None if surely else home)

    def _is_present(self, blob: Descriptor, *, ask: bool) -> bool:
        """Whether the target has a blob; where both sides have another size of it, its descriptor is what is wrong.

        Raises:
            SizeMismatchError: that is so.
            RegistryError: as `Presence.has`.
        """
        try:
            return self._presence.has(blob, ask=ask)
        except DamagedAtTargetError as error:
            stat = self._tools.source.stat_blob(self._path, blob.digest)
            if stat is None or stat.size == blob.size:
                raise
            said = f"the blob {blob.digest} has {stat.size} bytes, its descriptor says {blob.size}"
            raise SizeMismatchError(said) from error


def _traffic_of(arrival: BlobArrival, size: int) -> Traffic:
    if arrival is BlobArrival.PUSHED:
        return Traffic(blobs_pushed=1, bytes_pushed=size)
    return Traffic(blobs_mounted=1) if arrival is BlobArrival.MOUNTED else Traffic(blobs_present=1)
