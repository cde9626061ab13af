"""Of a bucket that keeps versions, what a file held before is read, the newest first; who may not is told so."""

from collections.abc import Iterator

import pytest
from mypy_boto3_s3 import S3Client

from tasks.oci.errors import SourceUnavailableError
from tasks.oci.image_layout import MAX_INDEX_SIZE
from tasks.stores.bucket import old_contents
from tasks.stores.bucket.old_contents import OldContents
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress
from tasks.stores.bucket.s3_errors import DeniedError
from tasks.stores.bucket.s3_versions import VersionedS3Bucket
from tests.support.buckets import moto_bucket


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    with moto_bucket("bucket", monkeypatch) as client:
        yield client


def old(client: S3Client, since: float = 0.0) -> list[bytes]:
    bucket = VersionedS3Bucket(client, "bucket", BucketAccess())
    return list(OldContents(bucket, BucketAddress.parse("s3://bucket/below")).of("app", "index.json", since))


def write(client: S3Client, *contents: bytes) -> None:
    for content in contents:
        client.put_object(Bucket="bucket", Key="below/app/index.json", Body=content)


def keep_versions(client: S3Client) -> None:
    client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})


def test_what_was_there_before_comes_the_newest_first(client: S3Client) -> None:
    keep_versions(client)
    write(client, b"one", b"two")
    client.delete_object(Bucket="bucket", Key="below/app/index.json")
    write(client, b"three")
    client.put_object(Bucket="bucket", Key="below/app/index.json.old", Body=b"another")
    client.put_object(Bucket="bucket", Key="below/app/index.json.old", Body=b"another")
    assert old(client) == [b"two", b"one"]


def test_what_was_written_before_what_is_lost_is_not_read(client: S3Client) -> None:
    keep_versions(client)
    write(client, b"one", b"two")
    now = client.head_object(Bucket="bucket", Key="below/app/index.json")["LastModified"].timestamp()
    assert old(client, now) == [b"one"], "clocks may differ a little"
    assert old(client, now + 3600) == []


def test_no_more_is_read_than_some_megabytes(client: S3Client, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_versions(client)
    write(client, b"one", b"two", b"three", b"four")
    monkeypatch.setattr(old_contents, "MOST_BYTES", 6)
    assert old(client) == [b"three", b"two"]


def test_a_bucket_without_versions_has_nothing_of_before(client: S3Client) -> None:
    write(client, b"one", b"two")
    assert old(client) == []


def test_what_can_t_be_an_index_ends_the_look_and_is_told(client: S3Client, caplog: pytest.LogCaptureFixture) -> None:
    keep_versions(client)
    write(client, b"one", b" " * (MAX_INDEX_SIZE + 1), b"two", b"three")
    assert old(client) == [b"two"]
    assert "earlier versions of below/app/index.json are not looked at" in caplog.text


def test_who_may_not_list_versions_is_told_so_and_a_bucket_that_is_away_is_an_error(
    client: S3Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (DeniedError("bucket", "AccessDenied"), SourceUnavailableError("away")):

        def refuse(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(VersionedS3Bucket, "list_versions", refuse)
        if isinstance(error, DeniedError):
            assert old(client) == []
            assert "denied (AccessDenied); s3:ListBucketVersions" in caplog.text
        else:
            with pytest.raises(SourceUnavailableError):
                old(client)
