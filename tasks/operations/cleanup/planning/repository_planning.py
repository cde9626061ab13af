"""Plans a cleanup, repository by repository; reads only.

A layout of which anything can't be read or understood is left alone and named: a decision made on half of what
there is would delete what the other half needs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tasks.file_ports import below
from tasks.oci.codes import Problem
from tasks.oci.descriptor import Descriptor
from tasks.oci.errors import ContentNotFoundError, NotJudgedError, SizeMismatchError
from tasks.operations.cleanup.deciding.blob_decisions import (
    decide_blobs,
    decide_files,
    decide_quarantined,
    hidden_of,
    leave_unmarked,
    spare,
)
from tasks.operations.cleanup.deciding.entry_decisions import decide_entries
from tasks.operations.cleanup.layout.graph import read_graph
from tasks.operations.cleanup.layout.index_edit import written_as
from tasks.operations.cleanup.layout.layout_view import several_images, tags_of_attached, view_layout
from tasks.operations.cleanup.layout.lost_manifests import find_lost, find_manifests
from tasks.operations.cleanup.planning.holding_back import (
    hidden_protected,
    hold_back_blobs,
    hold_back_quarantined,
    lacking_entries,
)
from tasks.operations.cleanup.planning.plan_tools import or_left_alone
from tasks.operations.cleanup.records.holdings import in_place
from tasks.operations.cleanup.records.marks import read_marks
from tasks.operations.cleanup.records.strays import stray_since
from tasks.operations.cleanup.values import CleanupAction, IndexEntry, RepositoryPlan, TagDecision
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tasks.oci.digest import Digest
    from tasks.operations.cleanup.deciding.choices import Choice
    from tasks.operations.cleanup.deciding.entry_decisions import EntryDecisions
    from tasks.operations.cleanup.layout.graph import Graph
    from tasks.operations.cleanup.layout.layout_view import Entry, LayoutView
    from tasks.operations.cleanup.planning.plan_tools import PlanTools
    from tasks.operations.cleanup.records.holdings import HeldBlob
    from tasks.operations.cleanup.records.marks import Mark
    from tasks.operations.cleanup.values import BlobDecision, QuarantineDecision

_LOST_MESSAGE = (
    "a manifest that nothing names; two writers may have lost it (layoutlift recover --marked shows it, and with "
    "--apply brings it back)"
)
_EMPTY_INDEX = (
    "its index names nothing though there are manifests; a writer may be at work, or lost its entries "
    "(layoutlift recover --marked shows them)"
)
_ONLY_DAMAGED = "its index names nothing, and what is damaged here may have been a manifest: {}; restore or delete it"
_TAG_OF_ATTACHED = (
    "{}; the image would count as one without a tag, so give it back (oras tag --oci-layout LAYOUT@DIGEST {}, or {} "
    "where another image has that tag; where other entries of index.json share a name, by hand, as oras would leave "
    "it to one of them), or where it is gone, take away what was attached to it (layoutlift delete SOURCE {}@{})"
)
_HIDDEN_MANIFEST = (
    "which is in the quarantine (run {run}): applying this plan brings it back, and the next plan judges the rest"
)


def plan_repository(tools: PlanTools, path: str, choice: Choice) -> RepositoryPlan:
    """Decide on everything in one layout; one that can't be judged is left alone, with the reason.

    Raises:
        InterruptedRunError: the run was told to end.
    """
    return or_left_alone(path, _RepositoryPlanning(tools, path, choice).plan)


@dataclass(slots=True)
class _RepositoryPlanning:
    """The work on one layout."""

    tools: PlanTools
    path: str
    choice: Choice

    def plan(self) -> RepositoryPlan:
        tools = self.tools
        marks = read_marks(tools.files, self.path)
        known, returned = tools.holdings.held_and_returned(self.path)
        view = view_layout(tools.source, tools.files, self.path)
        in_layout = set(in_place(known, view.blobs))
        held = tuple(blob for blob in known if blob not in in_layout)
        if not view.entries:
            self._refuse_lost(view, marks)
        self._refuse_attached(view)
        graph = self._graph(view, self._protected(view))
        decided = self._decided(view, graph)
        self._check_complete(view, graph, decided, (*held, *self._taken_late(view, decided, returned)))
        blobs = self._blobs(view, graph, decided, marks)
        hidden = hidden_of(tools.protected, held, view.blobs)
        quarantined = self._quarantined(view, decided, held, hidden)
        removals = tuple(_removals(view, decided))
        files = tuple(decide_files(view, tools.rules))
        is_empty = len(removals) == len(view.entries) and not blobs
        nothing_waits = all(each.action is CleanupAction.DELETE for each in files) and all(
            each.action is CleanupAction.PURGE for each in quarantined
        )
        return RepositoryPlan(
            path=self.path,
            etag=view.etag,
            tags=tuple(_tag_decisions(view, decided)),
            removals=removals,
            blobs=blobs,
            quarantined=quarantined,
            files=files,
            drop_layout=self.choice.drops_empty and is_empty and nothing_waits,
            findings=(*several_images(view), *self._lost(view, decided, marks), *hidden_protected(self.path, hidden)),
        )

    def _refuse_lost(self, view: LayoutView, marks: Mapping[Digest, Mark]) -> None:
        """Leave alone what an index that names nothing may have lost; a first push that died leaves only blobs."""
        unmarked = [(digest, file) for digest, file in view.blobs.items() if digest not in marks]
        lost, damaged = find_lost(self.tools.source, self.path, unmarked, self.tools.map_concurrently)
        if lost or damaged:
            raise NotJudgedError(_EMPTY_INDEX if lost else _ONLY_DAMAGED.format(damaged[0].message))

    def _refuse_attached(self, view: LayoutView) -> None:
        """Leave alone where a tag that is judged names what is attached to an image, which goes by that tag."""
        for entry, words in tags_of_attached(view):
            if self.choice.goes_by_tag(entry):
                names = (entry.tag, entry.ref_name, self.path, entry.digest)
                raise NotJudgedError(_TAG_OF_ATTACHED.format(words, *names))

    def _blobs(
        self, view: LayoutView, graph: Graph, decided: EntryDecisions, marks: Mapping[Digest, Mark]
    ) -> tuple[BlobDecision, ...]:
        decisions = decide_blobs(view, decided, marks, graph.nodes, self.tools.rules)
        something_stays = any(verdict.keep for verdict in decided.verdicts)  # else `_refuse_lost` keeps all for ever
        if something_stays and not self.tools.rules.sweeps and not self.choice.drops_empty:
            decisions = leave_unmarked(decisions, decided, marks)
        return hold_back_blobs(self.tools, self.path, list(decisions))

    def _quarantined(
        self, view: LayoutView, decided: EntryDecisions, held: tuple[HeldBlob, ...], hidden: Mapping[Digest, str]
    ) -> tuple[QuarantineDecision, ...]:
        decisions = list(decide_quarantined(held, view, decided, self.tools.rules))
        return hold_back_quarantined(self.tools, self.path, spare(decisions, hidden))

    def _protected(self, view: LayoutView) -> list[Descriptor]:
        """The protected content that the layout has, which its index may not name; read to learn what it is."""
        named = {entry.digest for entry in view.entries}
        found = [
            (digest, view.blobs[digest])
            for digest in sorted(self.tools.protected)
            if digest in view.blobs and digest not in named
        ]
        manifests = find_manifests(self.tools.source, self.path, found, self.tools.map_concurrently)
        return [manifest.descriptor for manifest in manifests]

    def _graph(self, view: LayoutView, protected: list[Descriptor]) -> Graph:
        roots = [*(entry.descriptor for entry in view.entries), *protected]
        tools = self.tools
        return read_graph(tools.source, self.path, roots, view.blobs, tools.map_concurrently, files=view.blobs)

    def _decided(self, view: LayoutView, graph: Graph) -> EntryDecisions:
        """Decide until the target holds all that goes: what it lacks is kept, and with it what that needs."""
        tools = self.tools
        now, protected = tools.rules.now, tools.protected & view.blobs.keys()
        since = stray_since(tools.files, view, graph, now)
        forced = dict(_needing(tools.protected, view, graph))
        while True:
            decided = decide_entries(view, graph, self.choice, now, forced=forced, stray_since=since, roots=protected)
            if tools.gate is None:
                return decided
            lacking = dict(lacking_entries(tools.gate, view, graph, decided))
            if not lacking:
                return decided
            forced |= lacking

    def _taken_late(
        self, view: LayoutView, decided: EntryDecisions, returned: tuple[HeldBlob, ...]
    ) -> list[HeldBlob]:
        """What had come back, is needed and absent, and can come back again; a folder may have its copy no more."""
        files = self.tools.files

        def can_come_back(blob: HeldBlob) -> bool:
            return blob.trash is None or files.stat_file(below(blob.trash, blob.file.path)) is not None

        absent = [blob for blob in returned if blob.digest in decided.needed and blob.digest not in view.blobs]
        return [
            blob for blob, can in zip(absent, self.tools.map_concurrently(can_come_back, absent), strict=True) if can
        ]

    def _check_complete(
        self, view: LayoutView, graph: Graph, decided: EntryDecisions, held: tuple[HeldBlob, ...]
    ) -> None:
        """See that everything that stays is there and was read; what only the quarantine has comes back.

        What goes may be broken if it is plainly gone: nothing of it is left to be judged.
        """
        hidden = hidden_of(decided.needed, held, view.blobs)
        for digest, error in graph.unreadable.items():
            if digest in hidden and isinstance(error, ContentNotFoundError):
                where = _HIDDEN_MANIFEST.format(run=hidden[digest])
                raise ContentNotFoundError(f"{decided.needed[digest]} needs the manifest {digest}, {where}")
            if digest in decided.needed or digest in view.blobs or not isinstance(error, ContentNotFoundError):
                raise error
        for digest, how in graph.altered.items():
            if digest in decided.needed:
                raise SizeMismatchError(f"{decided.needed[digest]} needs {digest}, which {how}")
        optional = graph.optional()
        for digest, label in decided.needed.items():
            if digest in view.blobs or digest in optional or digest in hidden:
                continue
            if self.tools.source.stat_blob(self.path, digest) is None:
                raise ContentNotFoundError(f"{label} needs {digest}, which is missing; delete it or bring that back")

    def _lost(self, view: LayoutView, decided: EntryDecisions, marks: Mapping[Digest, Mark]) -> list[Finding]:
        """Manifests that nothing names, and damaged content, among blobs that were not marked by an earlier run."""
        unnamed = [
            (digest, file)
            for digest, file in view.blobs.items()
            if digest not in decided.needed and digest not in decided.before and digest not in marks
        ]
        lost, damaged = find_lost(self.tools.source, self.path, unnamed, self.tools.map_concurrently)
        digests = [manifest.descriptor.digest for manifest in lost]
        return [
            *(Finding(self.path, Problem.LOST_MANIFEST, f"{each}: {_LOST_MESSAGE}") for each in digests),
            *damaged,
        ]


def _needing(protected: frozenset[Digest], view: LayoutView, graph: Graph) -> Iterator[tuple[Entry, str]]:
    """The entries that need something protected: a list of what is deployed names platforms, or configs."""
    needing = graph.leading_to({digest: digest for digest in protected}, view.blobs) if protected else {}
    for entry in view.entries:
        if entry.digest in needing and entry.digest not in protected:
            yield entry, f"{needing[entry.digest]} is protected, which it needs"


def _tag_decisions(view: LayoutView, decided: EntryDecisions) -> Iterator[TagDecision]:
    for entry, verdict in zip(view.entries, decided.verdicts, strict=True):
        if entry.ref_name is not None:
            action = CleanupAction.KEEP if verdict.keep else CleanupAction.DELETE
            decision = TagDecision(entry.ref_name, entry.digest, action, verdict.reason)
            yield decision if decision.meant == entry.tag else replace(decision, means=entry.tag)


def _removals(view: LayoutView, decided: EntryDecisions) -> Iterator[IndexEntry]:
    for entry, verdict in zip(view.entries, decided.verdicts, strict=True):
        if not verdict.keep:
            found = entry.descriptor
            plain = Descriptor(found.media_type, found.digest, found.size)
            yield IndexEntry(entry.ref_name, plain, verdict.is_demanded, written_as(found))
