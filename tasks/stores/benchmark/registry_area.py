"""Takes what a benchmark put into a registry of the user's out again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tasks.oci.errors import LayoutliftError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.benchmark_values.paths import Command

DELETE_MANIFEST: Command = ("oras", "manifest", "delete", "--force", "{plain_http}", "{registry}:{tag}")
DELETE_BLOB: Command = ("oras", "blob", "delete", "--force", "{plain_http}", "{registry}@sha256:{blob}")


def remove_from_registry(
    layout: Path, tag: str, repository: str, run: Callable[[Command, dict[str, str | None]], None]
) -> list[str]:
    """Delete the artifact that was copied from a layout, by `run`; what the registry did not let us delete.

    Raises:
        OSError: the layout can't be read.
    """
    try:
        run(DELETE_MANIFEST, {"tag": tag})
    except LayoutliftError as error:
        return [f"{repository}:{tag} is still in the registry: {error}"]
    refusals = [refusal for name in _blobs(layout) if (refusal := _refusal(run, name))]
    if not refusals:
        return []
    return [f"{len(refusals)} blobs of {repository}:{tag} wait for the registry's own collection: {refusals[0]}"]


def _refusal(run: Callable[[Command, dict[str, str | None]], None], blob: str) -> str:
    try:
        run(DELETE_BLOB, {"blob": blob})
    except LayoutliftError as error:
        return str(error)
    return ""


def _blobs(layout: Path) -> list[str]:
    """The blobs of a layout that are no manifests of its index."""
    index = json.loads((layout / "index.json").read_bytes())
    manifests = {entry["digest"].partition(":")[2] for entry in index["manifests"]}
    return sorted(path.name for path in (layout / "blobs" / "sha256").iterdir() if path.name not in manifests)
