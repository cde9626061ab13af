"""The files that are pushed, new in every run, and the proof that what came back is the same."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import TYPE_CHECKING

from tasks.benchmark_values.options import ContentKind
from tasks.oci.errors import ContentNotFoundError, DigestMismatchError
from tasks.stores.state.state_errors import as_state_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tasks.benchmark_values.cases import Case
    from tasks.stop import Stop

_CHUNK = 3 * 1024 * 1024


def write_content(case: Case, folder: Path, kind: ContentKind, stop: Stop) -> dict[str, str]:
    """Write the files of a case into a folder; the SHA-256 digest of each by its name.

    Raises:
        InterruptedRunError: the run was told to stop.
        StateError: they can't be written; the disk may be full.
    """
    names = [f"{case.label}.{number}.junk" for number in range(1, case.count + 1)]
    with as_state_error(folder):
        folder.mkdir(parents=True)
        return {name: _write_random(folder / name, case.size, kind, stop) for name in names}


def _write_random(path: Path, size: int, kind: ContentKind, stop: Stop) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for chunk in _random_chunks(size, kind):
            stop.check()
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())  # else the disk is still busy with it while the first push is measured
    return digest.hexdigest()


def _random_chunks(size: int, kind: ContentKind) -> Iterator[bytes]:
    left = size
    while left:
        chunk = os.urandom(_CHUNK)
        chunk = (base64.encodebytes(chunk) if kind is ContentKind.TEXT else chunk)[:left]
        left -= len(chunk)
        yield chunk


def check_arrived(folder: Path, expected: Mapping[str, str]) -> None:
    """Prove that a folder holds the expected files and that each hashes to its digest.

    Raises:
        ContentNotFoundError: one is not there, or can't be read.
        DigestMismatchError: one holds other bytes.
    """
    for name, digest in expected.items():
        try:
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise ContentNotFoundError(f"{name} did not arrive") from None
        except OSError as error:
            raise ContentNotFoundError(f"{name} arrived and can't be read: {error.strerror}") from error
        if found != digest:
            raise DigestMismatchError(f"{name} arrived with other bytes: sha256:{found} and not sha256:{digest}")
