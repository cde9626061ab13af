"""What came of a shard, as text that fits through a scheduler's database: pages of compressed JSON lines.

The first line of the first page says how many of what follow, so that a report of which a page is missing is never
taken for a whole one. Each finding is a line like each result, as there may be as many: what is before the server
refuses pages that are large.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from tasks.oci.errors import ShardLostError
from tasks.operations.reports.report_rows import result_of_row, tag_row
from tasks.operations.reports.results import Traffic
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tasks.operations.reports.results import TagResult

LINES_A_PAGE = 2_000
"""About 200 KB a page where every digest is another."""


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """What there is to say of a shard besides its results; of its `tags`, more may have been `expected`."""

    tags: int
    expected: int
    traffic: Traffic
    bytes_read: int
    requests: int
    unasked: bool
    indexes: Mapping[str, str]
    findings: tuple[Finding, ...]
    fitting: tuple[str, ...] = ()

    def to_lines(self) -> Iterator[Any]:
        """As plain values: the numbers, and then what there is many of."""
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        yield {**numbers, "traffic": asdict(self.traffic), **{name: len(getattr(self, name)) for name in _LISTS}}
        yield from map(asdict, self.findings)
        yield from self.indexes.items()
        yield from self.fitting

    @classmethod
    def of_lines(cls, lines: Iterator[Any]) -> ShardSummary:
        """What `to_lines` made, and nothing more of the lines."""
        head: dict[str, Any] = next(lines, {})
        findings, indexes, fitting = ([*islice(lines, head[name])] for name in _LISTS)
        if [len(each) for each in (findings, indexes, fitting)] != [head[name] for name in _LISTS]:
            raise ValueError("lines are missing")
        return cls(
            **{name: head[name] for name in _NUMBERS},
            traffic=Traffic(**head["traffic"]),
            findings=tuple(Finding(**each) for each in findings),
            indexes=dict(indexes),
            fitting=tuple(fitting),
        )


_NUMBERS = ("tags", "expected", "bytes_read", "requests", "unasked")
_LISTS = ("findings", "indexes", "fitting")


def pack(summary: ShardSummary, results: Iterable[TagResult]) -> Iterator[str]:
    """The pages of a shard's report, one after the other; there is at least one."""
    lines = chain(summary.to_lines(), map(tag_row, results))
    while page := list(islice(lines, LINES_A_PAGE)):
        raw = "\n".join(json.dumps(line, separators=(",", ":")) for line in page)
        yield base64.b85encode(zlib.compress(raw.encode())).decode("ascii")


def unpack(pages: Sequence[str]) -> tuple[ShardSummary, Iterator[TagResult]]:
    """The summary and results that `pack` made pages of; results are read page by page, twice.

    Raises:
        ShardLostError: these are not all pages of one report.
    """
    try:
        lines = _lines_of(pages)
        summary = ShardSummary.of_lines(lines)
        found = sum(1 for _ in map(result_of_row, lines))
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise ShardLostError(f"its report can't be read ({type(error).__name__})") from error
    if found != summary.tags:
        raise ShardLostError(f"its report has {found} of {summary.tags} results")
    before = 1 + sum(len(getattr(summary, name)) for name in _LISTS)
    return summary, map(result_of_row, islice(_lines_of(pages), before, None))


def _lines_of(pages: Sequence[str]) -> Iterator[Any]:
    return chain.from_iterable(map(_lines, pages))


def _lines(page: str) -> Iterator[Any]:
    return map(json.loads, zlib.decompress(base64.b85decode(page)).decode().split("\n"))
