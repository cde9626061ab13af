"""Text of lists that users write: a file, or standard input or another pipe, which can be read once."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError
from tasks.stores.given_files import read_file_or_pipe

if TYPE_CHECKING:
    from typing import TextIO

STANDARD_INPUT = "-"


def read_listed_text(place: str) -> str:
    """The text of a file as it is now, or of standard input or another pipe, the same each time.

    Raises:
        ConfigurationError: it can't be read, or is not UTF-8.
    """
    try:
        raw = _all_of(sys.stdin) if place == STANDARD_INPUT else read_file_or_pipe(Path(place))
        return raw.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise ConfigurationError(f"{place} is not UTF-8") from None
        reason = error.strerror if isinstance(error, OSError) else None
        raise ConfigurationError(f"{place} can't be read: {reason or error}") from error


@cache
def _all_of(stream: TextIO) -> bytes:
    return stream.buffer.read()
