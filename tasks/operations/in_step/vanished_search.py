"""What vanished at the source of what earlier runs of a pair brought to its target."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.oci.errors import LayoutliftError
from tasks.oci.image_layout import tags_named
from tasks.oci.reference import is_referrers_list
from tasks.operations.in_step.lost_tags import LostTags
from tasks.operations.in_step.since_last import vanished_layouts
from tasks.operations.in_step.source_parts import SourceParts
from tasks.operations.in_step.unlisted import asked_for
from tasks.operations.in_step.vanished import VanishedTag
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from tasks.ledger.ledger import Ledger
    from tasks.operations.choosing.selection import Selection
    from tasks.ports import Source
    from tasks.stop import Stop


@dataclass(frozen=True, slots=True)
class Vanished:
    """Tags that are to go, and the layouts among theirs that are not at the source any more, by path.

    `lost` are tags that nobody took away there, so that they stay, and `unread` layouts of theirs; see `LostTags`.
    `is_other` says that it has none of the layouts that earlier runs knew, as another source at the same path would.
    `doubts` are layouts that the source does not list, and that are not known to be gone, or of which it can't be
    told what was taken away. `feeding` are those of the source that go to each repository of the tags.
    """

    tags: frozenset[VanishedTag] = frozenset()
    lost: frozenset[VanishedTag] = frozenset()
    unread: frozenset[str] = frozenset()
    layouts: frozenset[str] = frozenset()
    is_other: bool = False
    doubts: tuple[Finding, ...] = ()
    feeding: Mapping[str, Collection[str]] = field(default_factory=dict)


class VanishedSearch:
    """Compares the source with what earlier runs brought; `repositories` are the targets of the chosen layouts.

    `place_of` tells to which repository a layout would go, chosen or not, also one that came during the run.
    """

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        selection: Selection,
        place_of: Callable[[str], str | None],
        stop: Stop,
        *,
        marked: Callable[[str], Collection[str]],
    ) -> None:
        """`marked` tells which digests cleanups have marked in a layout of the source, given its path."""
        self._source = source
        self._ledger = ledger
        self._selection = selection
        self._place_of = place_of
        self._stop = stop
        self._parts = SourceParts(source, {}, stop)
        self._lost = LostTags(source, self._parts, marked, stop)

    def find(self, repositories: Mapping[str, str]) -> Vanished:
        """What vanished; nothing where the source shows no layout at all.

        Raises:
            SourceError: the source can't be listed.
            InterruptedRunError: the run is to end.
        """
        listed = list(self._source.list_layouts())
        paths = [each for each in listed if not isinstance(each, Finding)]
        if not paths:
            return Vanished()
        feeding, is_other = self._feeding(repositories, paths), not self._knows_one(paths, repositories)
        unlisted = self._unlisted(paths, [each for each in listed if isinstance(each, Finding)])
        looked_for = list(asked_for(self._source, unlisted, self._stop, is_other=is_other))
        gone = frozenset(each.path for each in looked_for if each.code == Remark.LAYOUT_VANISHED)
        brought = self._pairs(repositories, paths, gone)
        tags = [each for repository in brought for each in self._missing(repository, brought[repository], feeding)]
        lost = self._lost.among([each for each in tags if each.path not in gone])
        doubts = (*(each for each in looked_for if each.path not in gone), *lost.doubts)
        fed = {each.repository: feeding.get(each.repository, ()) for each in tags}
        return Vanished(frozenset(tags) - lost.tags, lost.tags, lost.unread, gone, is_other, doubts, fed)

    def parts(self, found: Vanished) -> SourceParts:
        """What the source has a use for without these tags, as it is by now."""
        return self._parts.afresh(found.feeding)

    def _knows_one(self, paths: list[str], repositories: Mapping[str, str]) -> bool:
        """Whether earlier runs knew a layout that is there: one that was cut off has only its tags noted."""
        if not set(paths).isdisjoint(self._ledger.layouts()):
            return True
        return any(self._ledger.tags_of(repositories[path], path) for path in repositories.keys() & paths)

    def brought(self, repositories: Mapping[str, str]) -> int:
        """How many tags earlier runs brought to the repositories that are looked at; lists of referrers never go."""
        noted = (self._ledger.layout(path) for path in self._ledger.layouts())
        looked_at = {*repositories.values(), *(note.repository for note in noted if note is not None)}
        brought = (self._ledger.tags_of(repository).items() for repository in looked_at)
        return sum(not is_referrers_list(tag, digest) for tags in brought for tag, digest in tags)

    def _unlisted(self, paths: list[str], others: list[Finding]) -> Iterator[Finding]:
        return vanished_layouts(filter(self._selection.may_match, self._ledger.layouts()), paths, others)

    def _pairs(
        self, repositories: Mapping[str, str], paths: list[str], gone: Iterable[str]
    ) -> Mapping[str, set[str]]:
        """The layouts whose tags are looked at, by repository: the chosen ones, and those that vanished."""
        pairs: dict[str, set[str]] = defaultdict(set)
        for path in repositories.keys() & paths:
            pairs[repositories[path]].add(path)
        for path in gone:
            if (note := self._ledger.layout(path)) is not None:
                pairs[note.repository].add(path)
        return pairs

    def _feeding(self, repositories: Mapping[str, str], paths: list[str]) -> Mapping[str, set[str]]:
        """The layouts of the source that have each repository for a target, or had it when they were copied last."""
        feeding: dict[str, set[str]] = defaultdict(set)
        for path in paths:
            note = self._ledger.layout(path)
            before = note.repository if note is not None else None
            for place in (repositories.get(path), self._place_of(path), before):
                if place is not None:
                    feeding[place].add(path)
        return feeding

    def _missing(
        self, repository: str, layouts: Iterable[str], feeding: Mapping[str, set[str]]
    ) -> Iterator[VanishedTag]:
        """Tags that one of `layouts` brought, and no other one since, and that none at the source names now."""
        brought = {path: tags for path in layouts if (tags := self._ledger.brought_to(repository, path))}
        named = self._named(feeding.get(repository, ())) if brought else None
        if named is None:
            return
        for path, tags in brought.items():
            for tag, digest in tags.items():
                if tag not in named and self._selection.matches(path, tag):
                    yield VanishedTag(path, repository, tag, digest)

    def _named(self, layouts: Iterable[str]) -> frozenset[str] | None:
        """None where one can't be read now: nothing is known to have vanished then."""
        named: set[str] = set()
        for path in layouts:
            try:
                tags = tags_named(self._source.read_index(path).raw)
            except LayoutliftError:
                return None
            if tags is None:
                return None
            named |= tags
        return frozenset(named)
