"""What goes wrong in the process that reads a mount is told to whoever asked, and to nobody else."""

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from tasks.oci.errors import SourceError
from tasks.stores.watched_layouts import WatchedLayouts
from tasks.stores.watched_process import Patience, WatchedProcess
from tests.support.layouts import LayoutBuilder


@pytest.fixture
def source(tmp_path: Path) -> Generator[WatchedLayouts]:
    LayoutBuilder(tmp_path / "app").write()
    process = WatchedProcess(str(tmp_path), Patience())
    yield WatchedLayouts(process)
    process.close()


def test_a_bug_costs_the_request_that_met_it_and_is_named(source: WatchedLayouts) -> None:
    with pytest.raises(SourceError, match="unexpected ValueError: embedded null byte") as raised:
        source.read_index("a\0b")
    assert raised.value.code == SourceError.code
    assert source.read_index("app").raw


def test_an_empty_root_is_told_from_one_with_something_in_it(source: WatchedLayouts, tmp_path: Path) -> None:
    assert not source.is_empty()
    shutil.rmtree(tmp_path / "app")
    assert source.is_empty()
