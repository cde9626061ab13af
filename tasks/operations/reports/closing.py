"""The line that ends a run which is not complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.operations.reports.counts import counted
from tasks.operations.reports.findings import is_harmful

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.operations.reports.results import TagResult, Totals
    from tasks.operations.reports.run_log import RunLog
    from tasks.ports import Finding

_SEE = "the report names each with its reason"


def closing_line(log: RunLog, results: Iterable[TagResult], *, takes_all: bool) -> str:
    """How many tags and other things have a problem; a finding is left out where tags of its path have the same.

    Tags without an outcome are counted, too; unless the run `takes_all`, some of them may not be chosen.
    """
    totals, unreached, most = log.progress.totals, log.progress.unreached, "" if takes_all else "up to "
    left = f", and {most}{counted(unreached, 'tag', 'were')} not looked at" if unreached else ""
    others = _others(results, log.findings)
    if log.how_it_ended is not None:
        said = f"{log.how_it_ended}: {_unfinished(totals, others)}{left}"
    elif not others or totals.problems:
        things = f", and {_things(others, 'other ')} one" if others else ""
        said = f"{totals.problems} of {totals.tags} tags have a problem{things}{left}"
    elif not totals.tags:
        of = f" of {most}{unreached:,}" if unreached else ""
        said = f"no tag{of} was looked at, and {_things(others)} a problem"
    elif unreached:
        said = f"{_things(others)} a problem{left}"
    else:
        said = f"no tag has a problem, but {_things(others, 'other ')} one"
    return f"{said}; {_SEE}"


def _others(results: Iterable[TagResult], findings: Iterable[Finding]) -> int:
    harmful = list(filter(is_harmful, findings))
    told = {(result.repository, result.code) for result in results if result.is_problem} if harmful else set()
    return sum((each.path, each.code) not in told for each in harmful)


def _unfinished(totals: Totals, others: int) -> str:
    besides = f" and {counted(others, 'other thing')}" if others else ""
    return f"{totals.problems} of {totals.tags} tags{besides} have a problem or were not begun"


def _things(number: int, kind: str = "") -> str:
    return counted(number, f"{kind}thing", "have")
