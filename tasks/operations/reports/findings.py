"""What is said of a source, besides what became of its tags; and which of it keeps a run from being complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.codes import Problem, Remark
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tasks.operations.choosing.selection import Selection

_REMARKS = frozenset(Remark)
FITTED_BEFORE = frozenset({Remark.TAG_VANISHED, Remark.LAYOUT_VANISHED, Remark.TAG_DELETED, Remark.TAG_KEPT})
"""Findings of what patterns may have chosen in an earlier run; that it is gone may well be meant."""
NO_LAYOUTS = Finding(".", Problem.NO_LAYOUTS, "there is no image layout below the source; is the bucket mounted?")
"""What an unmounted directory looks like, so that a schedule on it must not end well."""
NOTHING_CHOSEN = Finding(".", Problem.NOTHING_CHOSEN, "no layout or tag of the source fits the patterns")
"""What a mistyped pattern looks like: a success with nothing done would hide it."""


def is_harmful(finding: Finding) -> bool:
    """Whether a finding keeps a run from being complete."""
    return finding.code not in _REMARKS


def harmful_first(findings: Iterable[Finding]) -> list[Finding]:
    """Findings for a list that shows the first ones only."""
    return sorted(findings, key=lambda finding: not is_harmful(finding))


def tagless(path: str, entries: int) -> Finding:
    """What is said of a layout of which nothing is taken, as it has no tag; it has no row that would be seen."""
    message = f"no entry of its index.json has a tag ({entries} have none): nothing of it is taken without --untagged"
    return Finding(path, Remark.NO_TAGS, message)


def unused_patterns(
    selection: Selection, fitting: Collection[str], findings: Iterable[Finding]
) -> tuple[Finding, ...]:
    """Name each include pattern that fits nothing; one that may fit what has a problem, or vanished, is left open."""
    unread = {finding.path for finding in findings if is_harmful(finding) or finding.code in FITTED_BEFORE}
    unused = selection.unused(fitting, unread)
    message = "--include has it, and it fits nothing of the source"
    return tuple(Finding(pattern, Remark.INCLUDE_UNUSED, message) for pattern in unused)
