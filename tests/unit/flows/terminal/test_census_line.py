"""A run says how much was chosen, and not what lies in the same repositories besides."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import main
from tests.support.layouts import LayoutBuilder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, tags in (("app", ("v1", "v2", "w1")), ("web", ("w1",))):
        layout = LayoutBuilder(tmp_path / "source" / name)
        for tag in tags:
            layout.image(tag, layers=[f"{name} {tag}".encode()])
        layout.write()
    return tmp_path / "source"


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("**", "2 repositories, 4 tags"),
        (":v*", "1 repository, 2 tags"),
        ("app", "1 repository, 3 tags"),
        ("app:v7", "0 repositories, 0 tags"),
    ],
)
def test_what_was_chosen_is_counted(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, chosen: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    ended = CliRunner().invoke(main, ["check", str(source), "--include", pattern])
    assert f"  chosen: {chosen}, " in ended.stdout
