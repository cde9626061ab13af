"""Sorts the entries of an index: with a tag, without one, and those that can't be used. No manifest is read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.oci import media_types
from tasks.oci.codes import Problem, Remark
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import DigestOnlyError, InvalidDigestError, InvalidReferenceError
from tasks.oci.image_layout import REFERRER_SUBJECT, BrokenEntry
from tasks.oci.reference import REF_NAME, tag_of_annotations
from tasks.operations.choosing.noted_times import NotedTimes
from tasks.operations.reports.results import RefusedEntry, TagEntry
from tasks.operations.source.writers_notes import WritersNotes, first_of, said_of_attached, shown
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class SortedIndex:
    """The entries of one index; those of `untagged` and `unnamed` have no tag that could be used.

    What is `unnamed` has a name that is no tag, or one that other content has as well. `referrer_lists` are untagged
    entries that list referrers, with the subject that their writer noted. `made`, when a manifest was made in seconds
    since 1970, is empty unless times were asked for.
    """

    tags: tuple[TagEntry, ...]
    untagged: Mapping[Digest, Descriptor]
    unnamed: tuple[TagEntry, ...]
    refused: tuple[RefusedEntry, ...]
    referrer_lists: Mapping[Digest, Digest]
    made: Mapping[Digest, float]
    findings: tuple[Finding, ...]


def sort_index(path: str, entries: Iterable[Descriptor | BrokenEntry], *, dated: bool) -> SortedIndex:
    """Sort the entries of the index of the layout at `path`; only where it is to be `dated` times are kept."""
    sorting = _Sorting(path)
    for entry in entries:
        if isinstance(entry, BrokenEntry):
            sorting.broken.append(entry)
        else:
            sorting.take(entry)
    return sorting.result(dated=dated)


@dataclass(slots=True)
class _Sorting:
    """What the entries so far are."""

    path: str
    tags: dict[str, Descriptor] = field(default_factory=dict)
    created: NotedTimes = field(default_factory=NotedTimes)
    ambiguous: dict[str, dict[Descriptor, str]] = field(default_factory=dict)
    notes: WritersNotes = field(default_factory=WritersNotes)
    untagged: dict[Digest, Descriptor] = field(default_factory=dict)
    unnamed: dict[Digest, Descriptor] = field(default_factory=dict)
    refused: dict[str, RefusedEntry] = field(default_factory=dict)
    broken: list[BrokenEntry] = field(default_factory=list)
    referrer_lists: dict[Digest, Digest] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def take(self, entry: Descriptor) -> None:
        plain = Descriptor(entry.media_type, entry.digest, entry.size, entry.artifact_type)
        ref_name = entry.annotations.get(REF_NAME)
        if ref_name is None:
            self.untagged[plain.digest] = plain
            self.notes.note_untagged(entry)
            self._note_referrer_list(entry)
            return
        try:
            tag = tag_of_annotations(entry.annotations)
        except InvalidReferenceError as error:
            self._refuse(RefusedEntry(ref_name, plain.digest, plain.media_type, error.code, str(error)))
            kept = self.untagged if isinstance(error, DigestOnlyError) else self.unnamed
            kept[plain.digest] = plain
            return
        self.created.note(entry)
        known = self.tags.setdefault(tag, plain)
        if known != plain:
            named = self.ambiguous.setdefault(tag, {known: self.notes.first(tag, known.digest)})
            named.setdefault(plain, shown(tag, entry))
        self.notes.note_tagged(tag, entry)

    def result(self, *, dated: bool) -> SortedIndex:
        self._refuse_ambiguous()
        self._refuse_attached()
        for broken in self.broken:
            self._note_broken(broken)
        made = self.created.times() if dated else {}
        tags = tuple(TagEntry(tag, self.tags[tag]) for tag in self.created.oldest_first(self.tags))
        self.created.forget()
        for tagged in tags:
            self.untagged.pop(tagged.descriptor.digest, None)
        self.findings += self.notes.findings(self.path, [e.descriptor.digest for e in tags], self.untagged)
        self._leave_out_other_content()
        return SortedIndex(
            tags=tags,
            untagged=self.untagged,
            unnamed=tuple(TagEntry(None, each) for each in self.unnamed.values()),
            refused=tuple(self.refused.values()),
            referrer_lists=self.referrer_lists,
            made=made,
            findings=tuple(self.findings),
        )

    def _note_broken(self, broken: BrokenEntry) -> None:
        """One with the name of a tag that has an outcome already can't have another."""
        if broken.ref_name is None or broken.ref_name in self.tags or broken.ref_name in self.refused:
            self.findings.append(Finding(self.path, broken.code, broken.message))
        else:
            self._refuse(RefusedEntry(broken.ref_name, None, None, broken.code, broken.message))

    def _refuse(self, entry: RefusedEntry) -> None:
        self.refused.setdefault(entry.tag or entry.digest or "", entry)  # an empty name is that of many

    def _note_referrer_list(self, entry: Descriptor) -> None:
        for name in REFERRER_SUBJECT:
            if name in entry.annotations:
                try:
                    self.referrer_lists[entry.digest] = Digest(entry.annotations[name])
                except InvalidDigestError as error:
                    self.findings.append(Finding(self.path, error.code, f"annotation {name}: {error}"))

    def _refuse_ambiguous(self) -> None:
        for tag, named in self.ambiguous.items():
            if (image := self.notes.note_image(tag, named)) is not None:
                self.tags[tag] = image
                self.untagged |= {each.digest: each for each in named if each != image}
                continue
            del self.tags[tag]
            self.unnamed |= {each.digest: each for each in named}
            message = f"entries of index.json give the tag {tag} different content: {first_of(_told_apart(named))}"
            self._refuse(RefusedEntry(tag, None, None, Problem.TAG_COLLISION, message))

    def _refuse_attached(self) -> None:
        for tag, writer in self.notes.tags_of_attached(self.tags):
            attached = self.tags.pop(tag)
            self.unnamed[attached.digest] = attached
            message = said_of_attached(tag, attached.digest, writer)
            self._refuse(RefusedEntry(tag, attached.digest, attached.media_type, Problem.TAG_OF_ATTACHED, message))

    def _leave_out_other_content(self) -> None:
        """Untagged entries of types that are no manifest's are no error (image-spec v1.1.1, image-index.md)."""
        for each in list(self.untagged.values()):
            if not media_types.is_manifest(each.media_type) and not media_types.may_list_more(each.media_type):
                del self.untagged[each.digest]
                message = f"{each.digest}, without a tag, is of the type {each.media_type}: no manifest, so it stays"
                self.findings.append(Finding(self.path, Remark.NOT_A_MANIFEST, message))


def _told_apart(named: Mapping[Descriptor, str]) -> list[str]:
    """Contents of one tag as they are shown; with all that an entry says of it, where several are of one digest."""
    counts = Counter(each.digest for each in named)
    return [
        f"{text} of {each.size} bytes as {each.media_type}" if counts[each.digest] > 1 else text
        for each, text in named.items()
    ]
