"""Takes what came of a shard out of the run that did it, and into the run that it is a part of. No Prefect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.operations.reports.shard_report import ShardSummary, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.ports import Shard
    from tasks.runs import Run


def pages_of(run: Run) -> list[str]:
    """All that a run found and did, as pages of text."""
    summary = ShardSummary(
        run.totals.tags,
        run.progress.expected,
        run.totals.traffic,
        run.progress.bytes_read,
        run.requests,
        run.log.unasked,
        run.log.indexes,
        tuple(run.log.findings),
        run.tree.fitting.names,
    )
    return list(pack(summary, run.results()))


def absorb(run: Run, shard: Shard, pages: Sequence[str], *, bytes_told: int = 0) -> int:
    """Take over into `run` what `pages_of` said of a shard; how many tags that were.

    So many of the bytes that it read are counted already.

    Raises:
        ShardLostError: they are not all pages of one report; nothing was taken over.
    """
    summary, results = unpack(pages)
    run.absorb(replace(summary, bytes_read=max(0, summary.bytes_read - bytes_told)), results)
    run.tree.note_done_elsewhere(shard.repositories)
    run.progress.expect(summary.expected - run.tree.expected_of(shard.repositories))
    return summary.tags
