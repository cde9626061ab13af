"""Plans to name again what no index names any more; reads only.

Two writers of one layout who write `index.json` one after the other lose the entries of the first, while its
blobs stay. Those blobs don't say what tag they had. Earlier versions of the index do, where its store keeps them;
else it comes back under a tag of ours, to be renamed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.oci.errors import ContentNotFoundError
from tasks.oci.reference import REF_NAME, is_tag
from tasks.operations.cleanup.layout.graph import read_graph
from tasks.operations.cleanup.layout.layout_view import view_layout
from tasks.operations.cleanup.layout.lost_manifests import find_lost
from tasks.operations.cleanup.planning.earlier_tags import earlier_tags
from tasks.operations.cleanup.planning.plan_tools import or_left_alone
from tasks.operations.cleanup.records.marks import read_marks
from tasks.operations.cleanup.values import CleanupAction, IndexEntry, RepositoryPlan, TagDecision
from tasks.operations.reports.counts import counted
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterator, Mapping

    from tasks.file_ports import StoredFile
    from tasks.oci.digest import Digest
    from tasks.oci.manifest import Manifest
    from tasks.operations.cleanup.layout.graph import Graph
    from tasks.operations.cleanup.layout.layout_view import LayoutView
    from tasks.operations.cleanup.planning.plan_tools import PlanTools

TAG_DIGITS = 12
_REASON = "a manifest that nothing names"


@dataclass(frozen=True, slots=True)
class Recovery:
    """The plan for one layout, and how many blobs were not looked at, as an earlier run has marked them."""

    plan: RepositoryPlan
    left_out: int = 0


def marked_left_out(blobs: int) -> Finding:
    """The finding on blobs of the whole source that no recovery without `--marked` looks at."""
    left = f"{counted(blobs, 'blob')} left out, as an earlier cleanup or undo has marked what nothing names"
    return Finding(".", Remark.MARKED_LEFT_OUT, f"{left}; layoutlift recover --marked looks there as well")


def plan_recovery(tools: PlanTools, path: str, *, marked: bool = False) -> Recovery:
    """What can be named again in one layout; with `marked`, also what an earlier run has marked.

    Manifests of which content is gone are findings and stay unnamed. One that can't be judged is left alone.

    Raises:
        InterruptedRunError: the run was told to end.
    """
    found = or_left_alone(path, lambda: _plan(tools, path, marked=marked))
    return found if isinstance(found, Recovery) else Recovery(found)


def _plan(tools: PlanTools, path: str, *, marked: bool) -> Recovery:
    known = {} if marked else read_marks(tools.files, path)
    view = view_layout(tools.source, tools.files, path)
    unnamed = _unnamed(tools, view)
    looked_at = [(digest, file) for digest, file in unnamed if digest not in known]
    lost, damaged = find_lost(tools.source, path, looked_at, tools.map_concurrently)
    roots = [manifest.descriptor for manifest in lost]
    graph = read_graph(tools.source, path, roots, view.blobs, tools.map_concurrently)
    parts = graph.parents()
    earlier = _earlier_tags(tools, view, lost, parts)
    named = [each for each in lost if each.descriptor.digest not in parts or each.descriptor.digest in earlier]
    held = {blob.digest: blob.run for blob in tools.holdings.held(path)}
    broken = {m.descriptor.digest: gap for m in named if (gap := _gap(m, graph, view, held)) is not None}
    whole = [manifest for manifest in named if manifest.descriptor.digest not in broken]
    entries = tuple(_entries(whole, parts, {entry.tag for entry in view.entries if entry.tag is not None}, earlier))
    plan = RepositoryPlan(
        path=path,
        etag=view.etag,
        tags=tuple(
            TagDecision(entry.tag, entry.descriptor.digest, CleanupAction.ADD, _reason(entry, earlier))
            for entry in entries
            if entry.tag is not None
        ),
        additions=entries,
        findings=(*_gaps_of(path, broken), *damaged),
    )
    return Recovery(plan, len(unnamed) - len(looked_at))


def _gaps_of(path: str, broken: Mapping[Digest, str]) -> Iterator[Finding]:
    return (Finding(path, ContentNotFoundError.code, f"{digest}: {gap}") for digest, gap in broken.items())


def _unnamed(tools: PlanTools, view: LayoutView) -> list[tuple[Digest, StoredFile]]:
    """The blobs that no entry or index names.

    Raises:
        LayoutliftError: something that the index leads to can't be read.
    """
    named = [entry.descriptor for entry in view.entries]
    graph = read_graph(tools.source, view.path, named, view.blobs, tools.map_concurrently)
    for error in graph.unreadable.values():
        raise error
    passed = graph.named_by(found.digest for found in named)
    return [(digest, file) for digest, file in view.blobs.items() if digest not in passed]


def _gap(manifest: Manifest, graph: Graph, view: LayoutView, held: Mapping[Digest, str]) -> str | None:
    """Why a manifest can't be named again, None where it can; blobs in the quarantine come back with it.

    `held` is what that has, each with the run that hid it.
    """
    needed = graph.reach({manifest.descriptor.digest: ""}, view.blobs)
    for digest in needed:
        if digest in graph.unreadable:
            if digest in held and digest not in view.blobs:
                how = f"layoutlift cleanup undo {held[digest]} brings it back"
                return f"needs the manifest {digest}, which is in the quarantine; {how}"
            return f"something that it needs can't be read: {graph.unreadable[digest]}"
    gone = sorted(needed.keys() - view.blobs.keys() - held.keys() - graph.optional())
    return f"needs {gone[0]}, which is gone" if gone else None


def _earlier_tags(
    tools: PlanTools, view: LayoutView, lost: list[Manifest], parts: Container[Digest]
) -> Mapping[Digest, list[str]]:
    """The tags that lost manifests had; parts of an index, which come back with it, had some besides at most.

    No index had a manifest before that was stored.
    """
    asked = {manifest.descriptor.digest for manifest in lost if manifest.subject is None}
    wanted = {digest for digest in asked if digest not in parts}
    if not wanted:
        return {}
    since = min(view.blobs[digest].modified for digest in wanted)
    return earlier_tags(view.path, tools.old_indexes(view.path, since), wanted, asked)


def _reason(entry: IndexEntry, earlier: Mapping[Digest, Collection[str]]) -> str:
    is_known = entry.tag in earlier.get(entry.descriptor.digest, ())
    return f"{_REASON}; an earlier index.json has it under this tag" if is_known else _REASON


def _entries(
    manifests: list[Manifest],
    parts: Container[Digest],
    taken: Collection[str],
    earlier: Mapping[Digest, Collection[str]],
) -> Iterator[IndexEntry]:
    """The new entries, under tags of before that are free, and else under none that another had before.

    What refers to something else needs no tag to be found, and parts of an index none but those that they had.
    """
    free = {digest: [tag for tag in tags if tag not in taken] for digest, tags in earlier.items()}
    used = {*taken, *chain(*free.values())}
    for manifest in manifests:
        descriptor = manifest.descriptor
        if manifest.subject is not None:
            yield IndexEntry(None, descriptor)
            continue
        had = free.get(descriptor.digest, ())
        yield from (IndexEntry(tag, descriptor, is_demanded=True) for tag in had)
        if had or descriptor.digest in parts:
            continue
        wanted = manifest.annotations.get(REF_NAME, "")
        if not is_tag(wanted) or wanted in used:
            wanted = f"recovered-{descriptor.digest.partition(':')[2][:TAG_DIGITS]}"
        used.add(wanted)
        yield IndexEntry(wanted, descriptor)
