"""The one prefix of a bucket, or the one folder of a mount, that a benchmark writes to and deletes from.

A marker says whose it is. Whatever else is there is somebody's data: then nothing is written at all. Each run has a
prefix of its own below, so that what an earlier run left when it died can be told apart, and removed.
"""

from __future__ import annotations

import json
import re
import shutil
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tasks.oci.errors import LockHeldError, RefusedError, SourceUnavailableError
from tasks.stores.lock_holder import LockHolder
from tasks.stores.s3_errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef, ObjectTypeDef

    from tasks.stores.s3_address import BucketAddress

MARKER = ".layoutlift-benchmark"
OTHERS_HOLD = timedelta(hours=24)
"""How long the marker of a run on another machine keeps others out: whether that still runs can't be told."""
_RUN = re.compile(r"run-[0-9]{8}T[0-9]{6}-[0-9a-f]{6}")
_DELETED_AT_ONCE = 1000


def run_name(run_id: str) -> str:
    """The name of a run's own prefix or folder."""
    return f"run-{run_id}"


class BucketArea:
    """The area of one run in a bucket."""

    def __init__(self, client: S3Client, address: BucketAddress, run_id: str) -> None:
        self._client = client
        self.bucket = address.bucket
        self._area = address.prefix
        self.prefix = f"{address.prefix}{run_name(run_id)}"
        self._marker = f"{address.prefix}{MARKER}"
        self._holder = LockHolder.here(run_id, str(address), "")
        self._claimed = False

    def claim(self) -> None:
        """Make the area ours, and remove what dead runs left in it.

        Raises:
            RefusedError: something else is there.
            LockHeldError: another run is at work there.
            LayoutliftError: the bucket can't be read or written.
        """
        with translated(f"s3://{self.bucket}"):
            found = list(self._objects(self._area))
            marker = next((each for each in found if each["Key"] == self._marker), None)
            self._refuse_foreign(found, marked=marker is not None)
            if marker is not None:
                body = self._client.get_object(Bucket=self.bucket, Key=self._marker)["Body"].read()
                refuse_living(body, marker["LastModified"], f"s3://{self.bucket}/{self._area}")
            self._client.put_object(Bucket=self.bucket, Key=self._marker, Body=marker_content(self._holder))
            self._claimed = True
            self._delete([each["Key"] for each in found if each["Key"] not in {self._marker, self._area}])
            if marker is not None:
                self._abort_uploads(self._area)

    def prepare(self, name: str) -> str:
        """Make an empty directory below the run's prefix, for those that only see directories that are objects."""
        prefix = f"{self.prefix}/{name}"
        with translated(f"s3://{self.bucket}"):
            self._client.put_object(
                Bucket=self.bucket, Key=f"{prefix}/", Body=b"", ContentType="application/x-directory"
            )
        return prefix

    def upload(self, folder: Path, prefix: str) -> None:
        """Put all files of a folder below a prefix."""
        with translated(f"s3://{self.bucket}"):
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    self._client.upload_file(
                        str(path), self.bucket, f"{prefix}/{path.relative_to(folder).as_posix()}"
                    )

    def sizes(self, prefix: str) -> dict[str, int]:
        """The size of each object below a prefix, by what comes behind the prefix."""
        with translated(f"s3://{self.bucket}"):
            found = self._objects(f"{prefix}/")
            return {each["Key"].removeprefix(f"{prefix}/"): each["Size"] for each in found}

    def clear(self, prefix: str) -> None:
        """Delete everything below a prefix of this run's, and parts of uploads that were never completed."""
        if not f"{prefix}/".startswith(f"{self.prefix}/"):
            raise RefusedError(f"{prefix!r} is not below {self.prefix!r}, and is not deleted")
        with translated(f"s3://{self.bucket}"):
            self._delete([each["Key"] for each in self._objects(f"{prefix}/")])
            self._abort_uploads(f"{prefix}/")

    def release(self) -> None:
        """Remove all that this run put there, the marker last; harmless when the area was never claimed."""
        if not self._claimed:
            return
        self.clear(self.prefix)
        with translated(f"s3://{self.bucket}"):
            self._delete([self._marker])
        self._claimed = False

    def _abort_uploads(self, prefix: str) -> None:
        """Let go of the parts that runs had uploaded when they died: they cost money, and no listing shows them."""
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
        for upload in (upload for page in pages for upload in page.get("Uploads", [])):
            if _RUN.fullmatch(upload["Key"].removeprefix(self._area).partition("/")[0]):
                self._client.abort_multipart_upload(
                    Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )

    def _objects(self, prefix: str) -> Iterator[ObjectTypeDef]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return (found for page in pages for found in page.get("Contents", []))

    def _refuse_foreign(self, found: list[ObjectTypeDef], *, marked: bool) -> None:
        for each in found:
            name = each["Key"].removeprefix(self._area)
            if name in {"", MARKER} or (marked and _RUN.fullmatch(name.partition("/")[0])):
                continue
            raise RefusedError(
                f"s3://{self.bucket}/{self._area} holds {name!r}, which is not the benchmark's: "
                "name a prefix that holds nothing else"
            )

    def _delete(self, keys: list[str]) -> None:
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            part: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in keys[start : start + _DELETED_AT_ONCE]]
            answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": part, "Quiet": True})
            for refused in answer.get("Errors", []):
                raise RefusedError(f"{refused.get('Key')} can't be deleted: {refused.get('Message')}")


class FolderArea:
    """The area of one run below a mount of the user's own."""

    def __init__(self, mount: Path, run_id: str) -> None:
        self._area = mount / "layoutlift-benchmark"
        self.folder = self._area / run_name(run_id)
        self._marker = self._area / MARKER
        self._holder = LockHolder.here(run_id, str(mount), "")
        self._claimed = False

    def claim(self) -> None:
        """As `BucketArea.claim`, of a folder.

        Raises:
            RefusedError: something else is there.
            LockHeldError: another run is at work there.
            SourceUnavailableError: the mount can't be read or written.
        """
        with self._translated():
            self._claim()

    def release(self) -> None:
        """Remove all that this run put there; harmless when the area was never claimed.

        Raises:
            SourceUnavailableError: something can't be removed; the marker then stays for the next run to find.
        """
        if not self._claimed:
            return
        with self._translated():
            shutil.rmtree(self.folder)
            self._marker.unlink(missing_ok=True)
            self._area.rmdir()
        self._claimed = False

    def empty(self) -> None:
        """Delete the repositories that were pushed, and keep the area.

        Raises:
            SourceUnavailableError: one can't be deleted.
        """
        with self._translated():
            for path in self.folder.iterdir():
                shutil.rmtree(path)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SourceUnavailableError(f"{self._area} can't be used: {error.strerror}") from error

    def _claim(self) -> None:
        if not self._area.parent.is_dir():
            raise SourceUnavailableError(f"{self._area.parent} is no folder: mount the bucket first")
        self._area.mkdir(exist_ok=True)
        names = {path.name for path in self._area.iterdir()}
        foreign = sorted(n for n in names - {MARKER} if MARKER not in names or not _RUN.fullmatch(n))
        if foreign:
            raise RefusedError(f"{self._area} holds {foreign[0]!r}, which is not the benchmark's")
        if MARKER in names:
            written = datetime.fromtimestamp(self._marker.stat().st_mtime, UTC)
            refuse_living(self._marker.read_bytes(), written, str(self._area))
        self._marker.write_bytes(marker_content(self._holder))
        self._claimed = True
        for name in names - {MARKER}:
            shutil.rmtree(self._area / name)
        self.folder.mkdir()


def marker_content(holder: LockHolder) -> bytes:
    """What the marker of a run holds."""
    return json.dumps(asdict(holder)).encode()


def refuse_living(content: bytes, written: datetime, where: str) -> None:
    """Refuse an area whose marker belongs to a run that may still be at work.

    Raises:
        LockHeldError: it does.
    """
    holder = LockHolder.parse(content)
    if holder is None or holder.is_dead:
        return
    here = LockHolder.here("", "", "")
    is_elsewhere = (holder.host, holder.machine) != (here.host, here.machine)
    if is_elsewhere and datetime.now(UTC) - written > OTHERS_HOLD:
        return
    raise LockHeldError(
        f"{where} is in use by the benchmark {holder.run} on {holder.host} (pid {holder.pid}) since {holder.started}"
    )
