"""The kernel's page cache: emptied before a cold pull where this process may."""

from __future__ import annotations

import os
from pathlib import Path

_DROP = Path("/proc/sys/vm/drop_caches")
_ALL = "3"


def may_drop() -> bool:
    """Whether this process may empty the caches."""
    return os.geteuid() == 0 and os.access(_DROP, os.W_OK)


def drop() -> None:
    """Empty the caches of the whole machine; what is not written out yet is written first.

    Raises:
        OSError: it is not allowed.
    """
    os.sync()
    _DROP.write_text(_ALL, encoding="ascii")
