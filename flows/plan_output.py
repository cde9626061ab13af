"""What is printed of a cleanup's plan: every tag with its reason, what else goes, and how many bytes come back."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from flows.finding_lines import print_findings
from tasks.operations.cleanup.choices import NOT_NAMED
from tasks.operations.cleanup.limits import LimitCheck
from tasks.operations.cleanup.plan_lines import footer_json, header_json, repository_json
from tasks.operations.cleanup.values import Action, PlanFooter, PlanKind, totals_of
from tasks.operations.reporting import human_bytes, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasks.operations.cleanup.values import PlanHeader, PlanTotals, RepositoryPlan, TagDecision
    from tasks.ports import Finding

NOTHING_TO_RECOVER = "nothing to recover was found"
_SIGNS = {Action.KEEP: "keep", Action.DELETE: "delete", Action.ADD: "add"}


def print_plan(
    header: PlanHeader,
    plans: Iterable[RepositoryPlan],
    findings: Sequence[Finding],
    *,
    as_json: bool,
    is_whole: bool = True,
) -> PlanFooter:
    """Print a plan as it is made, repository by repository; `findings` are read when that is done.

    A JSON document is closed only if it `is_whole`; else `AppliedPart` is to follow.
    """
    check = LimitCheck(header.limits, header.timing.mode)
    if as_json:
        click.echo(_json_start(header), nl=False)
    try:
        for place, plan in enumerate(plans):
            check.see(plan)
            if as_json:
                click.echo(("," if place else "") + "\n" + json.dumps(repository_json(plan)), nl=False)
            else:
                print_repository(plan, header)
    except BaseException:
        click.echo("\n]}" if as_json else "", nl=as_json)  # a document that can be read, without totals
        raise
    footer = PlanFooter(check.totals, check.beyond())
    if as_json:
        click.echo(_json_end(footer, findings) + ("}" if is_whole else ""))
    elif header.kind is PlanKind.RECOVER and not footer.totals.repositories:
        click.echo(NOTHING_TO_RECOVER)
        print_findings(findings)
    else:
        print_footer(footer, findings)
        if is_whole and header.kind is not PlanKind.CLEANUP:
            click.echo("nothing was changed: --apply does what this plan says", err=True)
    return footer


def _json_start(header: PlanHeader) -> str:
    return json.dumps(header_json(header))[:-1] + ', "repositories": ['


def _json_end(footer: PlanFooter, findings: Sequence[Finding]) -> str:
    shown = [{"path": each.path, "code": each.code, "message": each.message} for each in findings]
    return "\n], " + json.dumps({**footer_json(footer), "findings": shown})[1:-1]


def print_repository(plan: RepositoryPlan, header: PlanHeader) -> None:
    """Print one repository: its tags, then a line of what becomes of its content."""
    if plan.refused is not None:
        click.echo(printable(f"! {plan.path}: left alone: {plan.refused.message} ({plan.refused.code})"))
        return
    for tag in _told(plan.tags):
        click.echo(f"{_SIGNS[tag.action]:<7}{printable(f'{plan.path}:{tag.tag}')}\t{printable(tag.reason)}")
    untagged = sum(entry.tag is None for entry in plan.removals)
    counts = _content_counts(plan)
    if untagged:
        counts.insert(0, f"{untagged} entries without a tag go")
    totals = totals_of(plan, header.timing.mode)
    counts.append(_bytes_line(totals))
    click.echo(printable(f"       {plan.path}: {'; '.join(counts)}"))
    for file in plan.files:
        if file.action is Action.DELETE:
            click.echo(f"delete {printable(f'{plan.path}/{file.name}')}\t{file.kind}: {file.reason}")
    for finding in plan.findings:
        click.echo(printable(f"       {plan.path}: {finding.message} ({finding.code})"))
    if plan.drop_layout:
        click.echo(f"delete {printable(plan.path)}\tthe layout is empty")


def _told(tags: Sequence[TagDecision]) -> Sequence[TagDecision]:
    """All tags; where one thing was named, those of its content."""
    if all(tag.reason != NOT_NAMED for tag in tags):
        return tags
    going = {tag.digest for tag in tags if tag.action is Action.DELETE}
    return [tag for tag in tags if tag.digest in going]


def _content_counts(plan: RepositoryPlan) -> list[str]:
    words = {
        Action.MARK: "marked as unreferenced",
        Action.QUARANTINE: "into the quarantine",
        Action.RESTORE: "back from the quarantine",
        Action.PURGE: "gone for good",
    }
    counts = Counter([*(blob.action for blob in plan.blobs), *(held.action for held in plan.quarantined)])
    return [f"{counts[action]:,} blobs {text}" for action, text in words.items() if counts[action]]


def _bytes_line(totals: PlanTotals) -> str:
    return f"{human_bytes(totals.bytes_now)} come back now, {human_bytes(totals.bytes_later)} later"


def print_footer(footer: PlanFooter, findings: Sequence[Finding]) -> None:
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
    click.echo(f"  {_bytes_line(totals)} ({human_bytes(totals.bytes_kept)} stay)")
    print_findings(findings)
    for line in footer.beyond_limits:
        click.echo(printable(f"! beyond the limits: {line}"), err=True)
    if footer.beyond_limits:
        click.echo("! apply will refuse this plan unless the limit is raised for that run", err=True)
