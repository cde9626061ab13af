"""Prints the report of a run as it is in its file: one of a million tags takes no memory here."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def print_report(report: Path) -> None:
    """Copy a report to standard output, behind what was printed before."""
    sys.stdout.flush()
    with report.open("rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.flush()
