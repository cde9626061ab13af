"""What takes a migration file (`-c FILE`): a run for each mapping, one after the other, and one exit code for all."""

from __future__ import annotations

import json
from itertools import zip_longest
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from pydantic import ValidationError

from flows.commands.running import prepare, run_one, wrong_options
from flows.exit_codes import COMPLETE, INCOMPLETE, INTERRUPTED
from flows.files.migration_file import WRITTEN_BY_RUN, load_migrations
from flows.forms.parameters import CheckParameters, MigrateParameters, RunParameters, VerifyParameters
from flows.terminal.printed_report import print_report
from tasks.oci.errors import ConfigurationError
from tasks.operations.reports.shown_text import printable
from tasks.run_options import RunKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_Run = TypeVar("_Run", bound=RunParameters)
OF_EACH_MAPPING: Mapping[RunKind, type[RunParameters]] = MappingProxyType(
    {
        RunKind.MIGRATE: MigrateParameters,
        RunKind.PLAN: MigrateParameters,
        RunKind.VERIFY: VerifyParameters,
        RunKind.CHECK: CheckParameters,
    }
)
"""What the run of a mapping takes of the file and of the options, by what is run."""


def run_mappings(kind: RunKind, path: Path, given: dict[str, Any], *, standalone: bool) -> NoReturn:
    """Run each mapping to its end, whatever became of the ones before, and exit with the code for all.

    A check that is like an earlier one is not done again: the mappings may differ in their targets alone.
    `given` are the options of the command line, which win over the file.

    Raises:
        ConfigurationError: the file can't be used, or an option beside it; nothing was done.
    """
    as_json = prepare(given)
    mappings = mappings_of(path, OF_EACH_MAPPING[kind], given, writes=kind is RunKind.MIGRATE)
    codes: list[int] = []
    reports = Reports() if as_json else None
    for number, parameters in enumerate(mappings):
        if kind is RunKind.CHECK and parameters in mappings[:number]:
            codes.append(codes[mappings.index(parameters)])
            continue
        click.echo(printable(parameters.to_options().title), err=True)
        ended = run_one(kind, parameters, standalone=standalone, show=not as_json)
        codes.append(ended.code)
        if reports is not None and ended.report is not None:
            reports.add(ended.report)
        if ended.code == INTERRUPTED:
            break
    if reports is not None:
        reports.end(mappings, codes)
    else:
        click.echo(f"{codes.count(COMPLETE)} of {len(mappings)} mappings complete")
    raise SystemExit(overall(codes))


class Reports:
    """The one document for all mappings, which is printed as they end: no report is kept for it."""

    def __init__(self) -> None:
        click.echo('{"schema":1,\n"reports":[')
        self._separator = ""

    def add(self, report: Path) -> None:
        """Print the report of a mapping, which is written by now."""
        click.echo(self._separator, nl=False)
        print_report(report)
        self._separator = ",\n"

    def end(self, mappings: Iterable[RunParameters], codes: Iterable[int]) -> None:
        """Print what became of each mapping; those to which it did not come have no code."""
        told = list(_told(mappings, codes))
        click.echo(f'],\n"mappings":{json.dumps(told, indent=1)}}}')


def _told(mappings: Iterable[RunParameters], codes: Iterable[int]) -> Iterator[dict[str, object]]:
    for each, code in zip_longest(mappings, codes):
        yield {"source": each.source, "target": getattr(each, "target", None), "exit_code": code}


def _refuse_scale(given: Iterable[str], fields: Collection[str]) -> None:
    if others := [f"--{name.replace('_', '-')}" for name in given if name not in fields]:
        does = "does" if len(others) == 1 else "do"
        raise ConfigurationError(
            f"{', '.join(others)} {does} not go with --config, whose mappings take one process each"
        )


def mappings_of(path: Path, model: type[_Run], given: dict[str, Any], *, writes: bool) -> list[_Run]:
    """What each mapping of the file says, with the options of the command line in place of that.

    Files that a mapping names to be written are left alone unless its run `writes` them.

    Raises:
        ConfigurationError: the file can't be used, or an option beside it.
    """
    _refuse_scale(given, model.model_fields)
    file = load_migrations(path)
    try:
        mappings = list(file.runs(model, given, writes=writes))
    except ValidationError as error:
        raise wrong_options(error) from None
    if len(mappings) > 1 and (written := [field for field in WRITTEN_BY_RUN if given.get(field)]):
        options = ", ".join(f"--{field}" for field in written)
        instead = "name a file in each mapping" if writes else "give each a command of its own"
        raise ConfigurationError(f"{options}: each mapping would replace it; {instead} instead")
    if given.get("source_name") and len({each.source for each in mappings}) > 1:
        raise ConfigurationError("--source-name: the file has several sources; name each in its mapping instead")
    return mappings


def overall(codes: Sequence[int]) -> int:
    """One code for several runs: what they agree on; interrupted where one was; else 1, finished but not all well."""
    if INTERRUPTED in codes:
        return INTERRUPTED
    return codes[0] if len(set(codes)) == 1 else INCOMPLETE
