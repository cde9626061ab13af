"""The entries of a ledger in memory, and the lines that say them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidDescriptorError, InvalidDigestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DEPTHS = (None, "manifest", "blobs", "content")
_ALGORITHMS = {32: "sha256", 64: "sha512"}
_MOST_REFERRERS = 0xFFFFFF
_ORIGIN, _MARK, _HEAD = 4, 8, 12
_MOST_MARK = 0xFFFFFFFF
_FOUND = 0x80


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What a run wrote under a tag: digest, the depth at which it was verified, how many referrers it has.

    `referrers_mark` is a checksum of 32 bits that says which they were at the source, 0 where nobody noted it.
    `origin` is the layout's path where the repository's name does not tell it. What was `found` equal at the target
    was not brought by any run.
    """

    digest: str
    verified: str | None = None
    referrers: int = 0
    origin: str = ""
    found: bool = False
    referrers_mark: int = 0


@dataclass(frozen=True, slots=True)
class LayoutNote:
    """Where a layout of the source went, and the mark of its index when all of it was there; empty otherwise.

    `settings` is the mark of the options under which that was so.
    """

    repository: str
    etag: str
    settings: str


@dataclass(frozen=True, slots=True)
class LedgerPart:
    """What of a ledger is about some layouts of the source, by path, or None for all, and about some repositories."""

    layouts: frozenset[str] | None
    repositories: frozenset[str]


def origin_of(prefix: str, repository: str, layout: str) -> str:
    """The path of a layout as it is kept with its tags: empty where its name below `prefix` is the repository's.

    Most have that name. A layout `app` that was renamed `team/app` is told from another one of that path.
    """
    return "" if repository == (f"{prefix}/{layout}" if prefix else layout) else layout


def tag_line(repository: str, tag: str, entry: LedgerEntry) -> dict[str, object]:
    """What is kept of a tag."""
    values: dict[str, object] = {"repository": repository, "tag": tag, "digest": entry.digest}
    more: dict[str, object] = {"origin": entry.origin} if entry.origin else {}
    more |= {"found": True} if entry.found else {}
    more |= {"referrers_mark": entry.referrers_mark} if entry.referrers_mark else {}
    return {**values, "verified": entry.verified, "referrers": entry.referrers, **more}


def coming_line(repository: str, tag: str, digest: str, origin: str) -> dict[str, object]:
    """What is kept of a tag before it is brought."""
    line: dict[str, object] = {"repository": repository, "tag": tag, "coming": digest}
    return {**line, "origin": origin} if origin else line


def at_risk_line(repository: str, manifest: Descriptor) -> dict[str, object]:
    """What is kept of a manifest that the target may let go."""
    return {"repository": repository, "at_risk": manifest.to_json()}


def _entry_of(digest: str, line: Mapping[str, Any]) -> LedgerEntry:
    """What a line says of a tag; values of another type say nothing."""
    verified, referrers, origin = line.get("verified"), line.get("referrers"), line.get("origin")
    mark = line.get("referrers_mark")
    return LedgerEntry(
        digest,
        verified if isinstance(verified, str) else None,
        referrers if type(referrers) is int else 0,
        origin if isinstance(origin, str) else "",
        line.get("found") is True,
        mark if type(mark) is int and 0 <= mark <= _MOST_MARK else 0,
    )


def layout_line(path: str, note: LayoutNote) -> dict[str, object]:
    """What is kept of a layout."""
    return {"layout": path, "repository": note.repository, "etag": note.etag, "settings": note.settings}


def _is_of(part: LedgerPart, line: Mapping[str, Any]) -> bool:
    """Whether a line says something of a part of the ledger."""
    match line:
        case {"layout": str(path)} | {"gone": str(path)}:
            return part.layouts is None or path in part.layouts
        case {"repository": str(repository)} | {"started": str(repository)}:
            return repository in part.repositories
        case _:
            return False


class LedgerMemory:
    """All entries, in less than 300 bytes a tag: a name and a packed entry each; or those of a part `only`."""

    def __init__(self, only: LedgerPart | None = None) -> None:
        self._only = only
        self.tags: dict[str, bytes] = {}
        self.coming: dict[str, set[tuple[str, str]]] = {}
        """By tag, the digests and origins that runs were about to bring, of which nothing was noted since."""
        self.at_risk: dict[str, dict[str, Descriptor]] = {}
        """By repository and digest, the manifests that may be gone with their tags, and are wanted."""
        self.started: set[str] = set()
        self.layouts: dict[str, LayoutNote] = {}
        self._origins = {"": 0}
        self._paths = [""]

    def put(self, repository: str, tag: str, entry: LedgerEntry) -> None:
        """Remember an entry in place of an earlier one."""
        self.tags[f"{repository}:{tag}"] = self._pack(entry)
        self.coming.pop(f"{repository}:{tag}", None)

    def drop(self, repository: str, tag: str) -> bool:
        """Forget a tag; whether anything was known of it."""
        known = [noted.pop(f"{repository}:{tag}", None) for noted in (self.tags, self.coming)]
        return any(each is not None for each in known)

    def put_at_risk(self, repository: str, manifest: Descriptor) -> bool:
        """Remember a manifest as at risk; whether it was not."""
        known = self.at_risk.setdefault(repository, {})
        return known.setdefault(manifest.digest, manifest) is manifest

    def take_from_risk(self, repository: str, digest: str) -> bool:
        """Forget that a manifest was at risk; whether it was."""
        return self.at_risk.get(repository, {}).pop(digest, None) is not None

    def get(self, repository: str, tag: str) -> LedgerEntry | None:
        """The last entry of a tag."""
        packed = self.tags.get(f"{repository}:{tag}")
        return None if packed is None else self.unpack(packed)

    def is_coming(self, repository: str, tag: str) -> bool:
        """Whether something was about to be brought to a tag, and nothing was noted since."""
        return f"{repository}:{tag}" in self.coming

    def _pack(self, entry: LedgerEntry) -> bytes:
        """An entry in about 80 bytes of memory; a depth that is not known here proves nothing."""
        first = _DEPTHS.index(entry.verified) if entry.verified in _DEPTHS else 0
        first |= _FOUND if entry.found else 0
        referrers = min(max(entry.referrers, 0), _MOST_REFERRERS)
        origin = self._origins.setdefault(entry.origin, len(self._paths))
        if origin == len(self._paths):
            self._paths.append(entry.origin)
        head = bytes([first]) + referrers.to_bytes(3) + origin.to_bytes(4) + entry.referrers_mark.to_bytes(4)
        return head + bytes.fromhex(Digest(entry.digest).encoded)

    def unpack(self, packed: bytes) -> LedgerEntry:
        """What an entry of `tags` says."""
        raw = packed[_HEAD:]
        digest = f"{_ALGORITHMS[len(raw)]}:{raw.hex()}"
        referrers, origin, mark = (
            int.from_bytes(packed[first:last]) for first, last in ((1, _ORIGIN), (_ORIGIN, _MARK), (_MARK, _HEAD))
        )
        depth, found = packed[0] & ~_FOUND, packed[0] >= _FOUND
        return LedgerEntry(digest, _DEPTHS[depth], referrers, self._paths[origin], found, mark)

    def take_line(self, line: dict[str, Any]) -> None:
        """Remember what a line says; one that says nothing known, or nothing of our part, is passed over."""
        if self._only is not None and not _is_of(self._only, line):
            return
        match line:
            case {"started": str(repository)}:
                self.started.add(repository)
            case {"gone": str(path)}:
                self.layouts.pop(path, None)
            case {"repository": str(repository), "at_risk": dict(manifest)}:
                with contextlib.suppress(InvalidDescriptorError, InvalidDigestError):
                    self.put_at_risk(repository, Descriptor.from_json(manifest))
            case {"repository": str(repository), "kept": str(digest)}:
                self.take_from_risk(repository, digest)
            case {"repository": str(repository), "tag": str(tag), "gone": True}:
                self.drop(repository, tag)
            case {"repository": str(repository), "tag": str(tag), "coming": str(digest)}:
                origin = _entry_of(digest, line).origin
                self.coming.setdefault(f"{repository}:{tag}", set()).add((digest, origin))
            case {"repository": str(repository), "tag": str(tag), "digest": str(digest)}:
                with contextlib.suppress(InvalidDigestError):
                    self.put(repository, tag, _entry_of(digest, line))
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
            yield tag_line(repository, tag, self.unpack(packed))
        for name, coming in self.coming.items():  # after the tag, whose line would end it
            repository, _, tag = name.rpartition(":")
            for digest, origin in coming:
                yield coming_line(repository, tag, digest, origin)
        for repository, manifests in self.at_risk.items():
            for manifest in manifests.values():
                yield at_risk_line(repository, manifest)
        for path, note in self.layouts.items():
            yield layout_line(path, note)
