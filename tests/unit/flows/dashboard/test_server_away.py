"""A Prefect server that does not answer any more keeps no report from being written."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from flows.course import live_limits
from flows.course.driving import drive, work_here
from flows.course.live_limits import file_reader
from flows.course.watching import NoWatcher
from flows.dashboard import publishing, shown_progress
from flows.dashboard.publishing import publish, shown_work
from infra.real_parts import wait_until
from tasks.oci.errors import IncompleteError
from tasks.operations.running.source_survey import Survey
from tasks.run_options import RunKind, RunOptions
from tasks.runs import Run
from tests.support.checks import check_of_one_tag

SOON_SECONDS = 5.0


class AwayServer:
    """Holds whoever asks it something, as Prefect's client does for minutes, until the test is over."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._over = threading.Event()

    def request(self, *_: str, **__: Any) -> None:
        self.asked.set()
        self._over.wait(60)

    def end(self) -> None:
        self._over.set()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwayServer]:
    server = AwayServer()
    for module in (shown_progress, live_limits):
        monkeypatch.setattr(module, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(shown_progress, "create_progress_artifact", lambda _share, key, _line: key)
    monkeypatch.setattr(shown_progress, "get_client", lambda **_: server)
    for name in ("announce_begun", "announce_ended"):
        monkeypatch.setattr(publishing, name, lambda *_: None)
    monkeypatch.setattr(publishing, "create_markdown_artifact", server.request)
    yield server
    server.end()


@pytest.fixture
def options(tmp_path: Path) -> RunOptions:
    return check_of_one_tag(tmp_path)


def at_work(server: AwayServer, end: Callable[[], None], run: Run, survey: Survey) -> None:
    """Work that the dashboard shows, and that ends behind the first request without an answer."""
    with shown_work(run, "1 batch"):
        work_here(run, survey)
        assert server.asked.wait(SOON_SECONDS)
        end()


def unseen(server: AwayServer, run: Run, survey: Survey) -> None:
    """Work within limits that were looked at since."""
    work_here(run, survey)
    assert server.asked.wait(SOON_SECONDS)


def is_done() -> None:
    pass


def is_killed() -> None:
    raise SystemExit(143)


@contextmanager
def limits_of(server: AwayServer, _: object) -> Iterator[Callable[[], None]]:
    """Those of a server that answers once, as the run begins."""
    answers = iter([None])

    def read() -> None:
        if next(answers, server) is server:
            server.request()

    yield read


@pytest.mark.parametrize("what", ["progress", "progress of a run that is killed", "limits"])
def test_the_report_is_there_soon_after_the_work(
    server: AwayServer, options: RunOptions, tmp_path: Path, what: str
) -> None:
    work = {
        "progress": partial(at_work, server, is_done),
        "progress of a run that is killed": partial(at_work, server, is_killed),
        "limits": partial(unseen, server),
    }[what]
    limits = partial(limits_of, server) if what == "limits" else file_reader

    def go() -> None:
        with suppress(SystemExit):
            drive(RunKind.CHECK, options, NoWatcher(), work, publish, limits=limits)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    assert server.asked.wait(SOON_SECONDS)
    wait_until((tmp_path / "report.json").exists, what="the report is there", deadline_seconds=SOON_SECONDS)
    server.end()
    thread.join(SOON_SECONDS)
    assert not thread.is_alive()


def answer(status: int) -> httpx.HTTPStatusError:
    """As Prefect's client raises it."""
    return httpx.HTTPStatusError("", request=httpx.Request("POST", "http://h"), response=httpx.Response(status))


SHOWN = ("create_markdown_artifact", "create_table_artifact", "PATCH", "create_image_artifact")


def asked_at_the_end(
    monkeypatch: pytest.MonkeyPatch, options: RunOptions, folder: Path, refused: str, error: Exception
) -> list[tuple[str, Any]]:
    """What is asked of a server that raises this for one thing, at the end of a run with a problem to show."""
    asked: list[tuple[str, Any]] = []

    def ask(name: str, what: Any, *_: Any, **__: Any) -> None:
        asked.append((name, what))
        if name == refused:
            raise error

    for name in ("announce_begun", "announce_ended"):
        monkeypatch.setattr(publishing, name, lambda _: None)
    for name in SHOWN[:2]:
        monkeypatch.setattr(publishing, name, partial(ask, name))
    monkeypatch.setattr(shown_progress, "create_progress_artifact", lambda _share, key, _line: key)
    monkeypatch.setattr(shown_progress, "create_image_artifact", partial(ask, SHOWN[3]))
    client = SimpleNamespace(request=lambda method, *what, **_: ask(method, what))
    monkeypatch.setattr(shown_progress, "get_client", lambda **_: client)
    monkeypatch.setattr(shown_progress, "FEWEST_MOMENTS", 1)
    monkeypatch.setattr(shown_progress, "LOOK_EVERY", SOON_SECONDS)
    next((folder / "source" / "app" / "blobs" / "sha256").iterdir()).unlink()

    def work(run: Run, survey: Survey) -> None:
        with shown_work(run, "1 batch"):
            work_here(run, survey)

    with pytest.raises(IncompleteError):
        drive(RunKind.CHECK, options, NoWatcher(), work, publish)
    return asked


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("refused"), httpx.ReadTimeout(""), answer(503), answer(429)],
    ids=["refused", "silent", "503", "429"],
)
def test_a_server_that_is_away_when_a_run_has_ended_is_tried_once(
    monkeypatch: pytest.MonkeyPatch, options: RunOptions, tmp_path: Path, error: Exception
) -> None:
    """Each time takes Prefect's client minutes, with the lock of the pair held."""
    asked = asked_at_the_end(monkeypatch, options, tmp_path, SHOWN[0], error)
    assert [name for name, _ in asked] == [SHOWN[0]]
    assert "1 of 1 tags" in asked[0][1], "the summary is what counts most"


def test_a_server_that_goes_away_meanwhile_is_tried_no_more(
    monkeypatch: pytest.MonkeyPatch, options: RunOptions, tmp_path: Path
) -> None:
    asked = asked_at_the_end(monkeypatch, options, tmp_path, SHOWN[2], httpx.ConnectError("refused"))
    assert [name for name, _ in asked] == list(SHOWN[:3])


@pytest.mark.parametrize("refused", SHOWN)
@pytest.mark.parametrize("error", [answer(404), answer(413), ValueError("too deep")], ids=["404", "413", "other"])
def test_a_server_that_refuses_one_thing_is_told_the_others(
    monkeypatch: pytest.MonkeyPatch, options: RunOptions, tmp_path: Path, refused: str, error: Exception
) -> None:
    """As a proxy does with a table that is too large for it: bars would stay below 100 % for good."""
    asked = asked_at_the_end(monkeypatch, options, tmp_path, refused, error)
    assert [name for name, _ in asked] == list(SHOWN)
