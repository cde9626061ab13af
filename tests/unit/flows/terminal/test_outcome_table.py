"""The table that ends a run's output counts what the totals below it count."""

import pytest

from flows.terminal.outcome_table import repository_lines
from tasks.operations.reports.results import Outcome, TagResult

COPIED, UP_TO_DATE, TO_COPY = Outcome.COPIED, Outcome.UP_TO_DATE, Outcome.TO_COPY
REFUSED, FAILED = Outcome.REFUSED, Outcome.FAILED


@pytest.mark.parametrize(
    ("outcomes", "verified", "said"),
    [
        ((COPIED, COPIED), False, "copied"),
        ((UP_TO_DATE,), False, "up to date"),
        ((UP_TO_DATE, COPIED, COPIED), False, "2 copied, 1 up to date"),
        ((UP_TO_DATE, TO_COPY), False, "1 to copy, 1 up to date"),
        ((FAILED, COPIED), False, "1 with problems, 1 copied"),
        ((REFUSED, COPIED, UP_TO_DATE, FAILED), False, "2 with problems, 1 copied, 1 up to date"),
        ((REFUSED,), False, "1 with problems"),
        ((UP_TO_DATE, UP_TO_DATE), True, "verified"),
        ((UP_TO_DATE, FAILED), True, "1 with problems, 1 verified"),
    ],
)
def test_a_line_counts_each_outcome(outcomes: tuple[Outcome, ...], verified: bool, said: str) -> None:
    results = [
        TagResult("app", f"v{number}", None, None, f"r.example/app:v{number}", outcome)
        for number, outcome in enumerate(outcomes)
    ]
    _, line = repository_lines(results, verified=verified)
    assert line.split(maxsplit=3) == ["app", "r.example/app", str(len(outcomes)), said]


def test_a_very_long_name_pushes_no_other_line_aside() -> None:
    results = [TagResult(name, "v1", None, None, f"r.example/{name}:v1", COPIED) for name in ("app", "l" * 200)]
    heading, short, _ = repository_lines(results)
    assert heading.index("outcome") == short.index("copied") < 150
