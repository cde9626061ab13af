"""The one prefix of a bucket that a benchmark writes to and deletes from.

A marker says whose it is. Whatever else is there is somebody's data: then nothing is written at all. Each run has a
prefix of its own below, so that what an earlier run left when it died can be told apart, and removed.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from tasks.oci.errors import LayoutliftError, RefusedError, SourceError, is_transient
from tasks.stores.benchmark.area_marker import MARKER, is_run_name, refuse_living, run_name
from tasks.stores.bucket.s3_answers import OBJECT_MARKERS, UPLOAD_MARKERS, objects_of, pages_of, with_all
from tasks.stores.bucket.s3_errors import DeniedError, translated
from tasks.stores.local_parts.waiting import wait_until
from tasks.stores.state.lock_holder import LockHolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

    from tasks.benchmark_values.cases import Case
    from tasks.stop import Stop
    from tasks.stores.bucket.s3_address import BucketAddress

_DELETED_AT_ONCE = 1000
RIGHTS = (
    "besides those for reading, a benchmark needs s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and "
    "s3:ListBucketMultipartUploads"
)
PATIENCE_SECONDS = 45.0
"""How long a store that asks to slow down is asked to delete: what is not deleted costs money."""


class BucketArea:
    """The area of one run in a bucket."""

    def __init__(self, client: S3Client, address: BucketAddress, run_id: str, first_wait: float = 0.5) -> None:
        self._client = client
        self.bucket = address.bucket
        self._area = address.prefix
        self.prefix = f"{address.prefix}{run_name(run_id)}"
        self._marker = f"{address.prefix}{MARKER}"
        self._holder = LockHolder.here(run_id, str(address), "")
        self._claimed = False
        self._retrying = Retrying(
            retry=retry_if_exception(is_transient),
            stop=stop_after_delay(PATIENCE_SECONDS),
            wait=wait_random_exponential(multiplier=first_wait, max=5.0),
            reraise=True,
        )

    def claim(self) -> None:
        """Make the area ours, and remove what dead runs left in it.

        Raises:
            RefusedError: something else is there.
            LockHeldError: another run is at work there.
            LayoutliftError: the bucket can't be read or written, or nothing can be deleted in it.
        """
        with self._translated():
            marker = self._marker_there()
            found = self._keys_of_ours(marked=marker is not None)
            if marker is not None:
                body = self._client.get_object(Bucket=self.bucket, Key=self._marker)["Body"].read()
                refuse_living(body, marker["LastModified"], f"s3://{self.bucket}/{self._area}")
            self._client.put_object(Bucket=self.bucket, Key=self._marker, Body=self._holder.content())
            self._claimed = True
            self._delete(
                [*found, f"{self.prefix}/"]
            )  # and if there is nothing: whether we may, before gigabytes come
            self._abort_uploads(f"{self.prefix}/" if marker is None else self._area)

    def prepare(self, name: str) -> str:
        """Make an empty directory below the run's prefix, for those that only see directories that are objects."""
        prefix = f"{self.prefix}/{name}"
        with self._translated():
            self._client.put_object(
                Bucket=self.bucket, Key=f"{prefix}/", Body=b"", ContentType="application/x-directory"
            )
        return prefix

    def upload(self, folder: Path, prefix: str, stop: Stop) -> None:
        """Put all files of a folder below a prefix.

        Raises:
            InterruptedRunError: the run was told to stop.
            SourceError: the store does not take one.
        """
        for path in (each for each in sorted(folder.rglob("*")) if each.is_file()):
            self._upload_file(path, f"{prefix}/{path.relative_to(folder).as_posix()}", stop)

    def _upload_file(self, path: Path, key: str, stop: Stop) -> None:
        try:
            with self._translated(), path.open("rb") as file:
                self._client.upload_fileobj(file, self.bucket, key, Callback=lambda _: stop.check())
        finally:
            stop.check()  # the SDK makes an error of its own of one that it is called back with

    def sizes(self, prefix: str) -> dict[str, int]:
        """The size of each object below a prefix, by what comes behind the prefix."""
        with self._translated():
            found = self._objects(f"{prefix}/")
            return {each["Key"].removeprefix(f"{prefix}/"): each["Size"] for each in found}

    def wait_until_complete(self, prefix: str, case: Case, path: str, stop: Stop) -> int:
        """Wait until all of a case is below a prefix; how often that was listed for it.

        Rclone, for one, uploads seconds after a file was closed. A mount must be there meanwhile: what it has not
        uploaded when it ends is lost with its cache.

        Raises:
            ProgramFailedError: it does not come.
            InterruptedRunError: the run was told to stop.
        """
        asked = 0

        def complete() -> bool:
            nonlocal asked
            stop.check()
            sizes = self.sizes(prefix)
            asked += 1
            whole = [size for name, size in sizes.items() if name.startswith("blobs/") and size == case.size]
            return "index.json" in sizes and len(whole) >= case.count

        wait_until(
            complete,
            what=f"the bucket has all that was pushed by {path}",
            deadline_seconds=case.patience_seconds,
        )
        return asked

    def clear(self, prefix: str) -> None:
        """Delete everything below a prefix of this run's, and parts of uploads that were never completed."""
        if not f"{prefix}/".startswith(f"{self.prefix}/"):
            raise RefusedError(f"{prefix!r} is not below {self.prefix!r}, and is not deleted")
        self._retrying(self._clear, prefix)

    def release(self) -> None:
        """Remove all that this run put there, the marker last; harmless when the area was never claimed.

        Raises:
            SourceError: something can't be removed; the message says what stays.
        """
        if not self._claimed:
            return
        try:
            self.clear(self.prefix)
            self._retrying(self._delete_marker)
        except LayoutliftError as error:
            what = f"s3://{self.bucket}/{self.prefix}"
            raise SourceError(
                f"{what} was not deleted, and stays until a benchmark runs there again: {error}"
            ) from error
        self._claimed = False

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """As `translated`; where the store says no for good, with the rights that are needed."""
        try:
            with translated(f"s3://{self.bucket}"):
                yield
        except SourceError as error:
            if type(error) not in {SourceError, DeniedError}:
                raise
            raise SourceError(f"{error}; {RIGHTS}") from error

    def _clear(self, prefix: str) -> None:
        with self._translated():
            self._delete([each["Key"] for each in self._objects(f"{prefix}/")])
            self._abort_uploads(f"{prefix}/")

    def _delete_marker(self) -> None:
        with self._translated():
            self._delete([self._marker])

    def _marker_there(self) -> Mapping[str, Any] | None:
        found = self._client.list_objects_v2(Bucket=self.bucket, Prefix=self._marker, MaxKeys=1)
        return next(
            (each for each in self._listed(found, "Key", "LastModified") if each["Key"] == self._marker), None
        )

    def _abort_uploads(self, prefix: str) -> None:
        """Let go of the parts that runs had uploaded when they died: they cost money, and no listing shows them."""
        ask = partial(self._client.list_multipart_uploads, Bucket=self.bucket, Prefix=prefix)
        pages = pages_of(ask, f"s3://{self.bucket}", UPLOAD_MARKERS)
        for upload in (upload for page in pages for upload in page.get("Uploads", [])):
            if is_run_name(upload["Key"].removeprefix(self._area).partition("/")[0]):
                self._client.abort_multipart_upload(
                    Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )

    def _objects(self, prefix: str) -> Iterator[Mapping[str, Any]]:
        ask = partial(self._client.list_objects_v2, Bucket=self.bucket, Prefix=prefix)
        pages = pages_of(ask, f"s3://{self.bucket}", OBJECT_MARKERS)
        return (found for page in pages for found in self._listed(page, "Key", "Size"))

    def _listed(self, page: Mapping[str, Any], *names: str) -> Iterator[Mapping[str, Any]]:
        """The objects of a page; what is no listing, or half of one, is not taken for a prefix that holds nothing."""
        where = f"s3://{self.bucket}"
        return (with_all(found, where, *names) for found in objects_of(page, where))

    def _keys_of_ours(self, *, marked: bool) -> list[str]:
        """What dead runs left; the first key of anybody else's ends the search, which may have millions before it."""
        keys = []
        for key in (each["Key"] for each in self._objects(self._area)):
            name = key.removeprefix(self._area)
            if name in {"", MARKER}:
                continue
            if not (marked and is_run_name(name.partition("/")[0])):
                raise RefusedError(
                    f"s3://{self.bucket}/{self._area} holds {name!r}, which is not the benchmark's: "
                    "name a prefix that holds nothing else"
                )
            keys.append(key)
        return keys

    def _delete(self, keys: list[str]) -> None:
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            part: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in keys[start : start + _DELETED_AT_ONCE]]
            answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": part, "Quiet": True})
            for refused in answer.get("Errors", []):
                raise SourceError(f"{refused.get('Key')} can't be deleted: {refused.get('Message')}")
