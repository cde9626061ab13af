"""The line that ends a run which is not complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.operations.reports.counts import counted
from tasks.operations.reports.findings import is_harmful

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.operations.reports.results import TagResult, Totals
    from tasks.ports import Finding

_SEE = "the report names each with its reason"


def closing_line(
    totals: Totals,
    results: Iterable[TagResult],
    findings: Iterable[Finding],
    *,
    interrupted: bool,
    failed_fast: bool = False,
) -> str:
    """How many tags and other things have a problem; a finding is left out where tags of its path have the same."""
    tags = f"{totals.problems} of {totals.tags} tags have a problem"
    harmful = list(filter(is_harmful, findings))
    told = {(result.repository, result.code) for result in results if result.is_problem} if harmful else set()
    others = sum((each.path, each.code) not in told for each in harmful)
    if interrupted:
        besides = f" and {counted(others, 'other thing')}" if others else ""
        left = f"{totals.problems} of {totals.tags} tags{besides} have a problem or were not begun"
        how = "--fail-fast ended the run" if failed_fast else "the run was interrupted"
        return f"{how}: {left}; {_SEE}"
    if not others:
        return f"{tags}; {_SEE}"
    if not totals.tags:
        return (
            f"no tag was looked at, and {'1 thing has' if others == 1 else f'{others} things have'} a problem; {_SEE}"
        )
    things = "1 other thing has one" if others == 1 else f"{others} other things have one"
    return f"{tags}, and {things}; {_SEE}" if totals.problems else f"no tag has a problem, but {things}; {_SEE}"
