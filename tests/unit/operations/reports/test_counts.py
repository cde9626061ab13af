"""A number of things is worded as people would."""

import pytest

from tasks.operations.reports.counts import counted


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
