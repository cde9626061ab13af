"""What is asked of a bucket that is to be changed, and what its answers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.awsrequest import AWSResponse

from tasks.oci.errors import MaybeWrittenError, SourceChangedError
from tasks.stores.bucket import s3_writing
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress
from tasks.stores.bucket.s3_client import make_client
from tasks.stores.bucket.s3_writing import WritableS3Bucket
from tasks.stores.bucket.writable_bucket import BucketWriter
from tests.support.buckets import moto_bucket
from tests.support.scripted_registry import Reply, ScriptedRegistry
from tests.support.scripted_s3 import refusal, use_worthless_credentials

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


@pytest.mark.parametrize(
    "before",
    [(), (Reply(drop=True),), (refusal("InternalError", 500),), (refusal("InternalError", 500),) * 4],
    ids=["refused at once", "no answer", "asked again by the SDK", "asked again by us"],
)
def test_a_condition_that_fails_when_it_is_asked_again_may_have_been_met_at_first(
    script: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch, before: tuple[Reply, ...]
) -> None:
    use_worthless_credentials(monkeypatch)
    monkeypatch.setattr("botocore.retries.standard.time.sleep", lambda _: None)
    settings = BucketAccess(endpoint_url=script.url)
    bucket = WritableS3Bucket(make_client(settings), "bucket", settings, first_wait=0.001)
    script.always("GET", "/bucket/index.json", Reply(200, {"ETag": '"theirs"'}, b"theirs"))
    script.always("HEAD", "/bucket/index.json", Reply(200))
    for reply in (*before, refusal("PreconditionFailed", 412)):
        script.expect("PUT", "/bucket/index.json", reply)
    monkeypatch.setattr(BucketWriter, "is_conditional", True)
    with pytest.raises(SourceChangedError) as raised:
        BucketWriter(bucket, BucketAddress("bucket", "")).write_file("index.json", b"ours", "old")
    assert isinstance(raised.value, MaybeWrittenError) is bool(before)
