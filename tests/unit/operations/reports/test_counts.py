"""A number of things is worded as people would."""

import pytest

from tasks.operations.reports.counts import counted, percentage


@pytest.mark.parametrize(
    ("number", "noun", "expected"),
    [
        (0, "tag", "0 tags"),
        (1, "tag", "1 tag"),
        (2000, "tag", "2,000 tags"),
        (1, "more repository", "1 more repository"),
        (2, "more repository", "2 more repositories"),
        (2, "entry", "2 entries"),
        (2, "key", "2 keys"),
        (2, "batch", "2 batches"),
    ],
)
def test_one_is_not_several(number: int, noun: str, expected: str) -> None:
    assert counted(number, noun) == expected


@pytest.mark.parametrize(("several", "one"), [("are", "is"), ("go", "goes"), ("were", "was")])
def test_what_is_said_of_one_is_not_said_of_several(several: str, one: str) -> None:
    assert counted(2, "tag", several) == f"2 tags {several}"
    assert counted(1, "tag", several) == f"1 tag {one}"


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(1, 4, "25 %"), (63, 250, "25.2 %"), (250001, 1000000, "25.1 %"), (996, 1000, "99.6 %"), (3, 3, "100 %")],
)
def test_what_is_beyond_a_percentage_is_not_told_as_that(part: int, whole: int, expected: str) -> None:
    assert percentage(part, whole) == expected


def test_a_hundred_per_cent_are_all() -> None:
    assert percentage(99_999, 100_000) == "99.9 %"
