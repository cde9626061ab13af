"""What a bucket that keeps versions has of its objects besides what they are now; reads only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tasks.oci.errors import LayoutliftError, SizeMismatchError, SourceError
from tasks.stores.bucket.s3_answers import VERSION_MARKERS, pages_of, with_all
from tasks.stores.bucket.s3_bucket import S3Bucket

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, or the marker that says it was deleted.

    `modified` is in seconds since 1970, None where the store does not say.
    """

    key: str
    version: str
    is_marker: bool
    is_latest: bool
    modified: float | None


class VersionedS3Bucket(S3Bucket):
    """A bucket of which earlier versions of objects can be read."""

    def list_versions(self, prefix: str) -> Iterator[ObjectVersion]:
        """All versions and deletion markers of the keys that begin with `prefix`.

        Raises:
            SourceError: they can't be listed.
        """
        asked_for = f"the list of versions in {self._name}"
        ask = partial(self._ask, self._client.list_object_versions, asked_for, Prefix=prefix, **self._more)
        for page in pages_of(ask, self._name, VERSION_MARKERS):
            for kind, is_marker in (("Versions", False), ("DeleteMarkers", True)):
                for found in page.get(kind, ()):
                    yield _version(with_all(found, self._name, "Key", "VersionId", "IsLatest"), is_marker=is_marker)

    def read_version(self, version: ObjectVersion, limit: int) -> bytes:
        """All of a version of an object.

        Raises:
            ContentNotFoundError: it is gone.
            SizeMismatchError: it has more than `limit` bytes; none of them is read then.
            SourceError: it can't be read.
        """

        def read(**wanted: Any) -> bytes:
            answer: Any = self._client.get_object(**wanted)
            size = answer.get("ContentLength")
            if size is None or size > limit:
                answer["Body"].close()
                raise _unread(name, size, limit)
            return bytes(answer["Body"].read())

        name = self.name_of(version.key)
        raw: bytes = self._ask(read, name, Key=version.key, VersionId=version.version, **self._more)
        return raw


def _unread(name: str, size: int | None, limit: int) -> LayoutliftError:
    if size is None:
        return SourceError(f"the store does not say how large {name} was")
    return SizeMismatchError(f"{name} was larger than the {limit} bytes that it may have")


def _version(found: Any, *, is_marker: bool) -> ObjectVersion:
    modified = found["LastModified"].timestamp() if "LastModified" in found else None
    return ObjectVersion(found["Key"], found["VersionId"], is_marker, found["IsLatest"], modified)
