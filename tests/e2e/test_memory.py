"""Memory does not grow with the size of a blob."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.layouts import OCI_LAYER, LayoutBuilder, image_of, random_bytes
from tests.support.registry_view import RepositoryView

MEBIBYTE = 1024 * 1024
MOST = 250 * MEBIBYTE
STRIDE = 64 * MEBIBYTE


def large_blob(layout: LayoutBuilder, size: int) -> dict[str, Any]:
    """A file with some random bytes here and there, and holes between them; its descriptor."""
    path = layout.path / "blob"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        for place in range(0, size, STRIDE):
            file.seek(place)
            file.write(random_bytes(place, MEBIBYTE))
        file.truncate(size)
    with path.open("rb") as file:
        encoded = hashlib.file_digest(file, "sha256").hexdigest()
    blobs = layout.path / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    path.rename(blobs / encoded)
    return {"mediaType": OCI_LAYER, "digest": f"sha256:{encoded}", "size": size}


@pytest.mark.parametrize("size", [300 * MEBIBYTE, pytest.param(2048 * MEBIBYTE, marks=pytest.mark.soak)])
def test_a_large_blob_migrates_within_250_mb(
    size: int, layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layer = large_blob(layout, size)
    image_of(layout, "v1", [layer])
    layout.write()
    measured, peak = layoutlift.measured()
    ended = measured.migrate(tmp_path, f"{docker_registry.host}/{prefix}", "--depth", "content")
    assert ended.outcomes == {"app:v1": "copied"}
    assert ended.totals["bytes_pushed"] >= size
    assert RepositoryView(docker_registry, f"{prefix}/app").has_blob(layer["digest"])
    assert int(peak.read_text()) * 1024 < MOST
