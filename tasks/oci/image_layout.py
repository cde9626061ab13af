"""The files of an image layout (image-spec v1.1.1, image-layout.md), read from bytes."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tasks.oci.descriptor import Descriptor, in_words
from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidLayoutError, InvalidReferenceError, LayoutMissingError, SpecError
from tasks.oci.json_stream import TooLongError, iter_places
from tasks.oci.reference import REF_NAME, tag_of_annotations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MARKER = "oci-layout"
INDEX = "index.json"
BLOBS = "blobs"
INGEST = "ingest"
"""Where oras-go writes blobs before it renames them."""
UPLOADS = ".uploads"
"""Where zot keeps what is uploaded until it is whole; each repository of its own storage has this folder."""
OLAREGS_UPLOADS = "_uploads"
"""Where olareg does."""
SYNCS = ".sync"
"""Where zot, also before a repository is one, has a folder for each image that it fetches, with a layout in it."""
_OF_A_SYNC = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_MANIFESTS = "manifests"
MAX_INDEX_SIZE = 256 * 1024 * 1024
"""Bytes; about a million entries, all of which each push writes anew. A bound, so that a hostile index, which may be
a file that is nearly all hole, can't take all memory and time: it takes twice its size."""
MAX_MARKER_SIZE = 1024 * 1024
_NOTHING = re.compile(rb"[ \t\r\n\0]*+")
MAX_REF_NAME = 4096
"""Characters; a whole reference has some hundred at most."""
MOST_BROKEN = 100_000
"""Entries that can't be read: each is named, which takes a hundred times the two bytes that one may have."""

REFERRER_SUBJECT = ("org.opencontainers.image.referrer.subject", "org.olareg.referrer.subject")
"""Annotations by which olareg (old and new) marks an entry as the list of referrers of a digest."""


@dataclass(frozen=True, slots=True)
class BrokenEntry:
    """An entry of `index.json` that can't be read: its place in the list, its `ref.name` if legible, and why."""

    place: int
    ref_name: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class LayoutIndex:
    """The entries of an `index.json`, good ones apart from broken ones."""

    entries: tuple[Descriptor, ...]
    broken: tuple[BrokenEntry, ...]


def blob_path(digest: Digest) -> str:
    """Where a layout keeps the content with this digest, relative to the layout."""
    return f"{BLOBS}/{digest.algorithm}/{digest.encoded}"


def digest_of_path(path: str) -> Digest | None:
    """The digest of the content that any layout keeps at a path, None where that is none of a blob's."""
    *_, folder, algorithm, encoded = ["", "", *path.split("/")]
    return Digest.or_none(f"{algorithm}:{encoded}") if folder == BLOBS else None


def layouts_of_blobs(path: str) -> Iterator[str]:
    """The layouts to whose blobs a path may lead: any folder on its way may be called so."""
    parts = path.split("/")
    return ("/".join(parts[:place]) or "." for place, name in enumerate(parts) if name == BLOBS)


def is_of_a_sync(name: str) -> bool:
    """Whether a folder in `SYNCS` is one that zot has there, by its name."""
    return _OF_A_SYNC.fullmatch(name) is not None


def is_being_fetched(path: str) -> bool:
    """Whether a path leads into what zot fetches, or was killed over: none of it is listed as a layout."""
    return any(folder == SYNCS and is_of_a_sync(name) for folder, name in pairwise(path.split("/")))


def is_placeholder(size: int, digest: Digest) -> bool:
    """Whether a blob of this size is none, but what a deduplicating zot leaves where another layout has it."""
    return size == 0 and digest.hasher().hexdigest() != digest.encoded


def missing(name: str) -> InvalidLayoutError:
    """The error over a layout of which a file is not there."""
    kind = LayoutMissingError if name == MARKER else InvalidLayoutError
    return kind(f"{name} is missing")


def check_marker(raw: bytes) -> None:
    """Check the content of `oci-layout`.

    Raises:
        InvalidLayoutError: not JSON, or a version other than 1.x.
    """
    version = _decode(raw, MARKER).get("imageLayoutVersion")
    if not isinstance(version, str) or version.partition(".")[0] != "1":
        raise InvalidLayoutError(f"{MARKER}: imageLayoutVersion must be 1.x, not {in_words(version)[:40]!r}")


def parse_index(raw: bytes) -> LayoutIndex:
    """Read `index.json` whole; see `iter_index`."""
    entries: list[Descriptor] = []
    broken: list[BrokenEntry] = []
    for entry in iter_index(decode_index(raw)):
        if isinstance(entry, BrokenEntry):
            broken.append(entry)
        else:
            entries.append(entry)
    return LayoutIndex(tuple(entries), tuple(broken))


def decode_index(raw: bytes) -> str:
    """The text of `index.json`, without the zero bytes that a mount may have filled it up with.

    Raises:
        InvalidLayoutError: it is empty, or not Unicode.
    """
    _refuse_empty(raw, INDEX)
    encoding = json.detect_encoding(raw)
    try:
        return (_unfilled(raw) if encoding.startswith("utf-8") else raw).decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InvalidLayoutError(f"{INDEX} is not JSON: it is not Unicode") from error


def iter_index(text: str, places: Sequence[int] = ()) -> Iterator[Descriptor | BrokenEntry]:
    """The entries of an `index.json`, one at a time; see `iter_entries`."""
    return (entry for _, entry in iter_entries(text, places))


def iter_entries(text: str, places: Sequence[int] = ()) -> Iterator[tuple[str, Descriptor | BrokenEntry]]:
    """The entries of an `index.json` with the text of each; a broken one costs no other, unless there are very many.

    Of an index that is a part of another, `places` are those that its entries have there, as people will look for.

    Raises:
        InvalidLayoutError: the file as a whole can't be understood; what was handed out before is void.
    """
    others: dict[str, Any] = {}
    broken = 0
    try:
        for number, (begin, end, value) in enumerate(iter_places(text, _MANIFESTS, others)):
            entry = _entry(places[number] if places else number, value)
            broken += isinstance(entry, BrokenEntry)
            if broken > MOST_BROKEN:
                raise InvalidLayoutError(f"{INDEX} has more than {MOST_BROKEN:,} entries that can't be read")
            yield text[begin:end], entry
    except TooLongError as error:
        raise InvalidLayoutError(f"{INDEX}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidLayoutError(f"{INDEX} is not JSON: {str(error)[:200]}") from error
    _check_members(others)


def tags_named(raw: bytes) -> frozenset[str] | None:
    """Every tag that an index names, the ones of broken entries too; None where an entry hides its name.

    Raises:
        InvalidLayoutError: the index can't be understood.
    """
    tags = set()
    for entry in iter_index(decode_index(raw)):
        if isinstance(entry, BrokenEntry) and entry.ref_name is None:
            return None
        named = {REF_NAME: entry.ref_name or ""} if isinstance(entry, BrokenEntry) else entry.annotations
        if REF_NAME in named:
            with suppress(InvalidReferenceError):
                tags.add(tag_of_annotations(named))
    return frozenset(tags)


def digests_by_tag(raw: bytes) -> dict[str, Digest] | None:
    """What each tag of an index names; None where an entry is broken, or a tag has two digests.

    Raises:
        InvalidLayoutError: the index can't be understood.
    """
    found: dict[str, Digest] = {}
    for entry in iter_index(decode_index(raw)):
        if isinstance(entry, BrokenEntry):
            return None
        if REF_NAME in entry.annotations:
            with suppress(InvalidReferenceError):
                if found.setdefault(tag_of_annotations(entry.annotations), entry.digest) != entry.digest:
                    return None
    return found


def index_of(entries: Iterable[str]) -> bytes:
    """An `index.json` of entries that are given as text."""
    return f'{{"schemaVersion":2,"{_MANIFESTS}":[{",".join(entries)}]}}'.encode()


def _check_members(others: dict[str, Any]) -> None:
    for name in others:
        if name != _MANIFESTS and name.casefold() == _MANIFESTS:  # clients in Go take either, and the last one
            raise InvalidLayoutError(f"{INDEX} has {name!r} in place of {_MANIFESTS!r}")
    if _MANIFESTS not in others:
        raise InvalidLayoutError(f"{INDEX} has no manifests")
    listed = others[_MANIFESTS]
    if listed is not None and not isinstance(listed, list):  # null is what oras leaves when it deletes the last one
        raise InvalidLayoutError(f"{INDEX}: manifests must be a list, not {type(listed).__name__}")
    version = others.get("schemaVersion")
    if version != 2:  # noqa: PLR2004 - the specification's own number
        raise InvalidLayoutError(f"{INDEX}: schemaVersion must be 2, not {in_words(version)[:40]}")


def _entry(place: int, value: object) -> Descriptor | BrokenEntry:
    try:
        entry = Descriptor.from_json(value)
        _check_ref_name(entry.annotations.get(REF_NAME, ""))
    except SpecError as error:
        return BrokenEntry(place, _ref_name(value), error.code, f"{INDEX}: manifests[{place}]: {error}")
    return entry


def _check_ref_name(ref_name: str) -> None:
    """See that a name can be shown: one of a megabyte would be printed, and be in each report, as a tag is."""
    if len(ref_name) > MAX_REF_NAME:
        raise InvalidReferenceError(f"{REF_NAME} has {len(ref_name)} characters, more than any reference")


def _ref_name(value: object) -> str | None:
    annotations = value.get("annotations") if isinstance(value, dict) else None
    ref_name = annotations.get(REF_NAME) if isinstance(annotations, dict) else None
    return ref_name if isinstance(ref_name, str) and len(ref_name) <= MAX_REF_NAME else None


def _decode(raw: bytes, name: str) -> dict[str, Any]:
    _refuse_empty(raw, name)
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidLayoutError(f"{name} is not JSON: {str(error)[:200]}") from error
    if not isinstance(body, dict):
        raise InvalidLayoutError(f"{name} must be an object, not {type(body).__name__}")
    return body


def _unfilled(raw: bytes) -> bytes:
    """What stands before zero bytes at the end: as text, a file that is nearly all hole may take four times its size.

    In UTF-8 alone JSON has no such byte.
    """
    end = raw.find(b"\0")
    return raw[:end] if end >= 0 and _NOTHING.fullmatch(raw, end) else raw


def _refuse_empty(raw: bytes, name: str) -> None:
    if _NOTHING.fullmatch(raw):
        raise InvalidLayoutError(f"{name} is empty; a writer may be at work, or its last write failed")
