"""What is printed of a cleanup's plan: every tag with its reason, what else goes, and how many bytes come back."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import click

from flows.terminal.finding_lines import print_advice, print_findings
from tasks.oci.codes import Remark
from tasks.operations.choosing.tag_order import name_key
from tasks.operations.cleanup.deciding.choices import NOT_NAMED
from tasks.operations.cleanup.planning.plan_lines import footer_json, header_json, repository_json
from tasks.operations.cleanup.planning.plan_summary import also_held
from tasks.operations.cleanup.planning.plan_totals import has_work, totals_of
from tasks.operations.cleanup.planning.space_later import space_from
from tasks.operations.cleanup.values import CleanupAction, PlanKind
from tasks.operations.reports.counts import counted
from tasks.operations.reports.shown_text import human_bytes, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tasks.operations.cleanup.planning.limits import LimitCheck
    from tasks.operations.cleanup.values import PlanFooter, PlanHeader, PlanTotals, RepositoryPlan, TagDecision
    from tasks.ports import Finding

NOTHING_TO_RECOVER = "nothing to recover was found"
_LAST_DAY = datetime.max.replace(tzinfo=UTC).timestamp()
"""What a policy says may be longer than any calendar."""
_SIGNS = {CleanupAction.KEEP: "keep", CleanupAction.DELETE: "delete", CleanupAction.ADD: "add"}


def print_plan(
    header: PlanHeader,
    plans: Iterable[RepositoryPlan],
    check: LimitCheck,
    findings: Sequence[Finding],
    *,
    as_json: bool,
    is_whole: bool = True,
    doer: str = "--apply",
) -> None:
    """Print a plan as it is made, repository by repository; `check` and `findings` are read when that is done.

    A JSON document is closed only if it `is_whole`; else `AppliedPart` is to follow. `doer` is what a user calls
    to have done what the plan says.
    """
    printer: _Printer = (
        _Document(header, is_whole=is_whole) if as_json else _Lines(header, doer if is_whole else None)
    )
    try:
        for plan in plans:
            printer.repository(plan)
    except BaseException:
        printer.cut_short()
        raise
    printer.end(check.footer(), findings)


class _Printer(Protocol):
    """Prints a plan as it is made."""

    def repository(self, plan: RepositoryPlan) -> None: ...

    def cut_short(self) -> None: ...

    def end(self, footer: PlanFooter, findings: Sequence[Finding]) -> None: ...


class _Lines:
    """A line for each tag, and what it adds up to."""

    def __init__(self, header: PlanHeader, doer: str | None) -> None:
        self._header = header
        self._doer = doer
        self._refused: dict[str, None] = {}
        self._space_from: float | None = None

    def repository(self, plan: RepositoryPlan) -> None:
        first = space_from(plan, self._header)
        self._space_from = min(filter(None, (first, self._space_from)), default=None)
        _print_repository(plan, self._header, first)
        if plan.refused is not None:
            self._refused[plan.refused.code] = None

    def cut_short(self) -> None:
        """Nothing is open that would have to be closed."""

    def end(self, footer: PlanFooter, findings: Sequence[Finding]) -> None:
        if self._header.kind is PlanKind.RECOVER and not footer.totals.repositories:
            left_out = [each for each in findings if each.code == Remark.MARKED_LEFT_OUT]
            click.echo("; ".join([NOTHING_TO_RECOVER, *(each.message for each in left_out)]))
            print_findings(each for each in findings if each not in left_out)
            return
        _print_footer(footer, findings, self._space_from)
        print_advice(self._refused, err=True)
        if self._doer is not None and self._has_work(footer.totals):
            click.echo(f"nothing was changed: {self._doer} does what this plan says", err=True)

    def _has_work(self, totals: PlanTotals) -> bool:
        """Whether there is something to do: what people name themselves is in a plan only where it is."""
        if self._header.kind is not PlanKind.CLEANUP:
            return totals.repositories > totals.refused
        return has_work(totals)


class _Document:
    """One JSON document, which can be read also where the plan is cut short: then it has no totals."""

    def __init__(self, header: PlanHeader, *, is_whole: bool) -> None:
        self._is_whole = is_whole
        self._between = "\n"
        click.echo(json.dumps(header_json(header))[:-1] + ', "repositories": [', nl=False)

    def repository(self, plan: RepositoryPlan) -> None:
        click.echo(self._between + json.dumps(repository_json(plan)), nl=False)
        self._between = ",\n"

    def cut_short(self) -> None:
        click.echo("\n]}")

    def end(self, footer: PlanFooter, findings: Sequence[Finding]) -> None:
        shown = [asdict(each) for each in findings]
        members = json.dumps({**footer_json(footer), "findings": shown})[1:-1]
        click.echo(f"\n], {members}" + ("}" if self._is_whole else ""))


def _print_repository(plan: RepositoryPlan, header: PlanHeader, first: float | None) -> None:
    """Print one repository: its tags, those that go first, then a line of what becomes of its content."""
    if plan.refused is not None:
        click.echo(printable(f"! {plan.path}: left alone: {plan.refused.message} ({plan.refused.code})"))
        return
    for tag in sorted(_told(plan.tags), key=lambda tag: (tag.action is CleanupAction.KEEP, name_key(tag.tag))):
        click.echo(f"{_SIGNS[tag.action]:<7}{printable(f'{plan.path}:{tag.tag}')}\t{printable(tag.reason)}")
    untagged = sum(entry.tag is None for entry in plan.removals)
    counts = _content_counts(plan)
    if untagged:
        counts.insert(0, counted(untagged, "untagged entry", "go"))
    if space := _space(totals_of(plan, header.timing.mode), first):
        counts.append(space)
    if counts:
        click.echo(printable(f"       {plan.path}: {'; '.join(counts)}"))
    for file in plan.files:
        if file.action is CleanupAction.DELETE:
            click.echo(f"delete {printable(f'{plan.path}/{file.name}')}\t{file.kind}: {file.reason}")
    for line in (*_held_back(plan), *(f"{each.message} ({each.code})" for each in plan.findings)):
        click.echo(printable(f"       {plan.path}: {line}"))
    if plan.drop_layout:
        click.echo(f"delete {printable(plan.path)}\tthe layout is empty")


def _told(tags: Sequence[TagDecision]) -> Sequence[TagDecision]:
    """All tags; where one thing was named, those of its content."""
    if all(tag.reason != NOT_NAMED for tag in tags):
        return tags
    going = {tag.digest for tag in tags if tag.action is CleanupAction.DELETE}
    return [tag for tag in tags if tag.digest in going]


def _content_counts(plan: RepositoryPlan) -> list[str]:
    words = {
        CleanupAction.MARK: "marked as unreferenced",
        CleanupAction.QUARANTINE: "into the quarantine",
        CleanupAction.RESTORE: "back from the quarantine",
        CleanupAction.PURGE: "gone for good",
    }
    counts = Counter([*(blob.action for blob in plan.blobs), *(held.action for held in plan.quarantined)])
    counts.subtract(each.action for each in plan.held_back)
    return [f"{counted(counts[action], 'blob')} {text}" for action, text in words.items() if counts[action]]


def _held_back(plan: RepositoryPlan) -> Iterator[str]:
    """What has waited long enough and does not go, a line for each reason."""
    sizes: dict[str, list[int]] = {}
    for each in plan.held_back:
        sizes.setdefault(each.reason.replace(each.digest, "it"), []).append(each.size)
    for reason, found in sizes.items():
        each_as = "as" if len(found) == 1 else "each as"
        yield f"{counted(len(found), 'blob')} held back ({human_bytes(sum(found))}), {each_as} {reason}"


def _space(totals: PlanTotals, first: float | None) -> str:
    """How many bytes come back and when, the first of those that wait at `first`; empty if none do."""
    day = ""
    if first is not None and first < _LAST_DAY:
        day = f", from {datetime.fromtimestamp(first, UTC):%Y-%m-%d} on"
    sizes = {"now": totals.bytes_now, f"later{day}": totals.bytes_later}
    return ", ".join(f"{human_bytes(size)} come back {when}" for when, size in sizes.items() if size)


def _print_footer(footer: PlanFooter, findings: Sequence[Finding], first: float | None) -> None:
    """Print the totals, and on standard error what could not be read and which limits are exceeded."""
    totals = footer.totals
    rows: dict[str, Any] = {
        "repositories": totals.repositories,
        "left alone": totals.refused,
        "tags kept": totals.tags_kept,
        "tags deleted": totals.tags_deleted,
    }
    if totals.tags_added:
        rows["tags added"] = totals.tags_added
    for name, count in rows.items():
        click.echo(f"  {name:<14}{count:>9,}")
    stays = f"{human_bytes(totals.bytes_kept)} stay{also_held(totals)}"
    click.echo(f"  {_space(totals, first) or 'nothing comes back'} ({stays})")
    print_findings(findings)
    for line in footer.beyond_limits:
        click.echo(printable(f"! beyond the limits: {line}"), err=True)
    if footer.beyond_limits:
        click.echo("! apply will refuse this plan unless the limit is raised for that run", err=True)
