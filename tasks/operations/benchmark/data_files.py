"""The result's files for other programs: the article's own `.dat`, CSV, and JSON lines with every fact.

A `.dat` line is type, size label, real, user and system time, parted by tabs, times as bash's `time` prints them. The
article's published tables hold averages: type and label in one word, times in milliseconds. Both are read.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import asdict
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tasks.benchmark_values.cases import parse_case
from tasks.benchmark_values.facts import About, Cost, Failure, Measurement, Phase, Results
from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tasks.operations.benchmark.history import Regression

DAT_HEADER = "#type\tsizelabel\trealtime\tusertime\tsystime\t"
COLD_SUFFIX = "-cold"
"""Behind the type of a cold pull: the article's own were all of a mount that had just been pushed through."""
_TIME = re.compile(r"([0-9]+)m([0-9]+(?:[.,][0-9]+)?)s")
_JOINED = re.compile(r"(.+)[-_]([0-9]+[kMGi]*B(?:x[0-9]+)?)")
_TIMES = 3
CASE_ENDED = "case"
"""The kind of the line that a run writes behind all of a case, while it goes on."""
WARNING = "warning"
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "about": About.from_json,
    "measurement": Measurement.from_json,
    "failure": Failure.from_json,
    CASE_ENDED: itemgetter("case"),
    WARNING: itemgetter("message"),
    "regression": itemgetter("name"),
}
"""How a line of each kind is read."""
_TYPES = {"s3fs3": "s3fs", "goofys3": "goofys", "aws-cli-s3": "aws-cli"}
"""The article's names of paths that we know by others."""


def dat_text(results: Results, types: Mapping[str, str]) -> str:
    """The pulls as the article's file; `types` names paths as it does."""
    rows = [_dat_line(each, types) for each in results.measurements if each.phase is not Phase.PUSH]
    return "\n".join([DAT_HEADER, *rows]) + "\n"


def _dat_line(each: Measurement, types: Mapping[str, str]) -> str:
    kind = types.get(each.path, each.path) + (COLD_SUFFIX if each.phase is Phase.COLD else "")
    times = (each.cost.wall, each.cost.user, each.cost.system)
    return "\t".join([kind, each.case, *(f"{int(t // 60)}m{t % 60:.3f}s" for t in times)])


def csv_text(results: Results) -> str:
    """A line a measurement, with a column for each fact; methods of requests in columns of their own."""
    rows = [_csv_row(each) for each in results.measurements]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _csv_row(each: Measurement) -> dict[str, Any]:
    row = each.to_json()
    requests = row.pop("s3_requests") or {}
    row.pop("kind")
    return row | {"rate": round(each.rate)} | {f"s3_{method.lower()}": n for method, n in requests.items()}


def json_lines(results: Results, regressions: Sequence[Regression] = ()) -> str:
    """`rows_of` as text."""
    return "".join(json.dumps(row) + "\n" for row in rows_of(results, regressions))


def rows_of(results: Results, regressions: Sequence[Regression] = ()) -> list[dict[str, Any]]:
    """A line about the run, then one a measurement, failure, case that was ended, warning and regression."""
    rows = [results.about.to_json()] if results.about else []
    rows += [each.to_json() for each in results.measurements]
    rows += [each.to_json() for each in results.failures]
    rows += map(ended_row, results.ended)
    rows += map(warning_row, results.warnings)
    rows += [{"kind": "regression", **asdict(each)} for each in regressions]
    return rows


def ended_row(label: str) -> dict[str, Any]:
    """A case that was measured to its end, as a line of the results."""
    return {"kind": CASE_ENDED, "case": label}


def warning_row(message: str) -> dict[str, Any]:
    """A warning as a line of the results."""
    return {"kind": WARNING, "message": message}


def parse(text: str, name: str) -> Results:
    """The results in a file of any of these kinds but CSV; `name` stands for it in errors and plots.

    Raises:
        ConfigurationError: a line is of none; the message names it.
    """
    if text.lstrip().startswith("{"):
        return _parse_json_lines(text, name)
    found = tuple(_dat_measurements(text.splitlines(), name))
    if not found:
        raise ConfigurationError(f"{name}: there are no measurements in it")
    return Results(name=name, measurements=found)


def results_of(rows: Iterable[Mapping[str, Any]], name: str) -> Results:
    """What `rows_of` made, but for the regressions; of several lines about the run the last counts.

    Raises:
        KeyError, TypeError, ValueError: one is something else.
    """
    found: dict[str, list[Any]] = {kind: [] for kind in _READERS}
    for row in rows:
        found[row["kind"]].append(_READERS[row["kind"]](row))
    return Results(
        name=name,
        measurements=tuple(found["measurement"]),
        failures=tuple(found["failure"]),
        about=found["about"][-1] if found["about"] else None,
        warnings=tuple(found[WARNING]),
        ended=tuple(found[CASE_ENDED]),
    )


def _parse_json_lines(text: str, name: str) -> Results:
    number = 0

    def rows() -> Iterator[Any]:
        nonlocal number
        for line in text.splitlines():
            number += 1
            yield json.loads(line)

    try:
        return results_of(rows(), name)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name}:{number}: this is no line of a benchmark's results") from error


def _dat_measurements(lines: Sequence[str], name: str) -> Iterator[Measurement]:
    seen: dict[tuple[str, str], int] = {}
    for number, line in enumerate(lines, 1):
        words = [word for word in line.split("\t") if word]
        if not words or line.startswith("#"):
            continue
        try:
            kind, label, times = _dat_fields(words)
            case = parse_case(label)
        except (ValueError, ConfigurationError) as error:
            raise ConfigurationError(
                f"{name}:{number}: a line is type, size, real, user and system time, parted by tabs"
            ) from error
        seen[kind, label] = repeat = seen.get((kind, label), 0) + 1
        phase = Phase.COLD if kind.endswith(COLD_SUFFIX) else Phase.WARM
        yield Measurement(
            path=_TYPES.get(kind.removesuffix(COLD_SUFFIX), kind.removesuffix(COLD_SUFFIX)),
            case=case.label,
            size=case.size,
            count=case.count,
            phase=phase,
            repeat=repeat,
            cost=Cost(wall=times[0], user=times[1], system=times[2]),
        )


def _dat_fields(words: Sequence[str]) -> tuple[str, str, list[float]]:
    joined = _JOINED.fullmatch(words[0])
    if len(words) == _TIMES + 1 and joined is not None:
        return joined[1], joined[2], [_milliseconds(word) for word in words[1:]]
    kind, label, *times = words
    if len(times) != _TIMES:
        raise ValueError(f"{len(times)} times")
    return kind, label, [_seconds(word) for word in times]


def _milliseconds(text: str) -> float:
    found = float(text) / 1000
    if not math.isfinite(found):
        raise ValueError(text)
    return found


def _seconds(text: str) -> float:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return int(match[1]) * 60 + float(match[2].replace(",", "."))
