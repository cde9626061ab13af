"""How what the engine refuses of a field becomes a mistake that pydantic names with its place."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tasks.oci.errors import LayoutliftError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def told_to_pydantic() -> Iterator[None]:
    """Make an error that pydantic takes of what the engine refuses in the block, which is not chained to it.

    Raises:
        ValueError: the engine refuses something.
    """
    try:
        yield
    except LayoutliftError as error:
        raise ValueError(str(error)) from None
