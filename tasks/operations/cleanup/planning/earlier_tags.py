"""What tags earlier versions of an index have for manifests that the index names no more; pure."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tasks.oci.errors import InvalidLayoutError, InvalidReferenceError
from tasks.oci.image_layout import BrokenEntry, decode_index, iter_index
from tasks.oci.reference import REF_NAME, repository_of_annotations, tag_of_annotations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest


def earlier_tags(
    path: str, indexes: Iterable[bytes], wanted: Collection[Digest], asked: Collection[Digest]
) -> Mapping[Digest, list[str]]:
    """The tags of what is `asked`, as far as it has any in earlier indexes of the layout at `path`, the newest first.

    A tag counts as the newest of them has it, and as nobody's where that can't be told, or it is that of another one
    of several images. As little is read as finds all that is `wanted`, and nothing behind an entry that hides what it
    is called: any tag may have moved by it.
    """
    meant: dict[str, Digest | None] = {}
    missing = set(wanted)
    left = iter(indexes)
    while missing and (raw := next(left, None)) is not None:
        entries = _entries_in(raw)
        named = _named_by(path, entries)
        meant = named | meant
        missing -= set(named.values())
        if any(isinstance(entry, BrokenEntry) and entry.ref_name is None for entry in entries):
            break
    found: dict[Digest, list[str]] = {}
    for tag, digest in meant.items():
        if digest is not None and digest in asked:
            found.setdefault(digest, []).append(tag)
    return found


def _entries_in(raw: bytes) -> list[Descriptor | BrokenEntry]:
    try:
        return list(iter_index(decode_index(raw)))
    except InvalidLayoutError:
        return []  # as a writer left it that was cut off


def _named_by(path: str, entries: Sequence[Descriptor | BrokenEntry]) -> dict[str, Digest | None]:
    """What each tag names; None where an entry of it is broken or of another image, or it has two digests."""
    found: dict[str, Digest | None] = {}
    for tag, digest in _tags_of(path, entries):
        if found.setdefault(tag, digest) != digest:
            found[tag] = None
    return found


def _tags_of(path: str, entries: Sequence[Descriptor | BrokenEntry]) -> Iterator[tuple[str, Digest | None]]:
    whole = (entry.annotations for entry in entries if not isinstance(entry, BrokenEntry))
    names = {repository_of_annotations(each) or path for each in whole if REF_NAME in each}
    for entry in entries:
        if isinstance(entry, BrokenEntry):
            annotations: Mapping[str, str] = {REF_NAME: entry.ref_name or ""}
            digest = None
        else:
            annotations = entry.annotations
            is_ours = len(names) == 1 or repository_of_annotations(annotations) in {None, path}
            digest = entry.digest if is_ours else None
        if REF_NAME in annotations:
            with suppress(InvalidReferenceError):
                yield tag_of_annotations(annotations), digest
