"""The table for people, the record as JSON; neither names a host or a path."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import contenders as who
from tests.benchmarks.goals import Verdict
from tests.benchmarks.statistics_of import Results, Rounds

RESULTS = Path(__file__).parent / "results"
HEADER = ("", "wall s", "ratio", "client CPU", "peak MB", "registry CPU", "requests", "tags", "whole", "rounds")


def table(results: Results) -> str:
    """Medians by group; the ratio is layoutlift's wall time to this contender's."""
    blocks = []
    for group, registry in results.groups():
        found = results.contenders(group, registry)
        ours = found.get(who.LAYOUTLIFT)
        rows = [HEADER, *(_row(name, rounds, ours) for name, rounds in found.items())]
        rows[0] = (f"{group}, {registry}", *HEADER[1:])
        blocks.append(_aligned(rows))
    return "\n\n".join(blocks)


def _row(name: str, rounds: Rounds, ours: Rounds | None) -> tuple[str, ...]:
    fewest = min(rounds.measurements, key=lambda made: made.verified)
    return (
        name,
        f"{rounds.wall:.2f}",
        f"{ours.wall / rounds.wall:.2f}" if ours else "",
        f"{rounds.cpu:.2f}",
        f"{rounds.peak / 1e6:.0f}",
        f"{rounds.registry_cpu:.2f}",
        "" if rounds.requests is None else f"{rounds.requests:.0f}",
        f"{min(made.arrived for made in rounds.measurements)}/{fewest.tags}",
        f"{fewest.verified}",
        f"{len(rounds.measurements)}",
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    )


def record(results: Results, verdicts: Sequence[Verdict], versions: dict[str, str], date: str) -> dict[str, Any]:
    """Everything that is to be kept."""
    return {
        "schema": 1,
        "date": date,
        "machine": machine(),
        "versions": versions,
        "goals": [
            {
                "goal": verdict.goal,
                "reached": verdict.reached,
                "limit": verdict.limit,
                "passes": verdict.passes,
                "note": verdict.note,
            }
            for verdict in verdicts
        ],
        "measurements": [
            {name: value for name, value in made.to_json().items() if name != "output"}
            for made in results.measurements
        ],
    }


def write_record(name: str, content: dict[str, Any]) -> Path:
    """Write the record where measurements are kept."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model[1] if model else "unknown",
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30),
        "kernel": os.uname().release,
    }
