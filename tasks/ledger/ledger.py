"""What earlier runs wrote to a target: lines of JSON, all of them read at the start.

It is a memory, never a proof: losing it costs time alone, so lines that can't be read are passed over.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import TYPE_CHECKING, Protocol

from tasks.ledger.ledger_memory import (
    LayoutNote,
    LedgerEntry,
    at_risk_line,
    coming_line,
    layout_line,
    origin_of,
    tag_line,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.ledger.ledger_memory import LedgerMemory, LedgerPart
    from tasks.oci.descriptor import Descriptor


class LedgerLines(Protocol):
    """Where the lines are kept: a folder, or a bucket."""

    def read(self, only: LedgerPart | None = None) -> LedgerMemory:
        """What the lines of all runs say, or what they say of a part; only who reads all may make fewer of them.

        Raises:
            StateError: they can't be read.
        """
        ...

    def append(self, line: Mapping[str, object], *, before_it_is_so: bool = False) -> None:
        """Add a line of this run; it is kept a little later, by itself, or sooner where it is `before_it_is_so`.

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
    """What all runs noted of tags and layouts, to which this one adds; safe to use from several threads.

    Whatever notes or forgets something raises `StateError` where the ledger can't be written.
    """

    def __init__(self, lines: LedgerLines, prefix: str = "", only: LedgerPart | None = None) -> None:
        """Read `lines`; `prefix` is the one that repositories of the target have.

        Of a part `only`, nothing else is to be asked for.

        Raises:
            StateError: they can't be read.
        """
        self._lines = lines
        self._prefix = prefix
        self._memory = lines.read(only)
        self._sorted: list[str] | None = None
        self._beginning: set[str] = set()
        """Repositories that this run noted as started, whose lines may not be kept yet."""
        self._lock = threading.Lock()

    def entry(self, repository: str, tag: str) -> LedgerEntry | None:
        """What was last noted of a tag, None where nothing was."""
        with self._lock:
            return self._memory.get(repository, tag)

    def origin(self, repository: str, tag: str) -> str | None:
        """The path of the layout that a tag was noted from, None where nothing was."""
        entry = self.entry(repository, tag)
        return None if entry is None else entry.origin or repository.removeprefix(f"{self._prefix}/")

    def was_started(self, repository: str) -> bool:
        """Whether this or an earlier run may have sent something into the repository."""
        with self._lock:
            return repository in self._memory.started

    def note_started(self, repository: str) -> None:
        """Note that something may be sent into the repository from now on."""
        with self._lock:
            if repository not in self._memory.started:
                self._memory.started.add(repository)
                self._beginning.add(repository)
                self._lines.append({"started": repository})
            elif repository not in self._beginning:
                return
        self._lines.flush()  # a run that is killed now must not be taken for one that sent nothing
        with self._lock:
            self._beginning.discard(repository)

    def note_coming(self, repository: str, tag: str, digest: str, *, layout: str) -> None:
        """Note what is about to be brought to a tag, for the run after one that is killed."""
        origin = origin_of(self._prefix, repository, layout)
        with self._lock:
            known = self._memory.get(repository, tag)
            if known is None or known.digest != digest:
                self._lines.append(coming_line(repository, tag, digest, origin), before_it_is_so=True)

    def may_have_brought(self, repository: str, tag: str, digest: str, *, layout: str) -> bool:
        """Whether an earlier run was about to bring this from that layout, and did not live to note the end."""
        coming = (digest, origin_of(self._prefix, repository, layout))
        with self._lock:
            return coming in self._memory.coming.get(f"{repository}:{tag}", ())

    def is_coming(self, repository: str, tag: str) -> bool:
        """Whether an earlier run was about to bring something to a tag, and did not live to note the end."""
        with self._lock:
            return self._memory.is_coming(repository, tag)

    def note_at_risk(self, repository: str, manifest: Descriptor) -> None:
        """Note a manifest that the target may let go with its tag, which is moved next."""
        with self._lock:
            if self._memory.put_at_risk(repository, manifest):
                self._lines.append(at_risk_line(repository, manifest), before_it_is_so=True)

    def note_kept(self, repository: str, digest: str) -> None:
        """Note that a manifest that was at risk is at the target."""
        with self._lock:
            if self._memory.take_from_risk(repository, digest):
                self._lines.append({"repository": repository, "kept": digest})

    def at_risk(self, repository: str) -> list[Descriptor]:
        """The manifests that were noted as at risk, and not as kept."""
        with self._lock:
            return list(self._memory.at_risk.get(repository, {}).values())

    def note_tag(
        self,
        repository: str,
        tag: str,
        digest: str,
        verified: str | None,
        referrers: int,
        *,
        layout: str,
        found: bool = False,
        referrers_mark: int = 0,
    ) -> None:
        """Note a tag that the target has as the layout of that path does, brought or only `found` there.

        One that was only `found` was brought by a run where that is known already.

        Raises:
            InvalidDigestError: `digest` is none.
        """
        with self._lock:
            known = self._memory.get(repository, tag)
            only_found = found and (known is None or known.found or known.digest != digest)
            origin = origin_of(self._prefix, repository, layout)
            entry = LedgerEntry(digest, verified, referrers, origin, only_found, referrers_mark)
            if known != entry or self._memory.is_coming(repository, tag):
                self._memory.put(repository, tag, entry)
                self._lines.append(tag_line(repository, tag, entry))

    def tags_of(self, repository: str, layout: str | None = None) -> dict[str, str]:
        """The digests that were written last to tags that earlier runs noted, by tag; of one layout, or of all."""
        return {tag: entry.digest for tag, entry in self._entries_of(repository, layout)}

    def brought_to(self, repository: str, layout: str) -> dict[str, str]:
        """Those of `tags_of` a layout that runs brought, and did not only find there."""
        return {tag: entry.digest for tag, entry in self._entries_of(repository, layout) if not entry.found}

    def _entries_of(self, repository: str, layout: str | None) -> list[tuple[str, LedgerEntry]]:
        origin = None if layout is None else origin_of(self._prefix, repository, layout)
        with self._lock:
            if self._sorted is None:  # once: nobody asks for tags that this run is the first to bring
                self._sorted = sorted(self._memory.tags)
            first, last = (bisect_left(self._sorted, f"{repository}{end}") for end in ":;")  # ; comes after :
            known = self._memory.tags
            found = {name: self._memory.unpack(known[name]) for name in self._sorted[first:last] if name in known}
        return [
            (name.rpartition(":")[2], entry)
            for name, entry in found.items()
            if origin is None or entry.origin == origin
        ]

    def forget_tag(self, repository: str, tag: str) -> None:
        """Note that a tag is not at the target any more."""
        with self._lock:
            if self._memory.drop(repository, tag):
                self._lines.append({"repository": repository, "tag": tag, "gone": True})

    def forget_layout(self, path: str) -> None:
        """Note that a layout is gone from both sides."""
        with self._lock:
            if self._memory.layouts.pop(path, None) is not None:
                self._lines.append({"gone": path})

    def layout(self, path: str) -> LayoutNote | None:
        """What was last noted of a layout of the source, None where nothing was."""
        with self._lock:
            return self._memory.layouts.get(path)

    def layouts(self) -> list[str]:
        """All layouts that were ever migrated, by path."""
        with self._lock:
            return list(self._memory.layouts)

    def note_layout(self, path: str, repository: str, etag: str, settings: str) -> None:
        """Note that everything selected of a layout is at the target, or with an empty `etag` that it is not."""
        note = LayoutNote(repository, etag, settings)
        with self._lock:
            if self._memory.layouts.get(path) != note:
                self._memory.layouts[path] = note
                self._lines.append(layout_line(path, note), before_it_is_so=not etag)

    def flush(self) -> None:
        """Write what is buffered, for a process that may end before it is closed."""
        self._lines.flush()

    def close(self) -> None:
        """Write what is buffered; may be called twice.

        Raises:
            StateError: the ledger can't be written, and no earlier call said so.
        """
        with self._lock:
            self._lines.close()
