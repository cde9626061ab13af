"""What `layoutlift ls --changed` prints: how a source differs from what was last migrated."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from flows.terminal.finding_lines import print_findings_with_advice
from flows.terminal.reading_source import opened_source
from tasks.endpoints import blamed_on, open_state, source_identity
from tasks.oci.errors import LayoutliftError
from tasks.operations.choosing.chosen_tags import listed_findings, plan_chosen
from tasks.operations.choosing.exact_list import as_listed
from tasks.operations.choosing.fitting_patterns import FittingPatterns
from tasks.operations.in_step.since_last import TagChange, is_as_noted, told_changes, vanished_layouts
from tasks.operations.in_step.unlisted import asked_for
from tasks.operations.reports.counts import counted
from tasks.operations.reports.findings import NO_LAYOUTS, NOTHING_CHOSEN, is_harmful
from tasks.operations.reports.shown_text import printable
from tasks.operations.source.enumeration import enumerate_repository
from tasks.ports import Finding
from tasks.stop import Stop
from tasks.stores.bucket.s3_address import BucketAccess
from tasks.stores.state.state_directory import default_state_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.forms.list_parameters import ListParameters
    from tasks.ledger.ledger import Ledger
    from tasks.operations.choosing.selection import Selection
    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import Source

SCHEMA = 1
_SIGNS = {"new": "+", "moved": "~", "vanished": "-"}


def list_changes(parameters: ListParameters, target: str, *, as_json: bool) -> bool:
    """Print what changed since the last migration to `target`; whether everything could be read.

    Layouts whose index is as it was when what was chosen of it was at the target are left out, unread but for the
    index, unless that run did not choose all that is chosen now.

    Raises:
        ConfigurationError: the source is not there, `target` is no address, or the ledger can't be read.
    """
    access = BucketAccess(parameters.endpoint_url, parameters.request_payer, anonymous=parameters.no_sign_request)
    name, by_name = parameters.source_name, parameters.split_by_name
    identity = source_identity(parameters.source, access, name=name, by_name=by_name)
    with blamed_on("--state", parameters.state):
        ledger = open_state(parameters.state, identity, target, access, Stop()).ledger("ls")
    known = len(ledger.layouts())
    changes: list[TagChange] = []
    findings: list[Finding] = []
    with opened_source(parameters, access) as (source, map_concurrently):
        for found in _compared(parameters.choosing.selection(), source, map_concurrently, ledger):
            if isinstance(found, Finding):
                findings.append(found)
            else:
                changes.append(found)
    if as_json:
        click.echo(json.dumps(_document(parameters.source, target, known, changes, findings), indent=1))
    else:
        click.echo(printable(_compared_with(parameters, target, known)), err=True)
        for change in changes:
            click.echo(_line(change))
        print_findings_with_advice(findings)
    return not any(map(is_harmful, findings))


def _compared(
    selection: Selection, source: Source, map_concurrently: MapConcurrently, ledger: Ledger
) -> Iterator[TagChange | Finding]:
    paths: list[str] = []
    others: list[Finding] = []
    fitting = FittingPatterns(selection)
    for found in source.list_layouts():
        if isinstance(found, Finding):
            others.append(found)
            fitting.see_folder(found.path)
            if selection.may_match_below(found.path):
                yield found
            continue
        paths.append(found)
        fitting.see_layout(found)  # tags of what did not change are not looked at
        if selection.may_match(found):
            yield from _changes_in(found, source, map_concurrently, ledger, selection)
    for path in ledger.layouts():
        fitting.see_folder(path)
    if not paths:
        yield NO_LAYOUTS
        return
    if selection.listed is not None:
        yield from selection.listed.unknown(paths)
    known = [path for path in ledger.layouts() if selection.may_match(path)]
    if selection.listed is None and not known and not any(map(selection.may_match, paths)):
        yield NOTHING_CHOSEN
    else:
        yield from fitting.unused(others)
    unlisted = vanished_layouts(known, paths, others)
    yield from asked_for(source, unlisted, Stop(), is_other=set(known).isdisjoint(paths))


def _changes_in(
    path: str, source: Source, map_concurrently: MapConcurrently, ledger: Ledger, selection: Selection
) -> Iterator[TagChange | Finding]:
    """How the chosen tags of a layout differ from those in the ledger."""
    noted = ledger.layout(path)
    before = ledger.tags_of(noted.repository, path) if noted else {}
    try:
        if selection.listed is None and noted is not None:  # of a list, each line is looked for
            index = source.read_index(path)
            if index.etag == noted.etag and is_as_noted(path, index.raw, before, selection):
                return
        inventory = enumerate_repository(source, path, map_concurrently, dated=selection.asks_for_times)
        chosen = plan_chosen(inventory, selection)
    except LayoutliftError as error:
        yield Finding(path, error.code, str(error))
        return
    yield from listed_findings(inventory, chosen, selection)
    tags = {entry.tag for entry in chosen}
    for each in told_changes(inventory, before, selection):
        is_chosen = each.tag in tags or (each.change == "vanished" and selection.matches(path, each.tag))
        if is_chosen or each.change == "moved":
            yield each


def _compared_with(parameters: ListParameters, target: str, known: int) -> str:
    """What the changes below are changes to: a first listing and a wrong --state would look the same otherwise."""
    place = parameters.state or default_state_root(os.environ)
    if not known:
        return f"nothing to compare with: {place} knows of no layout that was migrated to {target}, so all is new"
    return f"compared with {counted(known, 'layout')} as last migrated to {target}, by the ledger in {place}"


def _line(change: TagChange) -> str:
    shown = " → ".join(str(each) for each in (change.before, change.digest) if each is not None)
    return f"{_SIGNS[change.change]} {as_listed(change.path)}:{change.tag}\t{shown}"


def _document(
    source: str, target: str, known: int, changes: list[TagChange], findings: list[Finding]
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "source": source,
        "target": target,
        "layouts_known": known,
        "changes": [
            {"repository": c.path, "tag": c.tag, "change": c.change, "digest": c.digest, "before": c.before}
            for c in changes
        ],
        "findings": [asdict(finding) for finding in findings],
    }
