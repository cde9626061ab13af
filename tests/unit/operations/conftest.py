"""A layout to build, and the hands of one worker, for tests of operations."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.operations.work.spare_hands import SpareHands
from tests.support.layouts import LayoutBuilder


@pytest.fixture
def hands() -> Iterator[SpareHands]:
    made = SpareHands(1)
    yield made
    made.close()


@pytest.fixture
def layout(tmp_path: Path) -> LayoutBuilder:
    return LayoutBuilder(tmp_path / "app")
