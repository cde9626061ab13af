"""What is told of a run while it goes on: how much is done, how much is to come, and when it may end."""

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tasks.operations.reports.progress import Progress
from tasks.operations.reports.results import Outcome, Traffic
from tasks.operations.reports.shown_text import human_seconds

MIB = 1024 * 1024


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Has time pass."""
    now = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


def done(progress: Progress, tags: int, sent: int = 0) -> None:
    progress.totals.outcomes[Outcome.COPIED] += tags
    progress.note_bytes(sent)
    progress.note_traffic(Traffic(bytes_pushed=sent))


def test_the_end_is_told_by_the_tags_that_are_done(wait: Callable[[float], None]) -> None:
    progress = Progress()
    assert progress.time_left is None, "nothing is counted yet"
    progress.expect(4)
    wait(10)
    assert progress.time_left is None, "no tag is done yet"
    done(progress, 1)
    assert progress.time_left == "about 30 s left"
    done(progress, 3)
    assert progress.time_left is None


def test_the_end_leaves_out_when_the_run_was_held_and_is_not_told_meanwhile(wait: Callable[[float], None]) -> None:
    progress = Progress()
    progress.expect(3)
    wait(10)
    done(progress, 1)
    progress.held.change(is_held=True)
    wait(3600)
    assert progress.time_left is None
    progress.held.change(is_held=False)
    assert progress.time_left == "about 20 s left"


def test_how_much_is_sent_in_all_is_told_by_the_tags_that_are_done() -> None:
    progress = Progress()
    progress.expect(4)
    progress.note_bytes(MIB)
    assert (progress.bytes_expected, progress.sent) == (0, "1.0 MiB sent"), "no tag is done yet"
    done(progress, 2, sent=9 * MIB)
    assert (progress.bytes_expected, progress.sent) == (18 * MIB, "10.0 MiB sent of about 18.0 MiB")
    done(progress, 2)
    assert progress.sent == "10.0 MiB sent"


def test_what_tags_that_are_in_work_have_sent_is_not_taken_for_that_of_those_that_are_done() -> None:
    """Of 30 tags of 100 MiB, 8 workers have sent most of one each, when the first is done."""
    progress = Progress()
    progress.expect(30)
    with ExitStack() as seven:
        for _ in range(7):
            seven.enter_context(progress.at_work_on(1))
        with progress.at_work_on(1):
            progress.note_traffic(Traffic(bytes_pushed=730 * MIB))
            progress.totals.outcomes[Outcome.COPIED] += 1
        assert 2_500 * MIB < progress.bytes_expected <= 3_100 * MIB
    done(progress, 7, sent=70 * MIB)
    assert progress.bytes_expected == 3_000 * MIB


def test_what_is_on_its_way_counts_for_the_tags_that_it_is_of() -> None:
    """Of 100 tags of 1 GiB, one is done, and most of eight is with the target, which has no whole blob of them."""
    progress = Progress()
    progress.expect(100)
    done(progress, 1, sent=1024 * MIB)
    with progress.at_work_on(8):
        progress.note_bytes(7_400 * MIB)
        assert progress.bytes_expected > 50 * 1024 * MIB
        assert progress.sent == "8.2 GiB sent of about 95.1 GiB"
    with progress.at_work_on(200):
        assert progress.bytes_expected >= progress.bytes_read, "no less in all than what is sent"


def test_not_all_is_taken_for_sent_as_soon_as_all_tags_that_are_left_are_in_work() -> None:
    """Of 10 tags of 10 GiB, two are done, and eight have hardly begun; one by one these get done."""
    progress = Progress()
    progress.expect(10)
    done(progress, 2, sent=20 * 1024 * MIB)
    with progress.at_work_on(8):
        progress.note_bytes(512 * MIB)
        assert progress.sent == "20.5 GiB sent of about 28.7 GiB"
    done(progress, 7, sent=70 * 1024 * MIB)
    with progress.at_work_on(1):
        assert progress.sent == "90.5 GiB sent of about 95.0 GiB"
    done(progress, 1)
    assert progress.sent == "90.5 GiB sent"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (119, "119 s"), (121, "2 min"), (7_300, "2.0 h"), (180_000, "2.1 days")],
)
def test_a_time_is_told_as_somebody_who_waits_wants_to_know_it(seconds: float, shown: str) -> None:
    assert human_seconds(seconds) == shown
