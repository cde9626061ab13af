"""Keeps the dashboard's picture of a run moving: progress artifacts while it works, and a plot when it is done."""

from __future__ import annotations

import base64
import logging
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import httpx
from prefect import get_client
from prefect.artifacts import create_image_artifact, create_progress_artifact

from flows.course.repeating import ANSWER_SECONDS, every
from flows.dashboard.timeline_plot import FEWEST_MOMENTS, draw
from tasks.operations.reports.shown_text import human_bytes
from tasks.operations.reports.timeline import Timeline
from tasks.run_options import RunKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from tasks.runs import Run

LOOK_EVERY = 1.0
SHOW_EVERY = 5
"""Looks between updates of the artifacts; each is a request to the Prefect server."""

_ASKED_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})

logger = logging.getLogger(__name__)
_last_shown: ContextVar[_Shown | None] = ContextVar("layoutlift_last_shown", default=None)


@contextmanager
def only_noted() -> Iterator[None]:
    """What the dashboard shows is a courtesy: no run fails because a plot does, or Prefect's server is away."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - Prefect and matplotlib raise of their own, httpx's and others
        _note(error)


@contextmanager
def refusal_noted() -> Iterator[None]:
    """As `only_noted`, for one thing of several: what is raised means that the server is away, for the others too."""
    try:
        yield
    except Exception as error:
        if _means_away(error):
            raise
        _note(error)


def _means_away(error: Exception) -> bool:
    """Whether Prefect's client has tried for minutes, or would do so with the next request."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error or error.response.status_code in _ASKED_AGAIN
    return isinstance(error, httpx.TransportError)


def _note(error: Exception) -> None:
    logger.warning("the dashboard could not be told: %s", type(error).__name__)


@contextmanager
def shown_progress(run: Run) -> Iterator[None]:
    """Show how a run goes on until the end of the block; how it went is for `show_end` to show."""
    shown = _Shown(run)
    shown.begin()
    with every(LOOK_EVERY, shown.look, name="progress", patience=ANSWER_SECONDS):
        yield
    _last_shown.set(shown)


def show_end(run: Run) -> None:
    """Show how a run went that came to its end; behind its report, as the server may not answer."""
    shown = _last_shown.get()
    if shown is not None and shown.run is run:
        _last_shown.set(None)
        shown.end()


@dataclass
class _Bar:
    """A progress artifact; the server is told of it anew only where it would show something else.

    By a request of its own: Prefect's also sends an event each time, which the server keeps for a week. A run of a
    day left thirty thousand of them.
    """

    artifact: UUID
    shown: tuple[float, str]

    @classmethod
    def begun(cls, key: str, line: str) -> _Bar:
        return cls(cast("UUID", create_progress_artifact(0.0, key, line)), (0.0, line))

    def show(self, share: float, line: str) -> None:
        if (share, line) == self.shown:
            return
        get_client(sync_client=True).request(
            "PATCH",
            "/artifacts/{id}",
            json={"data": share, "description": line},
            path_params={"id": self.artifact},
        )
        self.shown = (share, line)


@dataclass
class _Shown:
    """The artifacts of one run; bytes are shown only where a run sends some."""

    run: Run
    timeline: Timeline = field(default_factory=Timeline)
    tags: _Bar | None = None
    bytes: _Bar | None = None
    looks: int = 0

    def begin(self) -> None:
        self._note()
        kind = self.run.kind
        with only_noted():
            self.tags = _Bar.begun(f"{kind}-tags", self._tags_line())
            if kind is RunKind.MIGRATE:
                self.bytes = _Bar.begun(f"{kind}-bytes", self._bytes_line())

    def look(self) -> None:
        self._note()
        self.looks += 1
        if self.looks % SHOW_EVERY == 1:
            self._update()

    def end(self) -> None:
        """Raises what means that the server is away, and whatever matplotlib does."""
        self._note(is_last=True)
        with refusal_noted():
            self._show(done=self.run.tree.complete)
        if len(self.timeline.moments) < FEWEST_MOMENTS:
            return
        kind = self.run.kind
        sends = kind is RunKind.MIGRATE
        picture = base64.b64encode(draw(self.timeline.moments, self.run.options.title, sends=sends)).decode()
        shown = "Throughput and outcomes" if sends else "Outcomes"
        create_image_artifact(f"data:image/png;base64,{picture}", f"{kind}-timeline", f"{shown} over time")

    def _note(self, *, is_last: bool = False) -> None:
        held = self.run.controls.hold.reason is not None
        self.timeline.note(self.run.progress, held=held, is_last=is_last)

    def _update(self) -> None:
        with only_noted():
            try:
                self._show()
            except httpx.HTTPStatusError as error:
                if error.response.status_code == HTTPStatus.NOT_FOUND:  # its database is another one: noted once
                    self.tags = self.bytes = None
                raise

    def _show(self, *, done: bool = False) -> None:
        if self.tags is not None:
            tags = _percent(self.run.totals.tags, max(1, self.run.progress.expected))
            self.tags.show(tags, self._tags_line())
        if self.bytes is not None:
            sent = _percent(self.run.progress.bytes_read, self.run.progress.bytes_expected)
            self.bytes.show(100.0 if done else sent, self._bytes_line())

    def _tags_line(self) -> str:
        progress, totals = self.run.progress, self.run.totals
        said = [progress.line]
        said += [f"{totals.problems:,} with a problem"] if totals.problems else []
        reason = self.run.controls.hold.reason
        if reason is not None:
            said.append(f"holding: {reason}")
        elif (left := progress.time_left) is not None:
            said.append(left)
        return ", ".join(said)

    def _bytes_line(self) -> str:
        return f"{self.run.progress.sent}, {human_bytes(int(self.timeline.rate))}/s"


def _percent(part: int, whole: int) -> float:
    """To a tenth: one of the two dashboards shows each digit that there is."""
    return round(min(100.0, 100.0 * part / whole), 1) if whole else 0.0
