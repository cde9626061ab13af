"""Requests that change a bucket: put, copy, delete. Only what cleanup is told to apply ever makes them."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from s3transfer.exceptions import S3CopyFailedError

from tasks.oci.errors import (
    ContentNotFoundError,
    MaybeWrittenError,
    SourceChangedError,
    SourceError,
    SourceReadError,
    SourceWriteError,
)
from tasks.stores.bucket.s3_answers import etag_of
from tasks.stores.bucket.s3_client import body_of
from tasks.stores.bucket.s3_codes import may_pass
from tasks.stores.bucket.s3_errors import (
    ChangedError,
    DeniedError,
    NotAdmittedError,
    NotKnownError,
    UnreachableError,
    UnwrittenError,
    one_line,
)
from tasks.stores.bucket.s3_versions import VersionedS3Bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_s3 import S3Client

    from tasks.stores.bucket.s3_address import BucketAccess

_Item = TypeVar("_Item")
_Value = TypeVar("_Value")
KEYS_A_REQUEST = 1000
"""As many as DeleteObjects takes."""
MAX_COPY = 5 * 1024**3
"""Bytes that one CopyObject takes; more is copied in parts."""
AT_ONCE = 8
_OTHERS = ("PreconditionFailed", "412", "ConditionalRequestConflict")
"""What stores call an object that is not the one that was to be deleted."""
_TIMES = frozenset({"atime", "ctime", "mtime"})
"""As s3fs, geesefs and rclone call them."""
_SERVED = ("ContentType", "CacheControl", "ContentEncoding", "ContentDisposition", "ContentLanguage")
_WRITING = "s3:PutObject and s3:DeleteObject on the bucket's objects are needed"
_SUSPENDED = (
    "the bucket keeps versions no more; of what was written when it did, a deletion leaves an old version, whose "
    "space comes back only by a lifecycle rule"
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A key that was not deleted, and why: a lock and a right that lacks have one code."""

    key: str
    code: str
    reason: str


class WritableS3Bucket(VersionedS3Bucket):
    """A bucket that may be changed."""

    def __init__(
        self,
        client: S3Client,
        name: str,
        access: BucketAccess,
        *,
        copying: S3Client | None = None,
        below: str = "",
        first_wait: float = 0.5,
    ) -> None:
        """As `S3Bucket`; copies within the store are asked for by `copying`, which has the patience for them."""
        super().__init__(client, name, access, below=below, first_wait=first_wait)
        self._copying = copying or client

    def put(
        self,
        key: str,
        raw: bytes,
        condition: Mapping[str, str] | None = None,
        described: Mapping[str, Any] | None = None,
    ) -> str:
        """Write an object if `condition` (`IfMatch` or `IfNoneMatch`) holds; its ETag without quotes.

        `described` is what `description` gave.

        Raises:
            SourceChangedError: the store compared, and the condition does not hold.
            MaybeWrittenError: so it says when it was asked again; it may have written it at first.
            SourceWriteError: it can't be written.
        """
        more = {**body_of(raw), **(condition or {}), **(described or {}), **self._more}
        put = _Counted(self._client.put_object)
        try:
            with _written(key):
                return etag_of(self._ask(put, key, Key=key, **more), key).strip('"')
        except SourceChangedError as error:
            if put.attempts > 1:
                raise MaybeWrittenError(str(error)) from error
            raise

    def description(self, key: str) -> Mapping[str, Any]:
        """How an object is served, and what its writer noted of it: mounts keep owner and rights there.

        Times are left out, which are those of the content that it has now.

        Raises:
            ContentNotFoundError: there is no such object.
            SourceError: the store can't say.
        """
        found = self._ask(self._client.head_object, key, Key=key, **self._more)
        noted = {
            name: value
            for name, value in found.get("Metadata", {}).items()
            if name not in _TIMES and value.isascii()  # the SDK sends nothing else
        }
        return {"Metadata": noted} | dict(_served(found))

    def copy(self, key: str, to: str, size: int, etag: str | None) -> bool:
        """Copy an object within the store; False when it is gone, or not the one with this ETag any more."""
        source = {"Bucket": self._name, "Key": key}
        condition = {} if etag is None else {"CopySourceIfMatch": f'"{etag}"'}
        try:
            with _written(to):
                if size <= MAX_COPY:
                    self._ask(self._copying.copy_object, key, CopySource=source, Key=to, **condition, **self._more)
                else:
                    config = TransferConfig(multipart_chunksize=MAX_COPY // 5, use_threads=False)
                    arguments = {"ExtraArgs": condition | self._more, "Config": config}
                    self._ask(self._copying.copy, key, CopySource=source, Key=to, **arguments)
        except (ContentNotFoundError, SourceChangedError, S3CopyFailedError):  # boto3 says so of parts
            return False
        return True

    def delete(self, keys: Iterable[str] | Iterable[tuple[str, str]]) -> None:
        """Delete keys, or versions of keys, a thousand at a request; what is gone already is no error.

        Raises:
            SourceWriteError: the store did not delete some; the others are gone, unless a whole request failed.
        """
        objects = (
            {"Key": each} if isinstance(each, str) else {"Key": each[0], "VersionId": each[1]} for each in keys
        )
        _raise_first(list(self._delete(objects)))

    def delete_unchanged(self, etags: Mapping[str, str]) -> frozenset[str]:
        """Delete keys that have these ETags, and tell those that have another one; where the store compares.

        Raises:
            SourceWriteError: the store did not delete some; the others are gone, unless a whole request failed.
        """
        kept = list(self._delete({"Key": key, "ETag": f'"{etag}"'} for key, etag in etags.items()))
        others = frozenset(each.key for each in kept if any(other in each.code for other in _OTHERS))
        _raise_first([each for each in kept if each.key not in others])
        return others

    def _delete(self, objects: Iterable[dict[str, str]]) -> Iterator[_Kept]:
        """Delete them as they are asked for; each that was not, though it may be there."""
        waiting = iter(objects)
        while batch := list(islice(waiting, KEYS_A_REQUEST)):
            first = batch[0]["Key"]
            with _written(first):
                deletion = {"Objects": batch, "Quiet": True}
                answer = self._ask(self._client.delete_objects, first, Delete=deletion, **self._more)
            for refused in answer.get("Errors", ()):
                if refused.get("Code") != "NoSuchKey":
                    code = str(refused.get("Code"))
                    yield _Kept(str(refused.get("Key")), code, one_line(f"{code}: {refused.get('Message', '')}"))

    def keeps_versions(self) -> bool:
        """Whether a deletion leaves the object there as an old version; stores that don't know versions don't."""
        try:
            answer = self._ask(self._client.get_bucket_versioning, self._name)
        except (ContentNotFoundError, NotKnownError):
            return False
        if answer.get("Status") == "Suspended":
            logger.warning(_SUSPENDED)
        return bool(answer.get("Status") == "Enabled")

    def abort_upload(self, key: str, upload: str) -> None:
        """Give up a multipart upload; one that is gone is no error.

        Raises:
            SourceWriteError: it can't be aborted.
        """
        try:
            with _written(key):
                self._ask(self._client.abort_multipart_upload, key, Key=key, UploadId=upload, **self._more)
        except ContentNotFoundError:
            return

    def at_once(self, act: Callable[[_Item], _Value], items: Sequence[_Item]) -> list[_Value]:
        """`act` on each item, several at once; the first error is raised after those begun have ended."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(act, items))


class _Counted:
    """A request to the store, and how often it was sent, by the SDK itself too."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask
        self.attempts = 0

    def __call__(self, **parameters: object) -> Any:
        self.attempts += 1
        try:
            return self._ask(**parameters)
        except ClientError as error:
            self.attempts += error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
            raise


@contextmanager
def _written(name: str) -> Iterator[None]:
    """Say of what failed within the block that it was a write.

    Raises:
        ContentNotFoundError, UnreachableError, NotAdmittedError: as they were.
        SourceChangedError: a condition does not hold.
        UnwrittenError: a failure that may pass.
        SourceWriteError: everything else.
    """
    try:
        yield
    except (ContentNotFoundError, UnreachableError, NotAdmittedError):
        raise
    except ChangedError as error:
        raise SourceChangedError(f"{name} is another one by now; it was left alone") from error
    except DeniedError as error:
        needed = error.needed or _WRITING
        raise SourceWriteError(
            f"{name} can't be written: {error.denied}; {needed} besides what a reader needs"
        ) from error
    except SourceReadError as error:
        raise UnwrittenError(f"{name} can't be written: {error}") from error
    except SourceError as error:
        raise SourceWriteError(f"{name} can't be written: {error}") from error


def _served(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is said of an object to whoever gets it, as `put` takes it."""
    for name in _SERVED:
        value = found.get(name, "")
        if name == "ContentEncoding":  # some stores keep how it was sent to them, too, which is said of each request
            value = ",".join(part for each in value.split(",") if (part := each.strip()) not in {"", "aws-chunked"})
        if value and value.isascii():
            yield name, value


def _raise_first(kept: Sequence[_Kept]) -> None:
    """Name the first of the keys that were not deleted, and how many more there are.

    Raises:
        SourceWriteError: there is one.
    """
    if kept:
        first = kept[0]
        more = f", and {len(kept) - 1} more" if len(kept) > 1 else ""
        kind = UnwrittenError if may_pass(first.code) else SourceWriteError
        raise kind(f"{first.key} was not deleted ({first.reason}){more}")
