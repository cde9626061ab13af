"""Which entries and content of a layout stay. Pure, over a layout that was read whole.

What stays is everything that a kept tag needs: manifests at any depth, config and layers, and every referrer of
what stays, in all three conventions: by the subject in its manifest, by a tag (`sha256-…`, with cosign's suffix
or without), and by olareg's annotation. An entry without a tag is judged last: it may be a part of an index, a
referrer, or the second entry of a tagged manifest, and then goes or stays with that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.oci.reference import is_own_name
from tasks.operations.choosing.ages import noted_time, tag_time
from tasks.operations.choosing.tag_order import DatedTag
from tasks.operations.cleanup.deciding.retention import Verdict
from tasks.operations.cleanup.records.strays import Belonging, subject_in_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tasks.oci.digest import Digest
    from tasks.operations.cleanup.deciding.choices import Choice
    from tasks.operations.cleanup.layout.graph import Graph
    from tasks.operations.cleanup.layout.layout_view import Entry, LayoutView

    _Name = tuple[str | None, str]

_AMBIGUOUS = Verdict("two entries give this tag different content; nobody but its writer can say which is right")
_NO_TAG = Verdict("registries take no such tag, so no rule is about it")


@dataclass(frozen=True, slots=True)
class EntryDecisions:
    """The verdict on each entry, in the order of the index; the content that stays, and all that there was.

    Both map a digest to what needs it, by the name of a tag where there is one.
    """

    verdicts: tuple[Verdict, ...]
    needed: Mapping[Digest, str]
    before: Mapping[Digest, str]


def decide_entries(
    view: LayoutView,
    graph: Graph,
    choice: Choice,
    now: float,
    *,
    forced: Mapping[Entry, str],
    stray_since: Mapping[Digest, float],
    roots: Iterable[Digest] = (),
) -> EntryDecisions:
    """Decide on every entry; those in `forced` stay for the reason given, and `roots` stay besides.

    `stray_since` says since when those are known to be strays that are; see `strays`.
    """
    return _Deciding(view, graph, choice, now, forced, stray_since).run(roots)


@dataclass(slots=True)
class _Deciding:
    """The work on one layout."""

    view: LayoutView
    graph: Graph
    choice: Choice
    now: float
    forced: Mapping[Entry, str]
    stray_since: Mapping[Digest, float]
    belonging: Belonging = field(init=False)
    verdicts: dict[int, Verdict] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.belonging = Belonging.of(self.view.entries, self.graph, self.view.blobs)

    def run(self, protected: Iterable[Digest]) -> EntryDecisions:
        entries = self.view.entries
        self.verdicts = dict(self._first_verdicts())
        roots: dict[Digest, str] = {digest: digest for digest in protected}
        roots.update({entries[i].digest: entries[i].label for i, verdict in self.verdicts.items() if verdict.keep})
        needed: dict[Digest, str] = {}
        waiting = self._waiting()
        new = self._reach_more(needed, roots)
        while added := dict(self._also_kept(needed, waiting, new)):
            self.verdicts |= added
            new = self._reach_more(needed, {entries[i].digest: entries[i].label for i in added})
        for place, entry in enumerate(entries):
            if place not in self.verdicts:
                self.verdicts[place] = Verdict(self._why_it_goes(entry), keep=False)
        before = self.graph.reach({entry.digest: entry.label for entry in entries}, self.view.blobs)
        return EntryDecisions(tuple(self.verdicts[place] for place in range(len(entries))), needed, before)

    def _reach_more(self, needed: dict[Digest, str], roots: Mapping[Digest, str]) -> list[Digest]:
        return self.graph.reach_more(needed, roots, self.view.blobs)

    def _first_verdicts(self) -> Iterator[tuple[int, Verdict]]:
        """On everything that can be judged by itself; the rest depends on what these leave."""
        by_tag = {
            (repository, tag): verdict
            for (repository, _), tags in self._dated().items()
            for tag, verdict in self.choice.tags(list(tags.values())).items()
        }
        for place, entry in enumerate(self.view.entries):
            if (verdict := self._first_verdict(entry, by_tag)) is not None:
                yield place, verdict

    def _first_verdict(self, entry: Entry, by_tag: Mapping[_Name, Verdict]) -> Verdict | None:
        if (reason := self.forced.get(entry) or self.choice.protects(entry)) is not None:
            return Verdict(reason)
        if (demand := self.choice.demands(entry)) is not None and not self.belonging.is_part(entry):
            return Verdict(demand, keep=False, is_demanded=True)
        if entry.is_ambiguous:
            return _AMBIGUOUS
        if self.belonging.subjects(entry):
            return self._on_referrer(entry)
        if entry.ref_name is None:
            return self.choice.untagged(entry, self._since(entry)) if self.belonging.is_stray(entry) else None
        return _NO_TAG if entry.tag is None else by_tag[entry.repository, entry.tag]

    def _on_referrer(self, entry: Entry) -> Verdict | None:
        if self.choice.keeps_referrers:
            return Verdict("referrers are kept")
        if not self.belonging.is_stray(entry):
            return None
        return self.choice.orphan(entry, self._since(entry), is_among_images=self.belonging.has_images)

    def _since(self, entry: Entry) -> float | None:
        return self.stray_since.get(entry.digest)

    def _waiting(self) -> dict[Digest, list[int]]:
        """The entries that are not kept so far, by what they would stay with; each is looked at once for that.

        Whoever writes a layout may write a chain of referrers of any length into it.
        """
        found: dict[Digest, list[int]] = {}
        for place, entry in enumerate(self.view.entries):
            verdict = self.verdicts.get(place)
            if verdict is not None and (verdict.keep or self.choice.demands(entry) is not None):
                continue
            for digest in (*((entry.digest,) if entry.ref_name is None else ()), *self._subjects(entry)):
                found.setdefault(digest, []).append(place)
        return found

    def _subjects(self, entry: Entry) -> tuple[Digest, ...]:
        subject = subject_in_manifest(entry, self.graph)
        return self.belonging.subjects(entry) or (() if subject is None else (subject,))

    def _also_kept(
        self, needed: Mapping[Digest, str], waiting: dict[Digest, list[int]], new: Iterable[Digest]
    ) -> Iterator[tuple[int, Verdict]]:
        for place in sorted({place for digest in new for place in waiting.pop(digest, ())}):
            entry, verdict = self.view.entries[place], self.verdicts.get(place)
            if verdict is not None and verdict.keep:
                continue  # it stays with something else
            if entry.ref_name is None and entry.digest in needed:
                yield place, Verdict(f"part of {needed[entry.digest]}, which stays")
            elif (subject := next((each for each in self._subjects(entry) if each in needed), None)) is not None:
                yield place, Verdict(f"refers to {needed[subject]}, which stays")

    def _why_it_goes(self, entry: Entry) -> str:
        if subjects := self.belonging.subjects(entry):
            return f"its subject {subjects[0]} goes"
        if entry.digest in self.belonging.tagged:
            return "its tags go"
        return f"part of {min(self.belonging.parents[entry.digest])}, which goes"

    def _dated(self) -> Mapping[tuple[str | None, bool], dict[str, DatedTag]]:
        """Each tag once that a rule may decide on, by its image: no referrer, nothing that two entries dispute.

        Tags that are made of their own digest are by themselves, so that they take no place of what people named.
        Of several entries with the same content the newest counts, and none if the time of one is not known.
        """
        noted = self._noted()
        found: dict[tuple[str | None, bool], dict[str, DatedTag]] = {}
        for entry in self.view.entries:
            if entry.tag is not None and entry.refers_to is None and not entry.is_ambiguous:
                made = _time_of(entry)
                known = noted.get(entry.digest) if made is None else made
                when = tag_time(self.choice.order_by, known, self._modified(entry), self.now)
                tags = found.setdefault((entry.repository, is_own_name(entry.tag, entry.digest)), {})
                other = tags.get(entry.tag)
                if other is not None:
                    when = None if when is None or other.when is None else max(when, other.when)
                tags[entry.tag] = DatedTag(entry.tag, entry.digest, when)
        return found

    def _noted(self) -> Mapping[Digest, float]:
        """The newest time that any entry has of its manifest: of `v1,latest` that are pushed together, one has it."""
        found: dict[Digest, float] = {}
        for entry in self.view.entries:
            if (made := _time_of(entry)) is not None:
                found[entry.digest] = max(made, found.get(entry.digest, made))
        return found

    def _modified(self, entry: Entry) -> float | None:
        file = self.view.blobs.get(entry.digest)
        return None if file is None else file.modified


def _time_of(entry: Entry) -> float | None:
    return None if entry.created is None else noted_time(entry.created)
