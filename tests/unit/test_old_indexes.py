"""What a bucket keeps of earlier indexes is found by the path of the layout; what one layout learns holds for all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.old_indexes import old_indexes
from tasks.stores.bucket.s3_address import BucketAccess
from tasks.stores.bucket.s3_errors import DeniedError
from tasks.stores.bucket.s3_versions import VersionedS3Bucket
from tasks.stores.pacing import Stop
from tests.support.buckets import moto_bucket


def test_a_directory_keeps_none(tmp_path: Path) -> None:
    assert list(old_indexes(str(tmp_path), BucketAccess(), Stop())("app", 0.0)) == []


def test_a_bucket_that_keeps_versions_has_those_of_each_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    with moto_bucket("bucket", monkeypatch) as client:
        client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        for key in ("app", "other"):
            for time in ("before", "now"):
                client.put_object(Bucket="bucket", Key=f"below/{key}/index.json", Body=f"{key} {time}".encode())
        old = old_indexes("s3://bucket/below", BucketAccess(), Stop())
        assert [list(old(path, 0.0)) for path in ("app", "other")] == [[b"app before"], [b"other before"]]


def test_layouts_that_ask_at_once_are_told_once_that_they_may_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise DeniedError("bucket", "AccessDenied")

    monkeypatch.setattr(VersionedS3Bucket, "list_versions", refuse)
    with moto_bucket("bucket", monkeypatch), ThreadPoolExecutor(4) as pool:
        old = old_indexes("s3://bucket", BucketAccess(), Stop())
        assert list(pool.map(lambda path: list(old(path, 0.0)), "abcd")) == [[]] * 4
    [message] = caplog.messages
    assert "index.json, and perhaps of others, are not looked at" in message
