"""Which patterns fit something of a source, so that the others can be named: they may be mistyped.

Those to leave something out are among the fitting as `--exclude PATTERN`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.operations.reports.findings import FITTED_BEFORE, is_harmful
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from tasks.operations.choosing.selection import Selection
    from tasks.operations.reports.results import RepositoryInventory, TagEntry

_OUT = "--exclude "
LEFT_BY_AGE = "--newer-than, --older-than"
"""Is among the fitting patterns where they fit something that has another age than is asked for."""


def fitting_patterns(inventory: RepositoryInventory, selection: Selection, known: Collection[str]) -> set[str]:
    """The patterns, but for the `known` ones, that fit a layout or one of its tags, also a refused one."""
    if not selection.include and not selection.exclude:
        return set()
    tags = [*(e.tag for e in inventory.tags), *(e.tag for e in inventory.refused)]
    return patterns_fitting(inventory.path, tags, selection, known)


def left_by_age(inventory: RepositoryInventory, selection: Selection, chosen: Collection[TagEntry]) -> set[str]:
    """Whether patterns fit a repository of which nothing is chosen for its age, as what to note among the fitting."""
    if selection.ages is None or chosen:
        return set()
    fits = any(selection.matches(inventory.path, entry.tag) for entry in inventory.tags)
    return {LEFT_BY_AGE} if fits else set()


def patterns_fitting(
    path: str, tags: Sequence[str | None] | None, selection: Selection, known: Collection[str]
) -> set[str]:
    """The same of a layout of which these tags are known; where nobody looked at them (None), all that may fit."""
    return selection.fitting(path, tags, known) | excludes_fitting(path, tags, selection, known)


def excludes_fitting(
    path: str, tags: Sequence[str | None] | None, selection: Selection, known: Collection[str]
) -> set[str]:
    """The exclude patterns that fit a layout, or a folder that is none, or a tag there.

    A rule for tags fits wherever there may be some: that none has to be left out today says nothing about it.
    """
    return {
        key
        for p in selection.exclude
        if (key := f"{_OUT}{p.written}") not in known
        and (p.repository.fullmatch(path) or p.takes_all(path))
        and (not p.names_tag or tags is None or any(p.matches(path, tag) for tag in tags))
    }


def unused_patterns(
    selection: Selection, fitting: Collection[str], findings: Iterable[Finding]
) -> tuple[Finding, ...]:
    """A finding for each pattern that surely fits nothing: not even what can't be read, or has vanished."""
    unread = {finding.path for finding in findings if is_harmful(finding) or finding.code in FITTED_BEFORE}
    return (
        *(_unused(p, Remark.INCLUDE_UNUSED, "--include") for p in selection.unused(fitting, unread)),
        *(_unused(p, Remark.EXCLUDE_UNUSED, "--exclude") for p in _excludes_unused(selection, fitting, unread)),
    )


def _excludes_unused(selection: Selection, fitting: Collection[str], unread: Collection[str]) -> list[str]:
    excluded = {p.written: p for p in selection.exclude if f"{_OUT}{p.written}" not in fitting}
    return [each for each, p in excluded.items() if "." not in unread and not any(map(p.may_reach, unread))]


def _unused(pattern: str, code: Remark, option: str) -> Finding:
    return Finding(pattern, code, f"{option} has it, and it fits nothing of the source")
