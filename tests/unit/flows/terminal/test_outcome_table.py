"""The table that ends a run's output counts what the totals below it count."""

import pytest
from rich.cells import cell_len

from flows.terminal.outcome_table import SHOWN, repository_lines
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


def test_what_the_run_did_not_get_to_is_not_said_to_have_a_problem() -> None:
    codes = ("interrupted", "target_unavailable", "digest_mismatch")
    results = [TagResult("app", code, None, None, f"r.example/app:{code}", FAILED, code=code) for code in codes]
    _, line = repository_lines([*results, TagResult("app", "v1", None, None, "r.example/app:v1", COPIED)])
    assert line.split(maxsplit=3)[3] == "1 with problems, 2 not done, 1 copied"


def test_a_tag_that_was_skipped_as_somebody_asked_is_not_said_to_have_a_problem() -> None:
    skipped = TagResult("app", "v1", None, None, "r.example/app:v1", REFUSED, code="conflict_skipped")
    _, line = repository_lines([skipped, TagResult("app", "v2", None, None, "r.example/app:v2", COPIED)])
    assert line.split(maxsplit=3)[3] == "1 skipped, 1 copied"
    assert list(repository_lines([skipped]))[1].split(maxsplit=3)[3] == "skipped"


def repositories(*named: tuple[str, Outcome], code: str | None = None) -> list[TagResult]:
    """A result of each: its only tag."""
    return [TagResult(name, "v1", None, None, f"r.example/{name}:v1", outcome, code=code) for name, outcome in named]


def first_words(lines: list[str]) -> list[str]:
    return [line.split()[0] for line in lines]


def test_a_repository_with_a_problem_is_shown_first_however_many_there_are() -> None:
    good = repositories(*((f"a{number:02}", COPIED) for number in range(SHOWN + 4)))
    wrong = repositories(("z", FAILED), ("c", FAILED), code="conflict")
    lines = list(repository_lines([*good, *wrong]))
    assert first_words(lines) == ["repository", "c", "z", *(f"a{number:02}" for number in range(SHOWN - 2)), "…"]
    assert lines[-1] == "  … and 6 more repositories, in the report"


@pytest.mark.parametrize("changed", [COPIED, TO_COPY])
def test_of_many_repositories_those_in_which_something_changed_are_shown_before_those_up_to_date(
    changed: Outcome,
) -> None:
    """Of 400 repositories, two have work: the table is to name them."""
    same = repositories(*((f"a{number:03}", UP_TO_DATE) for number in range(398)), ("moved", UP_TO_DATE))
    left = repositories(("left", FAILED), code="interrupted")
    skipped = repositories(("skipped", REFUSED), code="conflict_skipped")
    wrong = repositories(("wrong", FAILED), code="conflict")
    new = [TagResult(name, "v2", None, None, f"r.example/{name}:v2", changed) for name in ("new", "moved")]
    lines = list(repository_lines([*same, *left, *skipped, *new, *wrong]))
    assert first_words(lines)[:8] == ["repository", "wrong", "moved", "new", "left", "skipped", "a000", "a001"]
    assert lines[-1] == "  … and 378 more repositories, in the report"


def test_repositories_that_all_fit_are_in_the_order_of_their_paths() -> None:
    results = repositories(("b", UP_TO_DATE), ("d", COPIED), ("a", UP_TO_DATE)) + repositories(("c", FAILED))
    results += repositories(*((f"x{number:02}", COPIED) for number in range(SHOWN - 4)))
    assert first_words(list(repository_lines(results)))[1:6] == ["a", "b", "c", "d", "x00"]
    assert len(list(repository_lines(results))) == SHOWN + 1


def test_a_very_long_name_pushes_no_other_line_aside() -> None:
    results = [TagResult(name, "v1", None, None, f"r.example/{name}:v1", COPIED) for name in ("app", "l" * 200)]
    heading, short, _ = repository_lines(results)
    assert heading.index("outcome") == short.index("copied") < 150


def test_characters_that_are_two_places_wide_leave_the_columns_where_they_are() -> None:
    results = [TagResult(name, "v1", None, None, f"r.example/{name}:v1", COPIED) for name in ("日本語", "app")]
    starts = {cell_len(line[: line.index("r.example")]) for line in list(repository_lines(results))[1:]}
    assert len(starts) == 1
