"""Measurements for tests, with the figures that a test is about."""

from tasks.benchmark_values.cases import parse_case
from tasks.benchmark_values.facts import About, Cost, Measurement, Phase, Results


def measured(
    wall: float, path: str = "s3fs", case: str = "8MiB", phase: Phase = Phase.WARM, repeat: int = 1, **cost: object
) -> Measurement:
    parsed = parse_case(case)
    return Measurement(
        path=path,
        case=case,
        size=parsed.size,
        count=parsed.count,
        phase=phase,
        repeat=repeat,
        cost=Cost(**{"wall": wall, "user": 0.5, "system": 0.25, **cost}),  # type: ignore[arg-type]
    )


def about(run: str = "r1", **changes: object) -> About:
    fields = {
        "run": run,
        "started": f"2026-01-01T00:00:00+00:00 {run}",
        "location": "s3://bucket",
        "endpoint": "e",
        "content": "text",
        "host": "here",
        "processors": 2,
        "system": "Linux",
        "cold": "c",
        "repeats": 3,
        "load_before": 0.0,
        "programs": "oras: Version: 1",
    }
    return About(**{**fields, **changes})  # type: ignore[arg-type]


def results(*measurements: Measurement, **more: object) -> Results:
    return Results(name="run", measurements=measurements, **more)  # type: ignore[arg-type]
