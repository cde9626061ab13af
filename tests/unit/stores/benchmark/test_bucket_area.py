"""A benchmark leaves nothing of its own behind, and touches nothing of anybody else's."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from tasks.oci.errors import SourceUnavailableError
from tasks.stores.benchmark.bucket_area import MARKER, BucketArea, FolderArea
from tasks.stores.lock_holder import LockHolder
from tasks.stores.s3_address import BucketAddress
from tests.support.buckets import moto_bucket
from tests.unit.stores.benchmark.test_remains import a_dead_pid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

DEAD, OURS = "20260101T000000-aaaaaa", "20260102T000000-bbbbbb"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    with moto_bucket("bucket", monkeypatch) as made:
        yield made


def test_parts_that_a_dead_run_had_uploaded_are_let_go_and_others_are_not(client: S3Client) -> None:
    dead = json.dumps(asdict(replace(LockHolder.here(DEAD, "", ""), pid=a_dead_pid()))).encode()
    client.put_object(Bucket="bucket", Key=f"bench/{MARKER}", Body=dead)
    for key in (f"bench/run-{DEAD}/blob", "bench/somebody's", "elsewhere"):
        client.create_multipart_upload(Bucket="bucket", Key=key)
    area = BucketArea(client, BucketAddress.parse("s3://bucket/bench"), OURS)
    area.claim()
    client.create_multipart_upload(Bucket="bucket", Key=f"{area.prefix}/blob")
    area.release()
    left = client.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
    assert {upload["Key"] for upload in left} == {"bench/somebody's", "elsewhere"}
    assert "Contents" not in client.list_objects_v2(Bucket="bucket")


def test_a_mount_that_goes_away_is_named_in_one_line(tmp_path: Path) -> None:
    area = FolderArea(tmp_path, OURS)
    area.claim()
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(SourceUnavailableError, match="layoutlift-benchmark can't be used: No such file"):
        area.empty()
    with pytest.raises(SourceUnavailableError, match="layoutlift-benchmark can't be used: No such file"):
        area.release()
