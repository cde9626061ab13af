"""The kernel's page cache: emptied before a cold pull where this process may."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.stores.state.state_errors import as_state_error

_DROP = Path("/proc/sys/vm/drop_caches")
_ALL = "3"


def may_drop() -> bool:
    """Whether this process may empty the caches."""
    return os.geteuid() == 0 and os.access(_DROP, os.W_OK)


def drop() -> None:
    """Empty the caches of the whole machine; what is not written out yet is written first.

    Raises:
        StateError: it is not allowed.
    """
    os.sync()
    with as_state_error(_DROP):
        _DROP.write_text(_ALL, encoding="ascii")
