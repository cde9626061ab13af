"""What the dashboard shows of a run never decides how the run ends."""

from types import SimpleNamespace
from typing import Any

import pytest

from flows import shown_progress
from flows.shown_progress import _Shown
from flows.timeline_plot import FEWEST_MOMENTS, draw
from tasks.operations.results import Outcome
from tasks.operations.timeline import Moment, Timeline

MOMENTS = [Moment(float(n), n * 1000, {Outcome.COPIED: n}, held=False) for n in range(FEWEST_MOMENTS)]


@pytest.mark.parametrize("title", ["/prod$old_x^2^3$ → r/a", "/in\udcffvalid → r/a", "/two\nlines → r/a"])
def test_any_path_can_be_the_title_of_a_plot(title: str) -> None:
    assert draw(MOMENTS, title).startswith(b"\x89PNG")


def test_a_plot_that_can_not_be_drawn_is_only_noted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> bytes:
        raise ValueError("no such font")

    monkeypatch.setattr(shown_progress, "draw", refuse)
    monkeypatch.setattr(_Shown, "_note", lambda _: None)
    run: Any = SimpleNamespace(title="s → t", kind="migrate", tree=SimpleNamespace(complete=True))
    _Shown(run, Timeline(MOMENTS)).end()
    assert "the dashboard could not be told: ValueError" in caplog.text
