"""What a benchmark leaves in a registry is deleted, or named."""

import json
from pathlib import Path

import pytest

from tasks.benchmark_values.paths import Command
from tasks.oci.errors import ProgramFailedError
from tasks.stores.benchmark.registry_area import remove_from_registry


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    blobs = tmp_path / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for name in ("aa", "bb", "cc"):
        (blobs / name).touch()
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [{"digest": "sha256:bb"}]}))
    return tmp_path


def test_the_manifest_goes_first_then_what_it_named(layout: Path) -> None:
    asked: list[tuple[str, dict[str, str | None]]] = []

    def run(command: Command, values: dict[str, str | None]) -> None:
        asked.append((command[1], values))

    assert remove_from_registry(layout, "8MiB", "host/name", run) == []
    assert asked == [("manifest", {"tag": "8MiB"}), ("blob", {"blob": "aa"}), ("blob", {"blob": "cc"})]


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        ("manifest", "host/name:8MiB is still in the registry: 405"),
        ("blob", "2 blobs of host/name:8MiB wait for the registry's own collection: 405"),
    ],
)
def test_what_may_not_be_deleted_is_named(layout: Path, refused: str, said: str) -> None:
    def run(command: Command, _: dict[str, str | None]) -> None:
        if command[1] == refused:
            raise ProgramFailedError("405")

    assert remove_from_registry(layout, "8MiB", "host/name", run) == [said]
