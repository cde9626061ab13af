"""What earlier runs wrote to a target: lines of JSON, all of them read at the start.

Losing it costs time, never correctness; so lines that can't be read are passed over.
"""

from __future__ import annotations

import contextlib
import re
import threading
from bisect import bisect_left
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidDigestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DEPTHS = (None, "manifest", "blobs", "content")
_ALGORITHMS = {32: "sha256", 64: "sha512"}
_MOST_REFERRERS = 0xFFFFFF
_HEAD = 4


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What a run wrote under a tag: digest, the depth at which it was verified, how many referrers it has."""

    digest: str
    verified: str | None = None
    referrers: int = 0


def _pack(entry: LedgerEntry) -> bytes:
    """An entry in about 70 bytes of memory; a depth that is not known here proves nothing."""
    depth = _DEPTHS.index(entry.verified) if entry.verified in _DEPTHS else 0
    referrers = min(max(entry.referrers, 0), _MOST_REFERRERS)
    return bytes([depth]) + referrers.to_bytes(3, "big") + bytes.fromhex(Digest(entry.digest).encoded)


def _unpack(packed: bytes) -> LedgerEntry:
    raw = packed[_HEAD:]
    digest = f"{_ALGORITHMS[len(raw)]}:{raw.hex()}"
    return LedgerEntry(digest, _DEPTHS[packed[0]], int.from_bytes(packed[1:_HEAD], "big"))


def _tag_line(repository: str, tag: str, entry: LedgerEntry) -> dict[str, object]:
    values: dict[str, object] = {"repository": repository, "tag": tag, "digest": entry.digest}
    return {**values, "verified": entry.verified, "referrers": entry.referrers}


@dataclass(frozen=True, slots=True)
class LayoutNote:
    """Where a layout of the source went, and the mark of its index when all of it was there; empty otherwise."""

    repository: str
    etag: str
    settings: str


def _layout_line(path: str, note: LayoutNote) -> dict[str, object]:
    return {"layout": path, "repository": note.repository, "etag": note.etag, "settings": note.settings}


class LedgerMemory:
    """All entries, in less than 300 bytes a tag: a name and a packed entry each."""

    def __init__(self) -> None:
        self.tags: dict[str, bytes] = {}
        self.started: set[str] = set()
        self.layouts: dict[str, LayoutNote] = {}

    def put(self, repository: str, tag: str, entry: LedgerEntry) -> None:
        """Remember an entry in place of an earlier one."""
        self.tags[f"{repository}:{tag}"] = _pack(entry)

    def get(self, repository: str, tag: str) -> LedgerEntry | None:
        """The last entry of a tag."""
        packed = self.tags.get(f"{repository}:{tag}")
        return None if packed is None else _unpack(packed)

    def take_line(self, line: dict[str, Any]) -> None:
        """Remember what a line says; one that says nothing known is passed over."""
        match line:
            case {"started": str(repository)}:
                self.started.add(repository)
            case {"gone": str(path)}:
                self.layouts.pop(path, None)
            case {"repository": str(repository), "tag": str(tag), "gone": True}:
                self.tags.pop(f"{repository}:{tag}", None)
            case {"repository": str(repository), "tag": str(tag), "digest": str(digest)}:
                verified, referrers = line.get("verified"), line.get("referrers")
                known = verified if isinstance(verified, str) else None
                with contextlib.suppress(InvalidDigestError):
                    self.put(repository, tag, LedgerEntry(digest, known, referrers if type(referrers) is int else 0))
            case {
                "layout": str(path),
                "repository": str(repository),
                "etag": str(etag),
                "settings": str(settings),
            }:
                self.layouts[path] = LayoutNote(repository, etag, settings)
            case _:
                pass

    def lines(self) -> Iterator[dict[str, object]]:
        """Everything, as the fewest lines that say it."""
        for repository in self.started:
            yield {"started": repository}
        for name, packed in self.tags.items():
            repository, _, tag = name.rpartition(":")
            yield _tag_line(repository, tag, _unpack(packed))
        for path, note in self.layouts.items():
            yield _layout_line(path, note)


class LedgerLines(Protocol):
    """Where the lines are kept: a folder, or a bucket."""

    def read(self) -> LedgerMemory:
        """What the lines of all runs say.

        Raises:
            StateError: they can't be read.
        """
        ...

    def append(self, line: Mapping[str, object]) -> None:
        """Add a line of this run; it is kept a little later, by itself.

        Raises:
            StateError: this or an earlier line could not be written.
        """
        ...

    def flush(self) -> None:
        """Keep all lines so far, now.

        Raises:
            StateError: this or an earlier line could not be written.
        """
        ...

    def close(self) -> None:
        """Keep what is left; may be called twice.

        Raises:
            StateError: a line could not be written, and no earlier call said so.
        """
        ...


class Ledger:
    """The entries of all runs, to which this one adds; safe to use from several threads."""

    def __init__(self, lines: LedgerLines) -> None:
        """Read all of `lines`.

        Raises:
            StateError: they can't be read.
        """
        self._lines = lines
        self._memory = lines.read()
        self._sorted: list[str] | None = None
        self._lock = threading.Lock()

    def digest_of(self, repository: str, tag: str) -> str | None:
        """The digest that we wrote last under a tag of the target."""
        entry = self.entry(repository, tag)
        return entry.digest if entry else None

    def entry(self, repository: str, tag: str) -> LedgerEntry | None:
        """All that we know of a tag of the target, None when we never wrote it."""
        with self._lock:
            return self._memory.get(repository, tag)

    def was_started(self, repository: str) -> bool:
        """Whether a run began to write to a repository of the target."""
        with self._lock:
            return repository in self._memory.started

    def note_started(self, repository: str) -> None:
        """Keep that a run begins to write to a repository.

        Raises:
            StateError: the ledger can't be written.
        """
        with self._lock:
            if repository in self._memory.started:
                return
            self._memory.started.add(repository)
            self._lines.append({"started": repository})
            self._lines.flush()  # a run that is killed now must not be taken for one that sent nothing

    def note_tag(self, repository: str, tag: str, digest: str, verified: str | None, referrers: int) -> None:
        """Keep that a tag is at the target.

        Raises:
            StateError: the ledger can't be written.
            InvalidDigestError: `digest` is none.
        """
        entry = LedgerEntry(Digest(digest), verified, referrers)
        with self._lock:
            if self._memory.get(repository, tag) != entry:
                self._memory.put(repository, tag, entry)
                self._lines.append(_tag_line(repository, tag, entry))

    def tags_of(self, repository: str) -> dict[str, str]:
        """The digests that earlier runs wrote last to a repository of the target, by tag."""
        with self._lock:
            if self._sorted is None:
                self._sorted = sorted(self._memory.tags)
            first, last = (bisect_left(self._sorted, f"{repository}{end}") for end in ":;")  # ; comes after :
            known = self._memory.tags
            found = {name: known[name] for name in self._sorted[first:last] if name in known}
        return {name.rpartition(":")[2]: _unpack(packed).digest for name, packed in found.items()}

    def forget_tag(self, repository: str, tag: str) -> None:
        """Keep that a tag is not at the target any more.

        Raises:
            StateError: the ledger can't be written.
        """
        with self._lock:
            if self._memory.tags.pop(f"{repository}:{tag}", None) is not None:
                self._lines.append({"repository": repository, "tag": tag, "gone": True})

    def forget_layout(self, path: str) -> None:
        """Keep that a layout is gone from both sides.

        Raises:
            StateError: the ledger can't be written.
        """
        with self._lock:
            if self._memory.layouts.pop(path, None) is not None:
                self._lines.append({"gone": path})

    def layout(self, path: str) -> LayoutNote | None:
        """What was last noted of a layout of the source."""
        with self._lock:
            return self._memory.layouts.get(path)

    def layouts(self) -> list[str]:
        """All layouts that were ever migrated, by path."""
        with self._lock:
            return list(self._memory.layouts)

    def note_layout(self, path: str, repository: str, etag: str, settings: str) -> None:
        """Keep that everything selected of a layout is at the target; with an empty `etag`, that it is not.

        Raises:
            StateError: the ledger can't be written.
        """
        note = LayoutNote(repository, etag, settings)
        with self._lock:
            if self._memory.layouts.get(path) != note:
                self._memory.layouts[path] = note
                self._lines.append(_layout_line(path, note))

    def close(self) -> None:
        """Write what is buffered; may be called twice.

        Raises:
            StateError: the ledger can't be written, and no earlier call said so.
        """
        with self._lock:
            self._lines.close()


def file_name(run_id: str) -> str:
    """A run's id as part of a file's name: itself where it is safe there, else made so and told apart by a hash."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", run_id)[:80]
    if readable == run_id and readable.strip("."):
        return readable
    return f"{readable}-{sha256(run_id.encode(errors='backslashreplace')).hexdigest()[:8]}"
