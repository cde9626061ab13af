"""Sizes and ages of the blobs of layouts in work, held in about 50 bytes a blob."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.ports import BlobStat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasks.oci.digest import Digest

LAYOUTS_KEPT = 8
"""How many layouts are kept whatever their size: more than are in work at once."""
BLOBS_KEPT = 500_000
"""Above this many blobs, about 25 MB, only `LAYOUTS_KEPT` layouts stay."""


class BlobTable:
    """The blobs of one layout, made once of all of them."""

    __slots__ = ("_rows",)

    def __init__(self, blobs: Iterable[tuple[Digest, int, float, bool]]) -> None:
        """Take digests, in any order, each with what `BlobStat` has."""
        self._rows: dict[str, _Rows] = {}
        for digest, size, modified, archived in blobs:
            encoded = bytes.fromhex(digest.encoded)
            rows = self._rows.setdefault(digest.algorithm, _Rows(len(encoded)))
            rows.add(encoded, size, modified, archived=archived)
        for rows in self._rows.values():
            rows.sort()

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def find(self, digest: Digest) -> BlobStat | None:
        """What is known of a blob, None of one that was not there."""
        rows = self._rows.get(digest.algorithm)
        return None if rows is None else rows.find(bytes.fromhex(digest.encoded))


class _Rows:
    """Digests of one width, in order, beside what is known of them."""

    __slots__ = ("_archived", "_digests", "_modified", "_sizes", "_width")

    def __init__(self, width: int) -> None:
        self._width = width
        self._digests = bytearray()
        self._sizes = array("Q")
        self._modified = array("d")
        self._archived = bytearray()

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, encoded: bytes, size: int, modified: float, *, archived: bool) -> None:
        self._digests += encoded
        self._sizes.append(size)
        self._modified.append(modified)
        self._archived.append(archived)

    def sort(self) -> None:
        """Bring the rows in order; a store that lists as S3 does gives them so."""
        if all(self._digest(row - 1) <= self._digest(row) for row in range(1, len(self))):
            return
        order = sorted(range(len(self)), key=self._digest)
        self._digests = bytearray().join(self._digest(row) for row in order)
        self._sizes = array("Q", (self._sizes[row] for row in order))
        self._modified = array("d", (self._modified[row] for row in order))
        self._archived = bytearray(self._archived[row] for row in order)

    def find(self, encoded: bytes) -> BlobStat | None:
        row = bisect_left(range(len(self)), encoded, key=self._digest)
        if row == len(self) or self._digest(row) != encoded:
            return None
        return BlobStat(self._sizes[row], self._modified[row], bool(self._archived[row]))

    def _digest(self, row: int) -> bytes:
        return bytes(self._digests[row * self._width : (row + 1) * self._width])


@dataclass(slots=True)
class _Slot:
    lock: threading.Lock = field(default_factory=threading.Lock)
    table: BlobTable | None = None


class BlobTables:
    """The tables of the layouts asked for last, each loaded once however many ask for it. Safe to share."""

    def __init__(
        self, load: Callable[[str], BlobTable], *, layouts_kept: int = LAYOUTS_KEPT, blobs_kept: int = BLOBS_KEPT
    ) -> None:
        """Take what makes the table of a layout by its path; what it raises, `find` raises."""
        self._load = load
        self._layouts_kept = layouts_kept
        self._blobs_kept = blobs_kept
        self._slots: OrderedDict[str, _Slot] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, path: str, digest: Digest) -> BlobStat | None:
        """What is known of a blob of the layout at `path`."""
        with self._lock:
            slot = self._slots.setdefault(path, _Slot())
            self._slots.move_to_end(path)
        with slot.lock:
            if slot.table is None:
                slot.table = self._load(path)
                self._make_room()
            return slot.table.find(digest)

    def _make_room(self) -> None:
        with self._lock:
            total = sum(len(slot.table) for slot in self._slots.values() if slot.table is not None)
            while total > self._blobs_kept and len(self._slots) > self._layouts_kept:
                _, oldest = self._slots.popitem(last=False)
                total -= len(oldest.table) if oldest.table is not None else 0
