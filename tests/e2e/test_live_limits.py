"""Limits that change while a standalone run goes on, kept in a file; and hours in which it may work."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.real_parts import Registry, wait_until
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder
from tests.support.registry_view import RepositoryView


@pytest.fixture
def source(tmp_path: Path) -> Path:
    layout = LayoutBuilder(tmp_path / "source" / "app")
    for number in range(8):
        layout.image(f"v{number}", layers=[bytes([number]) * 50_000])
    layout.write()
    return tmp_path / "source"


def test_a_run_holds_and_goes_on_as_its_file_says(
    layoutlift: Layoutlift, source: Path, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    limits = tmp_path / "limits.yaml"

    def say(text: str) -> None:
        """Replace the file as a whole: a run that met it empty would take it for one without limits."""
        limits.with_suffix(".new").write_text(text)
        limits.with_suffix(".new").replace(limits)

    say("limit_rate: 20k\n")  # 400 kB would take 20 s
    target, seen = f"{docker_registry.host}/{prefix}", RepositoryView(docker_registry, f"{prefix}/app")
    with layoutlift.running("migrate", source, target, "--limits-from", limits, "--jobs", "1") as process:
        wait_until(lambda: len(seen.tags) >= 1, what="a tag has come", deadline_seconds=60)
        say("paused: true\n")
        assert process.stderr is not None
        line = next(line for line in process.stderr if "holding" in line)
        assert line == "warning: holding: paused; what has begun is finished\n"
        say("paused: maybe\n")
        line = next(line for line in process.stderr if "limits stay" in line)
        assert "limits.yaml:1: paused: it must be true or false" in line
        assert process.poll() is None
        assert len(seen.tags) < 8
        say("limit_rate: null\n")
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert len(seen.tags) == 8


def test_a_file_that_is_not_there_is_said_once(
    layoutlift: Layoutlift, source: Path, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    limits = tmp_path / "nope.yaml"
    ended = layoutlift.migrate(source, f"{docker_registry.host}/{prefix}", "--limits-from", limits)
    said = f"warning: --limits-from {limits} is not there: the run keeps to its own limits until it is\n"
    assert ended.stderr == said


def test_outside_of_its_hours_a_run_begins_nothing(
    layoutlift: Layoutlift, source: Path, docker_registry: Registry, prefix: str
) -> None:
    opens = datetime.now(UTC) + timedelta(hours=3)
    hours = f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M} UTC"
    target = f"{docker_registry.host}/{prefix}"
    with layoutlift.running("migrate", source, target, "--hours", hours) as process:
        assert process.stderr is not None
        assert f"outside the allowed hours {hours}, until {opens:%Y-%m-%d %H:%M UTC}" in next(iter(process.stderr))
        process.terminate()  # it waits for its hours, and still ends when it is told to
        process.communicate(timeout=30)
        assert process.returncode == 130
    assert RepositoryView(docker_registry, f"{prefix}/app").tags == set()


def test_the_look_for_conflicts_keeps_to_the_hours_and_goes_on_when_they_open(
    layoutlift: Layoutlift, source: Path, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    opens = datetime.now(UTC) + timedelta(hours=3)
    hours, limits = f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M} UTC", tmp_path / "limits.yaml"
    options = ("--on-conflict", "fail", "--hours", hours, "--limits-from", limits)
    with layoutlift.running("migrate", source, f"{docker_registry.host}/{prefix}", *options) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "outside the allowed hours" in line)
        limits.write_text("hours: null\n")
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 0, stderr
    assert len(RepositoryView(docker_registry, f"{prefix}/app").tags) == 8


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (("--hours", "at night"), "--hours: hours are such as 22:00-06:00"),
        (("--limits-from", "variable:x"), "a run without Prefect's server takes a file"),
    ],
)
def test_what_can_not_be_meant_is_refused(
    layoutlift: Layoutlift, source: Path, option: tuple[str, str], named: str
) -> None:
    assert named in layoutlift.migrate(source, "127.0.0.1:1", *option, code=2).stderr
