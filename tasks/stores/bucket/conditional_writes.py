"""Finds out whether a bucket's conditional writes and deletions can be relied on, with a key of our own.

A store that does not know a condition mostly ignores it and writes: so it is asked to write where it must refuse.
One that compares first and writes later lets two of several writers through: so several are sent at once.
A store that fails meanwhile has said nothing: that is told as it is, and not taken for an answer.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.errors import SourceChangedError, SourceError, SourceWriteError
from tasks.stores.bucket.s3_errors import UnwrittenError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.stores.bucket.s3_writing import WritableS3Bucket

WRITERS = 6
ROUNDS = 3
NEW = {"IfNoneMatch": "*"}


def honours_conditions(bucket: WritableS3Bucket, folder: str) -> bool:
    """Whether the store refuses what it must, also when several ask at once; leaves nothing behind.

    Raises:
        SourceWriteError: nothing can be written there at all, or not for the moment.
    """
    with _probe(bucket, folder) as (key, other):
        if not (_is_refused(bucket, key, NEW) and _is_refused(bucket, key, _match(other))):
            return False
        return all(_one_wins(bucket, key) for _ in range(ROUNDS))


def honours_deletions(bucket: WritableS3Bucket, folder: str) -> bool:
    """Whether the store deletes only what has the ETag that it was told; leaves nothing behind.

    Raises:
        SourceWriteError: nothing can be written there at all, or not for the moment.
    """
    with _probe(bucket, folder) as (key, other):
        try:
            return key in bucket.delete_unchanged({key: other})
        except UnwrittenError:
            raise
        except SourceWriteError:
            return False  # it does not know the condition


@contextmanager
def _probe(bucket: WritableS3Bucket, folder: str) -> Iterator[tuple[str, str]]:
    """The key of an object to try conditions on, and an ETag that it does not have."""
    key = f"{folder}probe-{secrets.token_hex(8)}"
    etag = bucket.put(key, b"0")
    try:
        yield key, "0" * len(etag)
    finally:
        bucket.delete([key])


def _match(etag: str) -> dict[str, str]:
    return {"IfMatch": f'"{etag}"'}


def _is_refused(bucket: WritableS3Bucket, key: str, condition: dict[str, str]) -> bool:
    try:
        bucket.put(key, b"must not be written", condition)
    except SourceChangedError:
        return True
    except UnwrittenError:
        raise
    except SourceWriteError:
        return False  # it does not know the condition
    return False


def _one_wins(bucket: WritableS3Bucket, key: str) -> bool:
    """Whether exactly one of several writers that saw the same content gets through.

    One whose answer was lost sees itself refused when it asks again: where nobody won, they try once more.
    """
    return (_winners(bucket, key) or _winners(bucket, key)) == 1


def _winners(bucket: WritableS3Bucket, key: str) -> int:
    """How many get through.

    Raises:
        SourceError: none does, and not because the store compared.
    """
    etag = bucket.put(key, secrets.token_bytes(8))
    attempts = [secrets.token_bytes(8) for _ in range(WRITERS)]
    failures = bucket.at_once(partial(_attempt, bucket, key, etag), attempts)
    won = failures.count(None)
    for failure in failures:
        if not won and failure is not None and not isinstance(failure, SourceChangedError):
            raise failure
    return won


def _attempt(bucket: WritableS3Bucket, key: str, etag: str, raw: bytes) -> SourceError | None:
    try:
        bucket.put(key, raw, _match(etag))
    except SourceError as error:
        return error
    return None
