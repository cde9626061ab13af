"""Reads an object of a state part by part, so that a large one is neither in memory nor on the disk as a whole."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.oci.errors import SourceError, SourceReadError
from tasks.stores.bucket.s3_answers import etag_of
from tasks.stores.bucket.s3_errors import ChangedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ObjectPart:
    """Some bytes of an object of `size`, up to `end`."""

    body: bytes
    end: int
    size: int
    etag: str

    @property
    def is_last(self) -> bool:
        """Whether nothing follows."""
        return self.end >= self.size


def read_part(client: S3Client, bucket: str, key: str, after: ObjectPart | None) -> ObjectPart:
    """The part of an object that follows `after`, or its first; most objects have no other.

    Raises:
        ChangedError: it is another one by now.
        SourceError, or what the SDK raises: it can't be read, or not for the moment.
    """
    return _first_part(client, bucket, key) if after is None else _next_part(client, bucket, key, after)


def _first_part(client: S3Client, bucket: str, key: str) -> ObjectPart:
    answer: Any = client.get_object(Bucket=bucket, Key=key)
    with closing(answer["Body"]) as body:
        if "ContentLength" not in answer:
            read = bytes(body.read())
            return ObjectPart(read, len(read), len(read), etag_of(answer, key))
        size = int(answer["ContentLength"])
        end = min(PART_BYTES, size)
        return ObjectPart(_read(body, end, key), end, size, etag_of(answer, key))


def _next_part(client: S3Client, bucket: str, key: str, after: ObjectPart) -> ObjectPart:
    """Compared by its ETag, as some stores take no `If-Match` for met when a range is asked for."""
    end = min(after.end + PART_BYTES, after.size)
    answer: Any = client.get_object(Bucket=bucket, Key=key, Range=f"bytes={after.end}-{end - 1}")
    with closing(answer["Body"]) as body:
        if etag_of(answer, key) != after.etag:
            raise ChangedError(f"{key} changed while it was read")
        if not str(answer.get("ContentRange", "")).startswith(f"bytes {after.end}-"):
            raise SourceError(f"{key} can't be read from byte {after.end} on: the store does not know ranges")
        return ObjectPart(_read(body, end - after.end, key), end, after.size, after.etag)


def _read(body: Any, count: int, key: str) -> bytes:
    read = bytes(body.read(count))
    if len(read) < count:
        raise SourceReadError(f"{key} ended early")
    return read
