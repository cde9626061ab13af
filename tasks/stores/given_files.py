"""Reads files that users name, among them pipes, such as a shell's <(...), which have nothing the second time."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from typing import TextIO

STANDARD_INPUT = "-"


def read_listed_text(place: str) -> str:
    """The text of a list: of a file as it is now, or of standard input or another pipe, the same each time.

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


def read_within(path: Path, most: int, too_large: str) -> bytes:
    """What `read_file_or_pipe` gives of a file with at most so many bytes.

    Raises:
        ConfigurationError: it can't be read, or is larger, which `too_large` says.
    """
    try:
        raw = read_file_or_pipe(path, most + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from error
    if len(raw) > most:
        raise ConfigurationError(f"{path} {too_large}")
    return raw


def read_file_or_pipe(path: Path, most: int = -1) -> bytes:
    """What a file holds now, or what a pipe held when it was read first; no more than `most` bytes, if given.

    Raises:
        OSError: it can't be read.
    """
    return _read(path, most) if path.is_file() else _read_once(path, path.stat().st_ino, most)


@cache
def _all_of(stream: TextIO) -> bytes:
    return stream.buffer.read()


@cache
def _read_once(path: Path, inode: int, most: int) -> bytes:  # noqa: ARG001 - another pipe may come to have the path
    return _read(path, most)


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most)
