"""Holds back what was to go: what other repositories need, and what the target does not hold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from tasks.oci.codes import Problem
from tasks.operations.cleanup.values import BlobDecision, CleanupAction, QuarantineDecision
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tasks.oci.digest import Digest
    from tasks.operations.cleanup.deciding.entry_decisions import EntryDecisions
    from tasks.operations.cleanup.layout.graph import Graph
    from tasks.operations.cleanup.layout.layout_view import Entry, LayoutView
    from tasks.operations.cleanup.planning.gate import Gate
    from tasks.operations.cleanup.planning.plan_tools import PlanTools

_Decision = TypeVar("_Decision", "BlobDecision", "QuarantineDecision")


def lacking_entries(
    gate: Gate, view: LayoutView, graph: Graph, decided: EntryDecisions
) -> Iterator[tuple[Entry, str]]:
    """Entries that were to go, of which the target lacks something, and what; each tag and content is asked for once.

    Raises:
        RegistryError: the target can't say.
    """
    going = [e for e, verdict in zip(view.entries, decided.verdicts, strict=True) if not verdict.keep]
    tags = dict.fromkeys((entry.tag, entry.digest) for entry in going if entry.tag is not None)
    sizes = {digest: file.size for digest, file in view.blobs.items()}
    roots = [entry.digest for entry in going]
    lacking_tags, content = gate.ask_for_tags(view.path, tags, roots, graph, sizes)
    lacking = graph.leading_to(gate.lacking(view.path, content), sizes)
    for entry in going:
        lack = lacking_tags.get((entry.tag or "", entry.digest)) or lacking.get(entry.digest)
        if lack is not None:
            yield entry, lack


def hold_back_blobs(tools: PlanTools, path: str, decisions: Sequence[BlobDecision]) -> tuple[BlobDecision, ...]:
    """A blob leaves the layout only if no other repository needs it and the target holds it; its mark stays.

    Raises:
        SourceError: the source can't be listed whole.
        RegistryError: the target can't say.
    """
    return _held_back(tools, path, decisions, CleanupAction.QUARANTINE, CleanupAction.MARK)


def hold_back_quarantined(
    tools: PlanTools, path: str, decisions: Sequence[QuarantineDecision]
) -> tuple[QuarantineDecision, ...]:
    """A blob leaves the quarantine for good only if no other repository needs it and the target holds it.

    Raises:
        SourceError: the source can't be listed whole.
        RegistryError: the target can't say.
    """
    return _held_back(tools, path, decisions, CleanupAction.PURGE, CleanupAction.KEEP)


def hidden_protected(path: str, hidden: Mapping[Digest, str], *, is_gone: bool = False) -> tuple[Finding, ...]:
    """What is protected and was hidden before it was; it can come back only into a layout that is there."""
    until = ", but its layout is gone; once that is back," if is_gone else ";"
    how = f"is protected and in the quarantine{until} layoutlift cleanup undo"
    return tuple(
        Finding(path, Problem.PROTECTED_IS_HIDDEN, f"{digest} {how} {run} brings it back")
        for digest, run in hidden.items()
    )


def _held_back(
    tools: PlanTools, path: str, decisions: Sequence[_Decision], going: CleanupAction, instead: CleanupAction
) -> tuple[_Decision, ...]:
    """The decisions, with `instead` for what is `going` and other repositories need, or the target lacks."""
    sizes = {each.digest: each.size for each in decisions if each.action is going}
    reasons = dict(tools.shared.needing(path, sizes))
    if tools.gate is not None:
        reasons |= tools.gate.lacking(path, sizes)
    return tuple(
        replace(each, action=instead, reason=reasons[each.digest], is_held_back=True)
        if each.action is going and each.digest in reasons
        else each
        for each in decisions
    )
