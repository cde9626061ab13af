"""An object that is too large for one request is copied in parts, as it is and with all that is noted of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.awsrequest import AWSResponse

from tasks.stores.bucket import s3_writing
from tasks.stores.bucket.s3_address import BucketAccess
from tasks.stores.bucket.s3_writing import WritableS3Bucket
from tests.support.buckets import moto_bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

LARGE = b"layer" * (2 * 1024 * 1024)
NOTED = {"mode": "33188", "uid": "1000"}
"""As s3fs notes it."""


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    monkeypatch.setattr(s3_writing, "MAX_COPY", len(LARGE) - 1)
    with moto_bucket("bucket", monkeypatch) as made:
        yield made


@pytest.fixture
def bucket(client: S3Client) -> WritableS3Bucket:
    return WritableS3Bucket(client, "bucket", BucketAccess())


def test_a_copy_in_parts_is_whole_and_keeps_what_a_mount_noted(client: S3Client, bucket: WritableS3Bucket) -> None:
    etag = bucket.put("blob", LARGE, described={"Metadata": NOTED, "ContentType": "application/x-layer"})
    assert bucket.copy("blob", "trash/blob", len(LARGE), etag)
    copied = client.get_object(Bucket="bucket", Key="trash/blob")
    assert copied["ETag"].endswith('-2"')  # in parts
    assert copied["Body"].read() == LARGE
    assert (copied["Metadata"], copied["ContentType"]) == (NOTED, "application/x-layer")


def test_what_becomes_another_object_is_not_copied_in_parts(client: S3Client, bucket: WritableS3Bucket) -> None:
    etag = bucket.put("blob", LARGE)

    def refuse(**_: object) -> tuple[AWSResponse, dict[str, object]]:
        return AWSResponse("", 412, {}, None), {"Error": {"Code": "PreconditionFailed"}}

    client.meta.events.register("before-call.s3.UploadPartCopy", refuse)
    assert not bucket.copy("blob", "trash/blob", len(LARGE), etag)
    assert "Contents" not in client.list_objects_v2(Bucket="bucket", Prefix="trash/")
    assert "Uploads" not in client.list_multipart_uploads(Bucket="bucket")
