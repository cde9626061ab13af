"""What is shown of a run while it goes on, and printed of its problems."""

import io
import sys
import threading
import time
import tracemalloc
from dataclasses import replace
from datetime import datetime, tzinfo
from types import SimpleNamespace
from typing import Any, Self

import pytest

from flows.terminal import console
from flows.terminal.console import SHOWN_FAILURES, Console, print_problems
from tasks.operations.reports.advice import ADVICE
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.results import Outcome, TagResult
from tasks.ports import Finding
from tasks.run_options import RunKind

DEADLINE = 10.0


class Terminal(io.StringIO):
    """A terminal that says when something is first shown on it."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if text.strip():
            self.shown.set()
        return super().write(text)


@pytest.mark.parametrize("term", ["dumb", "unknown", "xterm"])
def test_progress_is_seen_while_the_run_goes_on_whatever_the_terminal(
    monkeypatch: pytest.MonkeyPatch, term: str
) -> None:
    terminal = Terminal()
    run: Any = SimpleNamespace(progress=Progress(), kind=RunKind.MIGRATE)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(console, "LINE_EVERY", 0.01)
    monkeypatch.setenv("TERM", term)
    with Console().watch(run):
        assert terminal.shown.wait(DEADLINE)


class Moment(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2026, 6, 15, 12, tzinfo=tz)


@pytest.fixture
def halfway(monkeypatch: pytest.MonkeyPatch) -> Progress:
    """A run that has done one of four tags in ten seconds."""
    now = time.monotonic()
    progress = Progress(expected=4, is_counted=True, bytes_read=20 * 1024**2, started=now - 10)
    progress.totals.outcomes[Outcome.COPIED] = 1
    progress.totals.traffic.bytes_pushed = 15 * 1024**2
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(console, "datetime", Moment)
    return progress


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (RunKind.MIGRATE, "20.0 MiB sent of about 60.0 MiB, 2.0 MiB/s, about 30 s left"),
        (RunKind.VERIFY, "about 30 s left"),
    ],
)
def test_a_line_of_a_log_says_when_it_was_written_and_when_the_end_may_be(
    halfway: Progress, kind: RunKind, told: str
) -> None:
    """Cron and CI keep such lines, and put no time to them."""
    run: Any = SimpleNamespace(progress=halfway, kind=kind)
    assert console._progress_line(run) == f"2026-06-15T12:00:00+00:00 1 of 4 tags, 0 problems, {told}"
    halfway.held.change(is_held=True)
    assert console._progress_line(run).endswith(", holding")


@pytest.mark.parametrize(("kind", "told"), [(RunKind.MIGRATE, ["20.0 MiB, 2.0 MiB/s"]), (RunKind.VERIFY, [])])
def test_the_bars_tell_of_bytes_only_where_some_are_sent_and_of_what_a_line_tells_of(
    halfway: Progress, kind: RunKind, told: list[str]
) -> None:
    run: Any = SimpleNamespace(progress=halfway, kind=kind)
    assert console._beside_bar(run) == ", ".join(told)
    halfway.totals.problems = 2
    halfway.held.change(is_held=True)
    assert console._beside_bar(run) == ", ".join([*told, "2 problems", "holding"])


def test_the_bars_of_a_verification_have_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    run: Any = SimpleNamespace(progress=Progress(expected=3, is_counted=True), kind=RunKind.VERIFY)
    with Console().watch(run):
        assert terminal.shown.wait(DEADLINE)
    assert "0/3" in terminal.getvalue()
    assert "B" not in terminal.getvalue().replace("\x1b", "")


def failed(tag: str, code: str) -> TagResult:
    return TagResult(
        repository="app",
        tag=tag,
        digest="sha256:" + "0" * 64,
        media_type="m",
        target=None,
        outcome=Outcome.FAILED,
        code=code,
        message="no good",
    )


def test_each_code_that_occurred_is_printed_once_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    results = [failed("v1", "digest_mismatch"), failed("v2", "digest_mismatch"), failed("v3", "never_heard_of")]
    print_problems(results, [Finding("team/app", "tag_moved", "has moved")])
    assert capsys.readouterr().out.splitlines() == [
        "  ! failed app:v1: no good (digest_mismatch)",
        "  ! failed app:v2: no good (digest_mismatch)",
        "  ! failed app:v3: no good (never_heard_of)",
        "  ! found team/app: has moved (tag_moved)",
        f"    digest_mismatch: {ADVICE['digest_mismatch']}",
        f"    never_heard_of: {ADVICE['error']}",
        f"    tag_moved: {ADVICE['tag_moved']}",
    ]


@pytest.mark.parametrize("code", ["invalid_reference", "name_collision", "repository_missing"])
def test_what_is_said_of_a_tag_is_not_said_of_its_repository_again(
    code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of a layout that has no name at the target: each of its tags is refused for it."""
    refused = [replace(failed(tag, code), outcome=Outcome.REFUSED) for tag in ("v1", "v2")]
    others = [Finding("app", code, "another thing"), Finding("web", code, "no good")]
    print_problems(iter(refused), [Finding("app", code, "no good"), *others])
    assert capsys.readouterr().out.splitlines()[:4] == [
        f"  ! refused app:v1: no good ({code})",
        f"  ! refused app:v2: no good ({code})",
        f"  ! found app: another thing ({code})",
        f"  ! found web: no good ({code})",
    ]


def test_advice_is_also_given_on_problems_beyond_those_shown(capsys: pytest.CaptureFixture[str]) -> None:
    results = [failed(f"v{number}", "digest_mismatch") for number in range(SHOWN_FAILURES)]
    print_problems([*results, failed("last", "conflict")], [])
    shown = capsys.readouterr().out
    assert "last" not in shown
    assert f"    conflict: {ADVICE['conflict']}" in shown


def test_what_is_wrong_is_shown_before_remarks_however_many_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    skipped = [replace(failed(f"v{n}", "conflict_skipped"), outcome=Outcome.REFUSED) for n in range(SHOWN_FAILURES)]
    remarks = [Finding(f"stray-{number}", "not_a_layout", "a file") for number in range(SHOWN_FAILURES)]
    print_problems(
        [*skipped, failed("broken", "digest_mismatch")], [*remarks, Finding(".", "no_layouts", "no layout")]
    )
    assert capsys.readouterr().out.splitlines()[:2] == [
        "  ! failed app:broken: no good (digest_mismatch)",
        "  ! found .: no layout (no_layouts)",
    ]


def test_what_the_run_did_not_get_to_is_one_line_behind_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """An interrupted run has thousands of such tags, and each is done by the next run."""
    left = [replace(failed(f"v{number}", "interrupted"), message="not begun") for number in range(1_200)]
    away = [replace(failed(tag, "target_unavailable"), message="not tried") for tag in ("a", "b")]
    print_problems(
        [*left, failed("w1", "digest_mismatch"), *away, failed("w2", "target_unavailable")],
        [Finding("x", "tag_moved", "has moved"), Finding("y", "invalid_layout", "no JSON")],
    )
    assert capsys.readouterr().out.splitlines()[:6] == [
        "  ! failed app:w1: no good (digest_mismatch)",
        "  ! found y: no JSON (invalid_layout)",
        "  ! failed app:w2: no good (target_unavailable)",
        "  ! failed 2 tags: not tried (target_unavailable)",
        "  ! failed 1,200 tags: not begun (interrupted)",
        "  ! found x: has moved (tag_moved)",
    ]


def test_repositories_that_the_run_did_not_get_to_are_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    unopened = [Finding(path, "interrupted", "not begun") for path in ("a", "b", "c")]
    print_problems([failed("v1", "interrupted")], [*unopened, Finding("d", "interrupted", "not done")])
    assert capsys.readouterr().out.splitlines()[:3] == [
        "  ! failed app:v1: no good (interrupted)",
        "  ! found d: not done (interrupted)",
        "  ! found 3 repositories: not begun (interrupted)",
    ]


def test_how_many_more_there_are_counts_each_tag(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [failed(f"v{number}", "digest_mismatch") for number in range(SHOWN_FAILURES + 1)]
    print_problems([*wrong, *(failed(f"w{number}", "interrupted") for number in range(30))], [])
    assert "  … and 31 more, in the report" in capsys.readouterr().out.splitlines()


def test_what_has_no_tag_is_named_as_registries_name_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_problems([replace(failed("v1", "digest_mismatch"), tag=None)], [])
    assert capsys.readouterr().out.startswith("  ! failed app@sha256:0")


def test_where_nothing_is_wrong_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_problems([], [])
    assert capsys.readouterr().out == ""


def test_what_is_printed_of_very_many_problems_is_not_kept_in_memory(capsys: pytest.CaptureFixture[str]) -> None:
    """They come from a file, one at a time."""
    many = 20_000
    results = (failed(f"v{number}", "digest_mismatch" if number % 2 else "interrupted") for number in range(many))
    tracemalloc.start()
    try:
        print_problems(results, [])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert f"  … and {many - SHOWN_FAILURES:,} more, in the report" in capsys.readouterr().out
    assert peak < 200_000
