"""Findings, which say of a run what no tag's result says; and which of them keep it from being complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.codes import Problem, Remark
from tasks.oci.errors import (
    AuthenticationError,
    InterruptedRunError,
    SourceUnavailableError,
    StateError,
    TargetUnavailableError,
)
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

_REMARKS = frozenset(Remark)
FITTED_BEFORE = frozenset({Remark.TAG_VANISHED, Remark.LAYOUT_VANISHED, Remark.TAG_DELETED, Remark.TAG_KEPT})
"""Codes of what is gone, perhaps on purpose: a pattern that fits nothing now may have fitted that."""
FATAL = (SourceUnavailableError, StateError, AuthenticationError, TargetUnavailableError)
"""Errors that every other tag would meet too: the rest is not tried."""
RUN_WIDE = frozenset({InterruptedRunError.code, *(kind.code for kind in FATAL)})
"""Codes of what ends a run: of a tag they say that the run did not get to it, not that anything is wrong with it."""
NO_LAYOUTS = Finding(
    ".",
    Problem.NO_LAYOUTS,
    "there is no image layout below the source; is its name right, is the bucket mounted?",
)
"""What an unmounted directory looks like, so that a schedule on it must not end well."""
NOTHING_CHOSEN = Finding(".", Problem.NOTHING_CHOSEN, "no layout or tag of the source fits the patterns")
"""What a mistyped pattern looks like: a success with nothing done would hide it."""
NONE_OF_AGE = Finding(".", Remark.NONE_OF_AGE, "of what the patterns choose, nothing has the age that is asked for")
"""What a week without a push looks like."""
_NAMES_NOTHING = (
    "its index.json names nothing, so nothing of it is taken; `layoutlift recover` shows whether manifests lie here"
)


def is_harmful(finding: Finding) -> bool:
    """Whether a finding keeps a run from being complete."""
    return finding.code not in _REMARKS


def harmful_first(findings: Iterable[Finding]) -> list[Finding]:
    """Findings with the harmful ones first, for a list that shows only so many."""
    return sorted(findings, key=lambda finding: not is_harmful(finding))


def tagless(path: str, entries: int) -> Finding:
    """The finding on a layout without any tag: nothing of it is taken, and the report has no row of it."""
    if not entries:
        return Finding(path, Remark.EMPTY_INDEX, _NAMES_NOTHING)
    message = f"no entry of its index.json has a tag ({entries} have none): nothing of it is taken without --untagged"
    return Finding(path, Remark.NO_TAGS, message)
