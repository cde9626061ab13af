"""Which layouts count as removed, and what it costs to tell."""

import pytest

from tasks.operations.cleanup.planning.gone_layouts import is_gone
from tests.support.memory_files import MemoryFiles

BLOB = "app/blobs/sha256/a"


@pytest.mark.parametrize("name", ["index.json", "oci-layout"])
def test_the_blobs_of_a_layout_that_is_there_are_not_listed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A mount looks each of them up, and the readers would go on with that after all was told."""
    files = MemoryFiles(lambda: 1.0)
    for path in (f"app/{name}", BLOB):
        files.put(path, b"{}")
    monkeypatch.setattr(files, "list_files", lambda folder: pytest.fail(f"{folder} is listed"))
    assert not is_gone(files, "app", lambda look, names: [look(name) for name in names])  # as a pool begins all


@pytest.mark.parametrize("left", [[], [BLOB]])
def test_a_layout_is_gone_when_nothing_of_it_is_left(left: list[str]) -> None:
    files = MemoryFiles(lambda: 1.0)
    for path in ("app/ingest/begun", "app-1/index.json", *left):
        files.put(path, b"{}")
    assert is_gone(files, "app", map) is not bool(left)
