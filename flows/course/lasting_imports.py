"""Imports what stays for the whole process without looking for garbage in it."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def lasting_imports() -> Iterator[None]:
    """Leave out Python's search for garbage while something is imported, and what was imported out of later ones.

    Modules make a hundred thousand objects, with Prefect half a million, which all stay: to look among them time and
    again took a tenth of what `layoutlift ls` takes, and a sixth of a small run's through Prefect.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
