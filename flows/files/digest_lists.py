"""Files in which digests are, such as a list of deployed images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError
from tasks.stores.given_files import read_within

if TYPE_CHECKING:
    from pathlib import Path

MAX_LIST_SIZE = 256 * 1024 * 1024
"""Bytes; what a large cluster says of all that runs there has some tens of millions."""
_DIGEST = re.compile(rb"sha(?:256:[a-f0-9]{64}|512:[a-f0-9]{128})(?![a-f0-9])")


def read_digests(path: Path) -> set[Digest]:
    """Every digest in a text or JSON file, such as a list of deployed images.

    Raises:
        ConfigurationError: it can't be read, or holds none: a list that is empty by mistake would protect nothing.
    """
    raw = read_within(path, MAX_LIST_SIZE, f"is larger than {MAX_LIST_SIZE:,} bytes: list the digests alone")
    found = {Digest(match.decode("ascii")) for match in _DIGEST.findall(raw)}
    if not found:
        raise ConfigurationError(f"{path} holds no digest, so it would protect nothing")
    return found
