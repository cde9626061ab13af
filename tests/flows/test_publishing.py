"""What the dashboard shows is a courtesy: a run does not fail because it can't be shown."""

import logging
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prefect.exceptions import PrefectException

from flows.dashboard import publishing
from flows.dashboard.shown_progress import only_noted
from tasks.operations.reports.results import Totals
from tasks.operations.running.batches import Slice

WHAT_PREFECT_RAISES = [
    httpx.ConnectError("https://me:hunter2@prefect"),
    PrefectException("gone"),
    RuntimeError("odd"),
]


def unreachable(*_: Any, **__: Any) -> None:
    raise WHAT_PREFECT_RAISES[0]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run that ended, at the side of a server that has gone away."""
    for name in ("create_markdown_artifact", "create_table_artifact"):
        monkeypatch.setattr(publishing, name, unreachable)
    monkeypatch.setattr(publishing, "announce_ended", lambda _: None)
    monkeypatch.setattr(publishing, "summary_markdown", lambda *_: "summary")
    monkeypatch.setattr(publishing, "failure_rows", lambda _: [{"tag": "v1"}] * 200)
    log = SimpleNamespace(findings=[])
    said = {"header": dict, "totals": Totals(), "closing": str, "results": list, "report_places": []}
    return SimpleNamespace(kind="migrate", log=log, **said)


@pytest.mark.parametrize("error", WHAT_PREFECT_RAISES, ids=lambda error: type(error).__name__)
def test_what_prefect_raises_is_noted_without_what_it_holds(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), only_noted():
        raise error
    assert caplog.messages == [f"the dashboard could not be told: {type(error).__name__}"]


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_the_end_of_the_process_is_not_held_up(end: type[BaseException]) -> None:
    with pytest.raises(end), only_noted():
        raise end


def test_a_summary_that_can_not_be_shown_fails_no_run(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    publishing.publish(run)
    assert "could not be told" in caplog.text


def test_a_publishing_that_lets_errors_through_would_be_seen(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "only_noted", nullcontext)
    with pytest.raises(httpx.ConnectError):
        publishing.publish(run)


@pytest.mark.parametrize(
    ("problems", "begins"), [(200, "Each tag with"), (1_201, "The first 200 of 1,201 tags with")]
)
def test_a_table_that_does_not_show_each_problem_says_so(
    run: Any, monkeypatch: pytest.MonkeyPatch, problems: int, begins: str
) -> None:
    said: list[str] = []
    monkeypatch.setattr(publishing, "create_markdown_artifact", lambda *_, **__: None)
    monkeypatch.setattr(publishing, "create_table_artifact", lambda _, *, description, **__: said.append(description))
    run.totals = Totals(problems=problems)
    publishing.publish(run)
    assert said == [f"{begins} a problem, and what to do"]


def test_the_name_of_a_task_shows_the_name_of_a_repository_as_words() -> None:
    run: Any = SimpleNamespace(kind="migrate")
    assert publishing._label(run, (Slice("a\x1b[2J\nb\udce9", 0, None),)) == r"migrate a\x1b[2J\nb\udce9"
