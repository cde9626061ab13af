"""What `layoutlift ls` prints, a repository at a time."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from flows.terminal.finding_lines import print_findings_with_advice
from flows.terminal.reading_source import opened_source
from tasks.oci.errors import LayoutliftError
from tasks.operations.choosing.chosen_tags import listed_findings, plan_chosen
from tasks.operations.choosing.exact_list import as_listed
from tasks.operations.choosing.fitting_patterns import FittingPatterns
from tasks.operations.reports.findings import NO_LAYOUTS, NONE_OF_AGE, NOTHING_CHOSEN, is_harmful
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.work.concurrency import READS_AT_ONCE, map_ahead
from tasks.ports import Finding
from tasks.stores.bucket.s3_address import BucketAccess, is_bucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from flows.forms.list_parameters import ListParameters
    from tasks.operations.choosing.selection import Selection
    from tasks.operations.reports.results import RepositoryInventory, TagEntry
    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import Source

SCHEMA = 1


class _Listed(NamedTuple):
    """A layout, and those of its tags that are chosen."""

    inventory: RepositoryInventory
    tags: Sequence[TagEntry]


class _Printer(Protocol):
    """Prints what was found, as soon as it was."""

    def repository(self, listed: _Listed) -> None: ...

    def end(self, findings: list[Finding]) -> None: ...


def list_source(parameters: ListParameters, *, as_json: bool) -> bool:
    """Print all repositories with their tags; whether everything could be read.

    Raises:
        ConfigurationError: the source is not there.
    """
    selection = parameters.choosing.selection()
    access = BucketAccess(parameters.endpoint_url, parameters.request_payer, anonymous=parameters.no_sign_request)
    readers = READS_AT_ONCE if is_bucket(parameters.source) else 1  # in a directory, each costs a seek
    with opened_source(parameters, access) as (source, map_concurrently):
        found = _inventories(source, selection, map_concurrently, readers)
        printer = _JsonPrinter(parameters.source) if as_json else _LinePrinter()
        return not any(map(is_harmful, _print_all(found, printer, selection)))


def _chooses(selection: Selection, listed: _Listed) -> bool:
    """Whether patterns fit a layout as a whole, or a tag of it."""
    inventory = listed.inventory
    return bool(listed.tags) or selection.takes_whole(inventory.path, has_tags=bool(inventory.tags))


def _print_all(found: Iterator[_Listed | Finding | str], printer: _Printer, selection: Selection) -> list[Finding]:
    """Print everything and keep nothing of it but the findings."""
    findings: list[Finding] = []
    fitting = FittingPatterns(selection)
    seen: list[str] = []
    is_empty, is_chosen, has_tags = True, selection.is_everything, False
    for each in found:
        is_empty = is_empty and isinstance(each, Finding) and not is_harmful(each)
        if isinstance(each, Finding):
            findings.append(each)
            fitting.see_folder(each.path)
        elif isinstance(each, str):
            fitting.see_layout(each)
        else:
            fitting.see(each.inventory)
            fitting.see_chosen(each.inventory, each.tags)
            has_tags = has_tags or bool(each.tags)
            seen.append(each.inventory.path)
            findings += listed_findings(each.inventory, each.tags, selection)
            is_chosen = is_chosen or _chooses(selection, each)
            printer.repository(each)
    if selection.listed is not None and not is_empty:
        seen += (finding.path for finding in findings if is_harmful(finding))
        findings += selection.listed.unknown(seen)
    if is_empty:
        findings.append(NO_LAYOUTS)
    elif not is_chosen and not fitting.left_by_age and not any(map(is_harmful, findings)):
        findings.append(NOTHING_CHOSEN)
    else:
        findings += [NONE_OF_AGE] if fitting.left_by_age and not has_tags else []
        findings += fitting.unused(findings)
    printer.end(findings)
    return findings


def _inventories(
    store: Source, selection: Selection, map_concurrently: MapConcurrently, readers: int
) -> Iterator[_Listed | Finding | str]:
    """All layouts in order, as many read at once as there are readers; of those that are not chosen, the paths."""
    read = partial(_inventory, store, selection, map_concurrently)
    layouts = store.list_layouts()
    return map(read, layouts) if readers == 1 else map_ahead(read, layouts, readers, name="ls")


def _inventory(
    store: Source, selection: Selection, map_concurrently: MapConcurrently, found: str | Finding
) -> _Listed | Finding | str:
    if isinstance(found, Finding):
        return found if selection.may_match_below(found.path) else found.path
    if not selection.may_match(found):
        return found
    try:
        inventory = enumerate_repository(store, found, map_concurrently, dated=selection.asks_for_times)
        return _Listed(inventory, plan_chosen(inventory, selection))
    except LayoutliftError as error:
        return Finding(found, error.code, str(error))


class _LinePrinter:
    """A line for each tag; findings to standard error."""

    def repository(self, listed: _Listed) -> None:
        path = as_listed(listed.inventory.path)
        sys.stdout.writelines(_line(path, entry) for entry in listed.tags)
        sys.stdout.flush()  # as soon as it was found, and before what is said of it

    def end(self, findings: list[Finding]) -> None:
        print_findings_with_advice(findings)


def _line(path: str, entry: TagEntry) -> str:
    named = f"@{entry.descriptor.digest}" if entry.tag is None else f":{entry.tag}"
    return f"{path}{named}\t{entry.descriptor.digest}\n"


class _JsonPrinter:
    """One document, printed as it comes to be: a line for each tag, so that none of it has to be in memory whole."""

    def __init__(self, source: str) -> None:
        self._out = sys.stdout
        self._between = "\n"
        self._out.write(f'{{"schema": {SCHEMA}, "source": {json.dumps(source)},\n"repositories": [')

    def repository(self, listed: _Listed) -> None:
        inventory = listed.inventory
        self._out.write(
            f"{self._between}{{{_member('repository', inventory.path)}, {_member('etag', inventory.etag)}"
        )
        self._list("tags", map(_tag, listed.tags))
        self._list("untagged", map(_untagged, inventory.untagged))
        self._out.write("}")
        self._between = ",\n"

    def end(self, findings: list[Finding]) -> None:
        self._out.write("]")
        self._list("findings", map(asdict, findings))
        self._out.write("}\n")
        self._out.flush()

    def _list(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        self._out.write(f',\n "{name}": [')
        for between, row in zip(chain(["\n  "], repeat(",\n  ")), rows, strict=False):
            self._out.write(f"{between}{json.dumps(row)}")
        self._out.write("]")


def _member(name: str, value: str) -> str:
    return f"{json.dumps(name)}: {json.dumps(value)}"


def _tag(entry: TagEntry) -> dict[str, Any]:
    found = entry.descriptor
    return {"tag": entry.tag, "digest": found.digest, "media_type": found.media_type, "size": found.size}


def _untagged(entry: TagEntry) -> dict[str, Any]:
    return {"digest": entry.descriptor.digest, "media_type": entry.descriptor.media_type, "kind": entry.kind}
