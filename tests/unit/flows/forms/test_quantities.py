"""Durations, sizes and rates are read as people write them, wherever they stand."""

import pytest

from flows.forms.quantities import bytes_per_second, seconds, size_in_bytes, waiting_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30d", 2592000), ("12h", 43200), ("1w2d", 777600), ("90s", 90), ("1.5h", 5400), (" 3 d", 259200)],
)
def test_durations_are_read_as_people_write_them(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "d", "3", 3, "-3d", "1h 2", "3 x", "1.d"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a duration is a number with"):
        seconds(text)


def test_a_run_waits_for_a_year_at_most() -> None:
    assert waiting_time("365d") == "365d"
    for text in ("53w", "9" * 400 + "s"):
        with pytest.raises(ValueError, match="a year at most"):
            waiting_time(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("50G", 50 * 1024**3), (7, 7), ("1.5k", 1536), ("2 MiB", 2 * 1024**2), ("3T", 3 * 1024**4), (" 1K ", 1024)],
)
def test_sizes_are_read_as_people_write_them(text: object, expected: int) -> None:
    assert size_in_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "G", "-3", True, None, "1X", "9" * 400, "5/s"])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a size is a number of bytes"):
        size_in_bytes(text)


@pytest.mark.parametrize("text", ["50M", "50 MB/s", " 50MiB/s", str(50 * 1024**2)])
def test_rates_are_read_as_people_write_them(text: str) -> None:
    assert bytes_per_second(text) == 50 * 1024**2


@pytest.mark.parametrize("text", ["", "0", "0k/s", "fast", "9" * 400])
def test_no_rate_is_no_limit(text: str) -> None:
    with pytest.raises(ValueError, match="a rate is a number of bytes a second"):
        bytes_per_second(text)
