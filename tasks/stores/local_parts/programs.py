"""Where the programs that are run beside layoutlift are found, and how to get one that is not."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import MappingProxyType

from tasks.oci.errors import ProgramMissingError

TOOLS_VARIABLE = "LAYOUTLIFT_TOOLS"
_WITH_EXTRA = "install layoutlift[benchmark], or put it on PATH"
HOW_TO_GET = MappingProxyType(
    {
        "fusermount3": "install the package fuse3",
        "oras": "see https://oras.land/docs/installation",
        "rclone": _WITH_EXTRA,
        "weed": _WITH_EXTRA,
    }
)


def find_program(name: str) -> Path | None:
    """A program's path: first in the folder that LAYOUTLIFT_TOOLS names, then beside this Python, then on PATH."""
    for folder in (os.environ.get(TOOLS_VARIABLE), Path(sys.executable).parent, os.environ.get("PATH", os.defpath)):
        found = shutil.which(name, path=str(folder)) if folder else None
        if found is not None:
            return Path(found).absolute()
    return None


def program(name: str) -> Path:
    """As `find_program`.

    Raises:
        ProgramMissingError: it is nowhere; the message says how to get it.
    """
    found = find_program(name)
    if found is None:
        how = HOW_TO_GET.get(name, f"put it on PATH or in the folder that {TOOLS_VARIABLE} names")
        raise ProgramMissingError(f"{name} is not installed: {how}")
    return found
