"""How people are told what ended something: names from a source or target reach no terminal or log raw."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError, LayoutliftError, ProgramFailedError
from tasks.operations.reports.shown_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_OF_SEVERAL_LINES = (ConfigurationError, ProgramFailedError)
"""Mistakes in a file, a line each, and the end of a program's log. Elsewhere a new line is part of a name."""


def told(error: LayoutliftError) -> str:
    """The message of an error as people may be shown it."""
    lines = str(error).split("\n") if isinstance(error, _OF_SEVERAL_LINES) else [str(error)]
    return "\n".join(map(printable, lines))


@contextmanager
def told_plainly() -> Iterator[None]:
    """Have an error that ends a flow or task of Prefect's say what `told` makes of it.

    Prefect logs it, and its client can't send what is not UTF-8: the run would be left without its end.
    """
    try:
        yield
    except LayoutliftError as error:
        error.args = (told(error),)
        raise
