"""Keeps the results of a run on disk while it goes on, and makes the report of them at its end.

Results are put in order by sorting runs of them to disk and merging these, so that memory does not grow with
their number. What a result looks like is the business of whoever hands in the two functions for it.
"""

from __future__ import annotations

import errno
import heapq
import json
import os
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from tasks.oci.errors import StateError
from tasks.stores.state.json_lines import JsonLinesWriter, json_line, read_json_lines
from tasks.stores.state.state_errors import as_state_error, state_error
from tasks.stores.whole_files import is_special, whole_or_not_at_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tasks.ports import Finding

    Row = Mapping[str, Any]

SORTED_AT_ONCE = 1_000
"""Rows that are held in memory at least, while the report is made."""
MOST_RUNS = 200
"""Sorted runs of rows, each an open file when they are merged: with very many rows, longer ones are made."""
SCHEMA = 1
RESULTS = "results.jsonl"
REPORT = "report.json"
_Result = TypeVar("_Result")


class RunSpool(Generic[_Result]):
    """The results of one run; `record` may be called from several threads."""

    def __init__(self, folder: Path, to_row: Callable[[_Result], Row], from_row: Callable[[Row], _Result]) -> None:
        """Keep results in `folder`; those of an earlier run there go when the first is recorded.

        `to_row` gives the report's object for a result, with its fields in the report's order, and `from_row`
        is its inverse.
        """
        self.folder = folder
        self._to_row = to_row
        self._from_row = from_row
        self._path = folder / RESULTS
        self._writer = JsonLinesWriter(self._path, fresh=True)
        self._is_cut = False
        with as_state_error(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.close()
        finally:
            with suppress(OSError):  # with a report or results in it
                self.folder.rmdir()

    def record(self, result: _Result) -> None:
        """Add the result of a tag.

        Raises:
            StateError: it can't be written.
        """
        self._writer.append(self._to_row(result))

    def flush(self) -> None:
        """Write what is buffered.

        Raises:
            StateError: it can't be written, or was removed; who was told so gets from now on what there still is.
        """
        try:
            self._writer.flush()
            with as_state_error(self._path):
                if not self._path.exists():
                    self._tell_removed()
        except StateError:
            self._is_cut = True
            raise

    def iter_results(self) -> Iterator[_Result]:
        """All results so far, in the order in which they were recorded; see `flush`.

        Raises:
            StateError: they can't be written or read.
        """
        return map(self._from_row, self._rows())

    def write_report(
        self,
        path: Path | None,
        header: Mapping[str, object],
        totals: Mapping[str, object],
        findings: Iterable[Finding],
        indexes: Mapping[str, str] = MappingProxyType({}),
    ) -> Path:
        """Write the report with all results by repository and tag, whole or not at all; None is the spool's folder.

        `indexes` has the mark (an ETag, or a digest) of each layout's index as it was read.

        Returns:
            The path of the report.

        Raises:
            StateError: it can't be written; what was at the path before is still there.
        """
        report = path or self.folder / REPORT
        with as_state_error(f"the report {report}", "can't be written"):
            if not is_special(report):
                Path(os.path.realpath(report)).parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as scratch, whole_or_not_at_all(report) as out:
                rows = self._rows_in_order(report, scratch)
                out.writelines(_report_parts(header, totals, indexes, rows, findings))
        return report

    def close(self) -> None:
        """Write what is buffered; may be called twice.

        Raises:
            StateError: it can't be written, and no earlier call said so.
        """
        self._writer.close()

    def discard(self) -> None:
        """Remove the results: no report is to be made of them.

        Raises:
            StateError: they can't be removed.
        """
        try:
            self.close()
        finally:
            with as_state_error(self._path):
                self._path.unlink(missing_ok=True)

    def _rows_in_order(self, report: Path, scratch: ExitStack) -> Iterator[bytes]:
        """The lines of the report; sorted beside it where the spool's own disk has no room for that."""
        at_once = max(SORTED_AT_ONCE, self._row_count() // MOST_RUNS)
        try:
            folder = scratch.enter_context(TemporaryDirectory(dir=self.folder))
            return _in_order(self._rows(), at_once, Path(folder))
        except OSError:
            beside = None if is_special(report) else Path(os.path.realpath(report)).parent
            folder = scratch.enter_context(TemporaryDirectory(dir=beside))
            return _in_order(self._rows(), at_once, Path(folder))

    def _row_count(self) -> int:
        self._write_out()
        try:
            with self._path.open("rb") as lines:
                return sum(1 for _ in lines)
        except FileNotFoundError:
            return 0

    def _write_out(self) -> None:
        with suppress(StateError) if self._is_cut else nullcontext():
            self._writer.flush()

    def _rows(self) -> Iterator[Row]:
        self._write_out()
        try:
            yield from read_json_lines(self._path)
        except FileNotFoundError:
            self._tell_removed()
        except OSError as error:
            raise state_error(self._path, error) from error

    def _tell_removed(self) -> None:
        """Say that what was recorded is no longer there, unless nothing was, or that was said."""
        if self._writer.has_begun and not self._is_cut:
            raise StateError(f"{self._path} was removed while the run was at work")


def check_report_place(path: Path) -> None:
    """See that a report could be written to `path`; what is there is left alone, and a pipe is not opened.

    Raises:
        StateError: a report can't be written there.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if is_special(path):
            return
        path = Path(os.path.realpath(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise state_error(f"the report {path}", error, "can't be written") from error


def _order(row: Row) -> tuple[str, str, str]:
    return row["repository"], row["tag"] or "", row["digest"] or ""


def _keyed(row: Row) -> tuple[tuple[str, str, str], bytes]:
    """A row as it is held while it is sorted: its line takes a third of what the row itself does."""
    return _order(row), json_line(row)


def _in_order(rows: Iterator[Row], at_once: int, scratch: Path) -> Iterator[bytes]:
    """The lines of all rows in order, with no more than `at_once` of them in memory."""
    runs: list[Iterable[tuple[tuple[str, str, str], bytes]]] = []
    while run := sorted(map(_keyed, islice(rows, at_once))):
        if len(run) < at_once:
            runs.append(run)
            break
        path = scratch / str(len(runs))
        path.write_bytes(b"".join(line for _, line in run))
        runs.append(map(_keyed, read_json_lines(path)))
    del run
    return (line for _, line in heapq.merge(*runs))


def _report_parts(
    header: Mapping[str, object],
    totals: Mapping[str, object],
    indexes: Mapping[str, str],
    rows: Iterable[bytes],
    findings: Iterable[Finding],
) -> Iterator[bytes]:
    """The report with a line for each tag and finding, for those who look at it with line tools."""
    yield f'{{"schema":{SCHEMA},\n"run":{json.dumps(header)},\n"totals":{json.dumps(totals)},\n"indexes":['.encode(
        "ascii"
    )
    marks = ({"repository": path, "etag": etag} for path, etag in sorted(indexes.items()))
    yield from _separated(json_line(mark).rstrip() for mark in marks)
    yield b'],\n"tags":['
    yield from _separated(line.rstrip() for line in rows)
    yield b'],\n"findings":['
    yield from _separated(json_line(asdict(finding)).rstrip() for finding in findings)
    yield b"]}\n"


def _separated(lines: Iterable[bytes]) -> Iterator[bytes]:
    separators = chain([b"\n"], iter(lambda: b",\n", b""))
    for separator, line in zip(separators, lines, strict=False):
        yield separator
        yield line
