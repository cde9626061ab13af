"""What earlier runs wrote to a target: a file of JSON lines a run, all of them read at the start.

Losing it costs time, never correctness; so lines that can't be read are passed over.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidDigestError
from tasks.stores.json_lines import JsonLinesWriter, json_line, read_json_lines, state_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_FILES = 20
IDLE_SECONDS = 600.0
_COMPACTED = "compacted.jsonl"
_GUARD = "compaction.guard"
_DEPTHS = (None, "manifest", "blobs", "content")
_ALGORITHMS = {32: "sha256", 64: "sha512"}
_MOST_REFERRERS = 0xFFFFFF
_HEAD = 4
_READ_ATTEMPTS = 5


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


class _Memory:
    """All entries, in less than 300 bytes a tag: a name and a packed entry each."""

    def __init__(self) -> None:
        self.tags: dict[str, bytes] = {}
        self.started: set[str] = set()

    def put(self, repository: str, tag: str, entry: LedgerEntry) -> None:
        self.tags[f"{repository}:{tag}"] = _pack(entry)

    def get(self, repository: str, tag: str) -> LedgerEntry | None:
        packed = self.tags.get(f"{repository}:{tag}")
        return None if packed is None else _unpack(packed)

    def take_line(self, line: dict[str, Any]) -> None:
        match line:
            case {"started": str(repository)}:
                self.started.add(repository)
            case {"repository": str(repository), "tag": str(tag), "digest": str(digest)}:
                verified, referrers = line.get("verified"), line.get("referrers")
                known = verified if isinstance(verified, str) else None
                with contextlib.suppress(InvalidDigestError):
                    self.put(repository, tag, LedgerEntry(digest, known, referrers if type(referrers) is int else 0))
            case _:
                pass

    def lines(self) -> Iterator[dict[str, object]]:
        for repository in self.started:
            yield {"started": repository}
        for name, packed in self.tags.items():
            repository, _, tag = name.rpartition(":")
            yield _tag_line(repository, tag, _unpack(packed))


class Ledger:
    """The entries of all runs, to which this one adds; safe to use from several threads."""

    def __init__(self, folder: Path, run_id: str) -> None:
        """Read all files of `folder`, first making one of the old ones if they are many.

        Raises:
            StateError: one can't be read.
        """
        _compact_if_many(folder)
        self._memory = _read_folder(folder)
        self._lock = threading.Lock()
        self._path = folder / f"ledger-{file_name(run_id)}.jsonl"
        self._writer = JsonLinesWriter(self._path)
        self._in_use: int | None = None

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
            self._append({"started": repository})
            self._writer.flush()  # a run that is killed now must not be taken for one that sent nothing

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
                self._append(_tag_line(repository, tag, entry))

    def close(self) -> None:
        """Write what is buffered; may be called twice.

        Raises:
            StateError: the ledger can't be written, and no earlier call said so.
        """
        with self._lock:
            try:
                self._writer.close()
            finally:
                self._let_go()

    def _append(self, line: dict[str, object]) -> None:
        if self._in_use is None:
            self._in_use = _mark_in_use(self._path)
        self._writer.append(line)

    def _let_go(self) -> None:
        if self._in_use is not None:
            os.close(self._in_use)
            self._in_use = None


def file_name(run_id: str) -> str:
    """A run's id as part of a file's name: itself where it is safe there, else made so and told apart by a hash."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", run_id)[:80]
    if readable == run_id and readable.strip("."):
        return readable
    return f"{readable}-{sha256(run_id.encode(errors='backslashreplace')).hexdigest()[:8]}"


def _mark_in_use(path: Path) -> int:
    """Open the file under a shared lock, which keeps other processes from compacting it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise state_error(str(path), error) from error
    with contextlib.suppress(OSError):  # not every file system has locks
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor


def _read_folder(folder: Path) -> _Memory:
    """Read everything; once more where a compaction elsewhere took a file away meanwhile."""
    for last in (False,) * (_READ_ATTEMPTS - 1) + (True,):
        try:
            return _read_files([folder / _COMPACTED, *_files_by_age(folder)])
        except FileNotFoundError as error:
            if last:
                raise state_error(str(folder), error) from error
        except OSError as error:
            raise state_error(str(folder), error) from error
    raise AssertionError  # the loop ends by itself


def _read_files(paths: list[Path]) -> _Memory:
    memory = _Memory()
    for path in paths:
        if path.name == _COMPACTED and not path.exists():
            continue
        for line in read_json_lines(path):
            memory.take_line(line)
    return memory


def _files_by_age(folder: Path) -> list[Path]:
    return sorted(folder.glob("ledger-*.jsonl"), key=lambda path: (path.stat().st_mtime_ns, path.name))


def _compact_if_many(folder: Path) -> None:
    """Make one file of old ones; where that fails or another process is at it, they stay as they are."""
    with contextlib.suppress(OSError):
        if len(_files_by_age(folder)) <= MOST_FILES:
            return
        guard = os.open(folder / _GUARD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _compact(folder, [path for path in _files_by_age(folder) if _is_idle(path)])
        finally:
            os.close(guard)


def _compact(folder: Path, old: list[Path]) -> None:
    unfinished = folder / f"{_COMPACTED}.{os.getpid()}.tmp"
    try:
        with unfinished.open("wb") as out:
            for line in _read_files([folder / _COMPACTED, *old]).lines():
                out.write(json_line(line))
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(folder / _COMPACTED)
    finally:
        unfinished.unlink(missing_ok=True)
    for path in old:
        path.unlink(missing_ok=True)


def _is_idle(path: Path) -> bool:
    """Whether no run writes to a file: none holds it (as this host sees it), and it is older than ten minutes."""
    if time.time() - path.stat().st_mtime < IDLE_SECONDS:
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
