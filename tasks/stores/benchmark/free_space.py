"""The room on the disk that a benchmark works on."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tasks.oci.errors import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

FULL = 1024**2
"""With less room than this, what a program could not do says nothing of the program."""


def is_full(folder: Path) -> bool:
    """Whether the disk has no room worth the name."""
    return shutil.disk_usage(folder).free < FULL


def refuse_without_space(folder: Path, needed: int) -> None:
    """Refuse to begin where the disk would run full.

    Raises:
        RefusedError: the disk has too little room.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RefusedError(
            f"the benchmark needs {needed // 1024**2} MiB in {folder}, where {free // 1024**2} MiB are free: "
            "choose smaller --sizes, or another folder with --state"
        )
