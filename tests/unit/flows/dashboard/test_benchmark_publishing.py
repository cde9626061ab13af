"""What is too long for the dashboard is shortened by whole lines, and says so."""

from flows.dashboard.benchmark_publishing import shortened


def test_a_text_that_fits_is_shown_whole() -> None:
    assert shortened("one\ntwo\n", most=8) == "one\ntwo\n"


def test_of_a_longer_one_no_line_is_torn() -> None:
    assert shortened("one\ntwo\nthree\n", most=9) == "one\ntwo\n… 1 more lines are in the run's folder\n"
