"""How a bucket is asked whether files are still what they were; tests/contract has what every store keeps to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tasks.oci.errors import SourceError, SourceReadError
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress
from tasks.stores.bucket.s3_writing import WritableS3Bucket
from tasks.stores.bucket.writable_bucket import BucketWriter
from tests.support.buckets import moto_bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from tasks.file_ports import StoredFile
    from tasks.stores.bucket.s3_answers import ListedObject

FOLDER = "app/blobs/sha256"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    with moto_bucket("bucket", monkeypatch) as made:
        yield made


@pytest.fixture
def writer(client: S3Client) -> BucketWriter:
    return BucketWriter(WritableS3Bucket(client, "bucket", BucketAccess()), BucketAddress("bucket", "tree/"))


def stored(client: S3Client, writer: BucketWriter, count: int) -> list[StoredFile]:
    for number in range(count):
        client.put_object(Bucket="bucket", Key=f"tree/{FOLDER}/{number:04}", Body=b"")
    return sorted(writer.list_files(FOLDER), key=lambda file: file.path)


def test_a_folder_of_which_much_is_hidden_is_listed_once_by_all_batches_together(
    client: S3Client, writer: BucketWriter
) -> None:
    """Each lists the part of it that it is about."""
    files = stored(client, writer, 120)
    asked: list[Any] = []

    def shorten(params: dict[str, Any], **_: object) -> None:
        asked.append(params.update(MaxKeys=40))

    client.meta.events.register("provide-client-params.s3.ListObjectsV2", shorten)
    for start in range(0, 120, 40):
        assert writer._unchanged(files[start : start + 40]) == tuple(files[start : start + 40])
    assert len(asked) <= 2 * 3


Listing = "Callable[..., Iterator[ListedObject]]"


def backwards(listed: Listing) -> Listing:
    return lambda prefix, after="": iter(sorted(listed(prefix), key=lambda found: found.key, reverse=True))


def from_its_start(listed: Listing) -> Listing:
    return lambda prefix, after="": listed(prefix)


def refusing(listed: Listing) -> Listing:
    def refuse(prefix: str, after: str = "") -> Iterator[ListedObject]:
        if after:
            raise SourceError("StartAfter is not known")
        return listed(prefix)

    return refuse


@pytest.mark.parametrize("kind", [backwards, from_its_start, refusing])
def test_a_store_that_lists_in_no_order_or_not_from_a_key_on_is_believed_all_the_same(
    client: S3Client, writer: BucketWriter, monkeypatch: pytest.MonkeyPatch, kind: Callable[[Listing], Listing]
) -> None:
    files = stored(client, writer, 60)
    client.put_object(Bucket="bucket", Key=f"tree/{files[35].path}", Body=b"another")
    monkeypatch.setattr(writer._bucket, "list_objects", kind(writer._bucket.list_objects))
    assert writer._unchanged(files[10:50]) == tuple(files[10:35] + files[36:50])


def test_a_store_that_fails_for_the_moment_is_not_asked_for_each_file(
    client: S3Client, writer: BucketWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = stored(client, writer, 30)

    def fail(*_: object, **__: object) -> Iterator[ListedObject]:
        raise SourceReadError("not now")

    monkeypatch.setattr(writer._bucket, "list_objects", fail)
    monkeypatch.setattr(writer, "stat_file", lambda _: pytest.fail("it was asked for each"))
    with pytest.raises(SourceReadError):
        writer._unchanged(files)
