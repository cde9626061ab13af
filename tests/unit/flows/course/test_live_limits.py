"""Limits go on being kept while a run goes on, whatever becomes of the place that they are read from."""

import errno
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.course import live_limits
from flows.course.live_limits import file_reader, kept_within_limits
from flows.forms.limits_model import LiveLimits
from infra.real_parts import wait_until
from tasks import run_controls
from tasks.oci.errors import ConfigurationError, StateError
from tasks.operations.running.hold import Limits
from tasks.operations.running.hours import Hours
from tasks.ports import Shard
from tasks.run_controls import RunControls
from tasks.stop import Stop

HOURS = Hours.parse("22:00-06:00 UTC")
INSIDE = datetime(2026, 1, 5, 23, tzinfo=UTC)
OUTSIDE = INSIDE + timedelta(hours=10)


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.time = INSIDE

    def now(self, _: object) -> datetime:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(run_controls, "datetime", made)
    monkeypatch.setattr(live_limits, "LOOK_EVERY", 0.01)
    return made


@pytest.fixture
def run() -> Any:
    """Of a run, what has to do with limits."""
    options = SimpleNamespace(hours=HOURS, limits_from=None, shard=None)
    return SimpleNamespace(options=options, controls=RunControls(Limits(hours=HOURS), Stop()))


def answering(*answers: LiveLimits | Exception) -> Callable[[], LiveLimits]:
    """Gives one answer after the other, and the last one from then on."""
    left = list(answers)

    def read() -> LiveLimits:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return read


def say(limits: Path, text: str) -> None:
    """Replace the file as a whole, so that no look meets half of it."""
    limits.with_suffix(".new").write_text(text)
    limits.with_suffix(".new").replace(limits)


def is_held(run: Any) -> Callable[[], bool]:
    return lambda: run.controls.hold.reason is not None


@pytest.mark.parametrize("typo", ["pausd: true\n", "hours: 2026-13-01\n"])
def test_hours_open_and_close_while_the_limits_can_not_be_read(
    clock: Clock, run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, typo: str
) -> None:
    limits = tmp_path / "limits.yaml"
    say(limits, "max_requests: 5\n")
    with file_reader(str(limits)) as read, kept_within_limits(run, read):
        assert not is_held(run)()
        say(limits, typo)
        wait_until(lambda: "the limits stay as they were" in caplog.text, what="the typo is noted")
        clock.time = OUTSIDE
        wait_until(is_held(run), what="the run is held outside of its hours", deadline_seconds=5)
        clock.time = INSIDE
        wait_until(lambda: not is_held(run)(), what="the run goes on within its hours", deadline_seconds=5)
        say(limits, "paused: true\n")
        wait_until(lambda: run.controls.hold.reason == "paused", what="the mended file is read", deadline_seconds=5)
    assert caplog.text.count("the limits stay as they were") == 1


def test_hours_close_while_the_answer_to_a_look_at_the_limits_is_waited_for(clock: Clock, run: Any) -> None:
    asked, answered = threading.Event(), threading.Event()
    answers: list[LiveLimits | None] = [LiveLimits(max_requests=5)]

    def read() -> LiveLimits | None:
        if answers:
            return answers.pop()
        asked.set()
        answered.wait(60)
        return LiveLimits(max_requests=5)

    with kept_within_limits(run, read):
        assert asked.wait(5)
        clock.time = OUTSIDE
        try:
            wait_until(is_held(run), what="the run is held outside of its hours", deadline_seconds=5)
        finally:
            answered.set()


@pytest.mark.usefixtures("clock")
def test_a_mistake_that_somebody_makes_during_a_run_does_not_end_those_of_its_shards_that_begin_after_it(
    run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits = tmp_path / "limits.yaml"
    say(limits, "pausd: true\n")
    with (
        file_reader(str(limits)) as read,
        pytest.raises(ConfigurationError, match="pausd"),
        kept_within_limits(run, read),
    ):
        pass
    run.options.shard = Shard("run", 1, ("app",))
    with file_reader(str(limits)) as read, kept_within_limits(run, read):
        assert "its own limits for now: " in caplog.text
        say(limits, "paused: true\n")
        wait_until(lambda: run.controls.hold.reason == "paused", what="the mended file is read", deadline_seconds=5)


@pytest.mark.usefixtures("clock")
def test_a_look_that_fails_in_any_way_is_not_the_last(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    with kept_within_limits(run, answering(LiveLimits(), KeyError("odd"), LiveLimits(paused=True))):
        wait_until(lambda: run.controls.hold.reason == "paused", what="the next look is made", deadline_seconds=5)
    assert "the limits stay as they were: KeyError: 'odd'" in caplog.text


def test_a_file_that_can_not_even_be_looked_for_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("os.stat", refuse)
    with file_reader(str(tmp_path / "limits.yaml")) as read:
        assert read is not None
        with pytest.raises(ConfigurationError, match="can't be read: Permission denied"):
            read()


def test_limits_are_kept_where_no_hours_were_given_and_hours_where_no_limits_were(clock: Clock, run: Any) -> None:
    with kept_within_limits(run, None):
        clock.time = OUTSIDE
        wait_until(is_held(run), what="the run is held outside of its hours", deadline_seconds=5)
    unlimited: Any = SimpleNamespace(
        options=SimpleNamespace(hours=None, limits_from=None, shard=None), controls=RunControls(Limits(), Stop())
    )
    with kept_within_limits(unlimited, lambda: LiveLimits(paused=True)):
        assert unlimited.controls.hold.reason == "paused"


def test_a_run_without_prefect_takes_limits_from_a_file_that_need_not_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="takes a file"), file_reader("variable:night"):
        pass
    (tmp_path / "file").touch()
    for place in (tmp_path / "later.yaml", tmp_path / "file" / "limits.yaml"):
        with file_reader(str(place)) as read:
            assert read is not None
            assert read() is None
    with file_reader(None) as read:
        assert read is None


@pytest.mark.usefixtures("clock")
def test_a_server_that_does_not_say_its_limits_at_the_start_is_asked_again(run: Any) -> None:
    with kept_within_limits(run, answering(StateError("it is away"), LiveLimits(paused=True))):
        wait_until(lambda: run.controls.hold.reason == "paused", what="the next look is made", deadline_seconds=5)


@pytest.mark.parametrize("is_there", [True, False])
def test_limits_that_are_named_and_not_there_are_told_of(
    clock: Clock, run: Any, caplog: pytest.LogCaptureFixture, is_there: bool
) -> None:
    clock.time = INSIDE
    run.options.limits_from = "limits.yaml"
    with kept_within_limits(run, lambda: LiveLimits() if is_there else None):
        pass
    assert ("limits.yaml is not there" in caplog.text) is not is_there


@pytest.mark.parametrize(("shard", "share"), [(None, 1), (Shard("run", 1, ("app",), 4), 4)])
def test_what_a_run_is_slowed_down_to_is_shared_out_among_its_parts(
    run: Any, shard: Shard | None, share: int
) -> None:
    applied: list[Limits] = []
    run.options.shard = shard
    run.controls = SimpleNamespace(given=Limits(bytes_per_second=7.0), apply=applied.append)
    for said in (
        LiveLimits(limit_rate="4M", max_requests=50),
        LiveLimits(max_requests=None),
        LiveLimits(paused=True),
    ):
        with kept_within_limits(run, lambda said=said: said):
            pass
    assert applied == [
        Limits(bytes_per_second=4 * 2**20 / share, requests_per_second=50 / share),
        Limits(bytes_per_second=7.0),
        Limits(bytes_per_second=7.0, paused=True),
    ]
