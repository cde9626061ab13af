"""What came of a shard arrives whole where its run is, or is known to be missing."""

import base64
import json
import random
import zlib
from dataclasses import replace
from typing import Any

import pytest

from tasks.oci.errors import ShardLostError
from tasks.operations.reports.results import Depth, Outcome, TagResult, Traffic
from tasks.operations.reports.shard_report import LINES_A_PAGE, ShardSummary, pack, unpack
from tasks.ports import Finding

BESIDES = 4
"""Findings, indexes and fitting patterns of `made`."""


def made(count: int) -> tuple[ShardSummary, list[TagResult]]:
    results = [
        TagResult(
            f"app-{n % 7}\udcff", f"v{n}", f"sha256:{n:064x}", "m", f"r/app:v{n}", Outcome.COPIED, Depth.MANIFEST
        )
        for n in range(count - 1)
    ]
    results.append(
        TagResult("bad", None, None, None, None, Outcome.REFUSED, code="conflict", message="two\nlines, \u2028 and ü")
    )
    findings = (Finding("odd", "not_a_layout", "it is\nnone"),)
    traffic, indexes = Traffic(3, 2, 1, 10**12), {"app-1": '"etag"'}
    return ShardSummary(count, count + 5, traffic, 10**13, 77, True, indexes, findings, ("app-*", ":v*")), results


@pytest.mark.parametrize("count", [1, LINES_A_PAGE - 1, LINES_A_PAGE, 2 * LINES_A_PAGE + 5])
def test_a_report_arrives_as_it_was(count: int) -> None:
    summary, results = made(count)
    pages = list(pack(summary, results))
    assert len(pages) == -(-(1 + BESIDES + count) // LINES_A_PAGE)
    assert all(page.isascii() for page in pages)
    arrived, others = unpack(pages)
    assert (arrived, list(others)) == (summary, results)


@pytest.mark.parametrize("lost", [0, 1, -1])
def test_a_report_with_a_page_missing_is_none(lost: int) -> None:
    pages = list(pack(*made(2 * LINES_A_PAGE + 5)))
    del pages[lost]
    with pytest.raises(ShardLostError):
        unpack(pages)


@pytest.mark.parametrize(("name", "value"), [("outcome", "teleported"), ("verified", "by heart"), ("error", "no")])
def test_a_report_with_a_value_that_only_another_version_knows_is_none(name: str, value: str) -> None:
    """The whole report is looked at before any of it is taken over."""
    pages = list(pack(*made(2 * LINES_A_PAGE + 5)))
    lines = lines_of(pages[-1])
    lines[-1][name] = value
    with pytest.raises(ShardLostError, match="its report can't be read"):
        unpack([*pages[:-1], page_of(lines)])


@pytest.mark.parametrize("name", ["findings", "indexes", "fitting"])
@pytest.mark.parametrize("tags", [1, 0])
def test_a_report_in_which_one_of_its_lists_is_cut_off_is_none(name: str, tags: int) -> None:
    summary, results = made(1)
    (page,) = pack(replace(summary, tags=tags), results[:tags])
    head, *others = lines_of(page)
    with pytest.raises(ShardLostError):
        unpack([page_of([{**head, name: head[name] + 1}, *others])])


def lines_of(page: str) -> list[Any]:
    return [json.loads(line) for line in zlib.decompress(base64.b85decode(page)).decode().split("\n")]


def page_of(lines: list[Any]) -> str:
    return base64.b85encode(zlib.compress("\n".join(map(json.dumps, lines)).encode())).decode()


@pytest.mark.parametrize("pages", [[], ["no page"], ["{}"], ["ä"]])
def test_what_is_no_report_is_none(pages: list[str]) -> None:
    with pytest.raises(ShardLostError):
        unpack(pages)


def test_a_page_holds_little_enough_for_a_database_row() -> None:
    assert max(map(len, pack(*made(3 * LINES_A_PAGE)))) < 300_000


def test_a_page_holds_little_enough_for_a_proxy_before_the_server_however_much_was_found() -> None:
    """Proxies refuse requests of more than 1 MB unless they are told otherwise."""
    drawn = random.Random(4)
    digests = [f"sha256:{drawn.randbytes(32).hex()}" for _ in range(20_000)]
    findings = tuple(Finding(f"team/app-{n % 300}", "tag_vanished", f"v{n}: {d}") for n, d in enumerate(digests))
    indexes = {f"team/app-{n}": f'"{drawn.randbytes(16).hex()}"' for n in range(20_000)}
    summary, results = made(5)
    summary = replace(summary, findings=findings, indexes=indexes)
    pages = list(pack(summary, results))
    assert max(map(len, pages)) < 400_000
    arrived, others = unpack(pages)
    assert (arrived, list(others)) == (summary, results)
