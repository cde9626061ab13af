"""What is said of a source, besides what became of its tags; and which of it keeps a run from being complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.operations.choosing.newest import NOT_ORDERED
from tasks.operations.source.writers_notes import SEVERAL_IMAGES, SIGNATURE_WITHOUT_TAG
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tasks.operations.choosing.selection import Selection

EMPTY_FOLDER = "empty_folder"
INDEX_CHANGED = "index_changed"
RENAME_UNUSED = "rename_unused"
INCLUDE_UNUSED = "include_unused"
NO_TAGS = "no_tags"
POLICY_UNUSED = "policy_unused"
HARMLESS_FINDINGS = frozenset(
    {
        "not_a_layout",
        "not_a_manifest",
        "link_not_followed",
        "extra_at_target",
        "changed_by_defaults",
        "not_in_catalog",
        "to_create",
        "tag_moved",
        "tag_vanished",
        "layout_vanished",
        "shard_restarted",
        "to_delete",
        "tag_deleted",
        "tag_kept",
        "not_deleted",
        EMPTY_FOLDER,
        INDEX_CHANGED,
        RENAME_UNUSED,
        INCLUDE_UNUSED,
        NO_TAGS,
        SEVERAL_IMAGES,
        SIGNATURE_WITHOUT_TAG,
        NOT_ORDERED,
        POLICY_UNUSED,
    }
)
"""Findings that are worth a line in the report and no more."""
FITTED_BEFORE = frozenset({"tag_vanished", "layout_vanished", "tag_deleted", "tag_kept"})
"""Findings of what patterns may have chosen in an earlier run; that it is gone may well be meant."""
NO_LAYOUTS = Finding(".", "no_layouts", "there is no image layout below the source; is the bucket mounted?")
"""What an unmounted directory looks like, so that a schedule on it must not end well."""
NOTHING_CHOSEN = Finding(".", "nothing_chosen", "no layout or tag of the source fits the patterns")
"""What a mistyped pattern looks like: a success with nothing done would hide it."""


def is_harmful(finding: Finding) -> bool:
    """Whether a finding keeps a run from being complete."""
    return finding.code not in HARMLESS_FINDINGS


def harmful_first(findings: Iterable[Finding]) -> list[Finding]:
    """Findings for a list that shows the first ones only."""
    return sorted(findings, key=lambda finding: not is_harmful(finding))


def tagless(path: str, entries: int) -> Finding:
    """What is said of a layout of which nothing is taken, as it has no tag; it has no row that would be seen."""
    message = f"no entry of its index.json has a tag ({entries} have none): nothing of it is taken without --untagged"
    return Finding(path, NO_TAGS, message)


def unused_patterns(
    selection: Selection, fitting: Collection[str], findings: Iterable[Finding]
) -> tuple[Finding, ...]:
    """Name each include pattern that fits nothing; one that may fit what has a problem, or vanished, is left open."""
    unread = {finding.path for finding in findings if is_harmful(finding) or finding.code in FITTED_BEFORE}
    unused = selection.unused(fitting, unread)
    return tuple(Finding(p, INCLUDE_UNUSED, "--include has it, and it fits nothing of the source") for p in unused)
