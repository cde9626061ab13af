"""Reads files that users name, among them pipes, such as a shell's <(...), which have nothing the second time."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_file_or_pipe(path: Path, most: int = -1) -> bytes:
    """What a file holds now, or what a pipe held when it was read first; no more than `most` bytes, if given.

    Raises:
        OSError: it can't be read.
    """
    return _read(path, most) if path.is_file() else _read_once(path, path.stat().st_ino, most)


@cache
def _read_once(path: Path, inode: int, most: int) -> bytes:  # noqa: ARG001 - another pipe may come to have the path
    return _read(path, most)


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most)
