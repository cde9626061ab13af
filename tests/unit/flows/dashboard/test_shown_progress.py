"""What the dashboard shows of a run never decides how the run ends."""

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from flows.dashboard import publishing, shown_progress
from flows.dashboard.shown_progress import _Shown
from flows.dashboard.timeline_plot import FEWEST_MOMENTS, draw
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.results import Outcome
from tasks.operations.reports.timeline import Moment, Timeline
from tasks.operations.running.hold import Hold
from tasks.run_options import RunKind

MOMENTS = [Moment(float(n), n * 1000, {Outcome.COPIED: n}, held=False) for n in range(FEWEST_MOMENTS)]


@pytest.mark.parametrize("title", ["/prod$old_x^2^3$ → r/a", "/in\udcffvalid → r/a", "/two\nlines → r/a"])
def test_any_path_can_be_the_title_of_a_plot(title: str) -> None:
    assert draw(MOMENTS, title, sends=True).startswith(b"\x89PNG")


@pytest.mark.parametrize(("kind", "panels"), [("migrate", 2), ("verify", 1)])
def test_a_plot_has_a_panel_of_what_was_sent_only_where_something_is(
    monkeypatch: pytest.MonkeyPatch, kind: str, panels: int
) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes long to import

    drawn: list[int] = []
    savefig = Figure.savefig

    def noting(figure: Figure, *places: Any, **more: Any) -> None:
        drawn.append(len(figure.axes))
        savefig(figure, *places, **more)

    monkeypatch.setattr(Figure, "savefig", noting)
    monkeypatch.setattr(shown_progress, "create_image_artifact", lambda *_: None)
    monkeypatch.setattr(_Shown, "_note", lambda *_, **__: None)
    options, tree = SimpleNamespace(title="s → t"), SimpleNamespace(complete=True)
    run: Any = SimpleNamespace(kind=RunKind(kind), options=options, tree=tree)
    _Shown(run, Timeline([replace(moment, held=True) for moment in MOMENTS])).end()
    assert drawn == [panels]


def test_a_plot_that_can_not_be_drawn_is_only_noted_and_the_summary_is_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise ValueError("no such font")

    shown: list[str] = []
    monkeypatch.setattr(shown_progress, "draw", refuse)
    monkeypatch.setattr(_Shown, "_note", lambda *_, **__: None)
    for name, answer in (("announce_ended", None), ("summary_markdown", "summary"), ("failure_rows", ())):
        monkeypatch.setattr(publishing, name, lambda *_, answer=answer: answer)
    monkeypatch.setattr(publishing, "create_markdown_artifact", lambda text, **_: shown.append(text))
    said = {"header": dict, "totals": None, "closing": str, "results": list, "report_places": []}
    run: Any = SimpleNamespace(
        kind="migrate",
        options=SimpleNamespace(title="s → t"),
        tree=SimpleNamespace(complete=True),
        log=SimpleNamespace(findings=[]),
        **said,
    )
    shown_progress._last_shown.set(_Shown(run, Timeline(MOMENTS)))
    publishing.publish(run)
    assert shown == ["summary"]
    assert "the dashboard could not be told: ValueError" in caplog.text


class Server:
    """Takes down what a Prefect server is asked for."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def request(self, *_: str, json: dict[str, Any], path_params: dict[str, Any]) -> None:
        self.told.append(json | path_params)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(shown_progress, "create_progress_artifact", lambda _share, key, _line: key)
    monkeypatch.setattr(shown_progress, "get_client", lambda **_: server)
    return server


def test_the_server_is_told_of_progress_only_where_there_is_some_and_keeps_no_event_of_it(server: Server) -> None:
    """Prefect's own function emits an event for each, and is not there to be called."""
    assert not hasattr(shown_progress, "update_progress_artifact")
    bar = shown_progress._Bar.begun("tags", "0 of 3 tags")
    for share, line in ((0.0, "0 of 3 tags"), (33.3, "1 of 3 tags"), (33.3, "1 of 3 tags"), (33.3, "holding")):
        bar.show(share, line)
    assert server.told == [
        {"data": 33.3, "description": "1 of 3 tags", "id": "tags"},
        {"data": 33.3, "description": "holding", "id": "tags"},
    ]


def test_the_time_left_leaves_out_when_the_run_was_held(monkeypatch: pytest.MonkeyPatch) -> None:
    now, hold = time.monotonic(), Hold()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = Progress(expected=3, is_counted=True, held=hold.time)
    progress.totals.outcomes[Outcome.COPIED] = 1
    run: Any = SimpleNamespace(progress=progress, totals=progress.totals, controls=SimpleNamespace(hold=hold))
    now += 10
    hold.change("paused")
    now += 3600
    assert _Shown(run)._tags_line() == "1 of 3 tags, holding: paused"
    hold.change(None)
    assert _Shown(run)._tags_line() == "1 of 3 tags, about 20 s left"


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (503, 3)], ids=["not known", "for a moment"])
def test_a_server_that_does_not_know_the_run_any_more_is_told_no_more(
    status: int, asked: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its database is another one: else a line came every five seconds, to the end of the run."""
    refusal = httpx.HTTPStatusError("", request=httpx.Request("PATCH", "http://h"), response=httpx.Response(status))

    def refuse(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(shown_progress._Bar, "show", refuse)
    monkeypatch.setattr(_Shown, "_tags_line", lambda _: "")
    run: Any = SimpleNamespace(totals=SimpleNamespace(tags=0), progress=SimpleNamespace(expected=0))
    shown = _Shown(run, tags=shown_progress._Bar(uuid4(), (0.0, "")))
    for _ in range(3):
        shown._update()
    assert caplog.text.count("could not be told: HTTPStatusError") == asked


@pytest.mark.parametrize(("part", "whole", "shown"), [(1, 3, 33.3), (2, 1, 100.0), (0, 0, 0.0), (3, 3, 100.0)])
def test_a_share_is_told_to_a_tenth_of_a_percent(part: int, whole: int, shown: float) -> None:
    assert shown_progress._percent(part, whole) == shown
