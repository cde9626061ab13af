"""Whoever stops a command while it plans has nothing changed, and is told so by the exit code."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import flows.course.deleting
import tasks.cleanup_plans
from flows.cli import main
from tests.support.layouts import LayoutBuilder
from tests.support.policies import newest_by_name

ALONE = "--i-am-the-only-writer"
NAMED = {"delete": ("app:v1",), "recover": ()}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with tags, and a manifest that nothing names."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    layout = LayoutBuilder(tmp_path / "source" / "app")
    for tag in ("v1", "v2"):
        layout.image(tag, layers=[tag.encode()])
    layout.image(layers=[b"lost"], listed=False)
    layout.write()
    return tmp_path / "source"


@pytest.fixture(autouse=True)
def _ctrl_c_while_it_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the last repository of all is looked at, after which nothing is asked for any more."""

    def pressed(plan: Callable[..., Any]) -> Callable[..., Any]:
        def planned(*args: Any, **kwargs: Any) -> Any:
            os.kill(os.getpid(), signal.SIGINT)
            return plan(*args, **kwargs)

        return planned

    for module, name in ((tasks.cleanup_plans, "plan_repository"), (flows.course.deleting, "plan_recovery")):
        monkeypatch.setattr(module, name, pressed(getattr(module, name)))


def layoutlift(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def files(source: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("command", list(NAMED))
def test_what_was_stopped_while_it_planned_is_not_applied(source: Path, command: str, as_json: bool) -> None:
    before = files(source)
    ended = layoutlift(command, source, *NAMED[command], "--apply", ALONE, *(["--json"] if as_json else []))
    assert ended.exit_code == 130
    assert files(source) == before
    assert "nothing was changed" in ended.stderr
    if as_json:
        assert json.loads(ended.stdout)["applied"] is None


@pytest.mark.parametrize("command", list(NAMED))
def test_a_plan_that_was_stopped_is_no_success(source: Path, command: str) -> None:
    assert layoutlift(command, source, *NAMED[command]).exit_code == 130


def test_a_script_does_not_go_on_from_a_plan_that_was_stopped(source: Path, tmp_path: Path) -> None:
    """A shell that waits for a command goes on behind it where that handled Ctrl-C and ended with 0."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(newest_by_name(1, 50))
    assert layoutlift("cleanup", "plan", source, "--policy", policy, "-o", tmp_path / "plan").exit_code == 130
