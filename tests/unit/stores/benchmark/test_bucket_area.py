"""A benchmark leaves nothing of its own behind, and touches nothing of anybody else's."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest
from botocore.awsrequest import AWSResponse

from tasks.oci.errors import InterruptedRunError, LockHeldError, RefusedError, SourceError
from tasks.stop import Stop
from tasks.stores.benchmark.area_marker import MARKER
from tasks.stores.benchmark.bucket_area import BucketArea
from tasks.stores.bucket.s3_address import BucketAddress
from tasks.stores.bucket.s3_client import ATTEMPTS
from tasks.stores.bucket.s3_errors import ThrottledError
from tasks.stores.state.lock_holder import LockHolder
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


def refusing(client: S3Client, operation: str, code: str, status: int, times: int = 10**9) -> list[int]:
    """Have the store refuse an operation so often; what it left of these times is the list's only entry."""
    left = [times]

    def refuse(**_: object) -> object:
        if left[0] == 0:
            return None
        left[0] -= 1
        body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
        return AWSResponse("https://bucket", status, {}, RawBody(body))

    client.meta.events.register_first(f"before-send.s3.{operation}", refuse)
    return left


class RawBody:
    """What is left of an answer."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._body


def area_of(client: S3Client) -> BucketArea:
    return BucketArea(client, BucketAddress.parse("s3://bucket/bench"), OURS, first_wait=0.001)


def keys_in(client: S3Client) -> list[str]:
    return [found["Key"] for found in client.list_objects_v2(Bucket="bucket").get("Contents", [])]


@pytest.mark.parametrize("operation", ["DeleteObjects", "ListMultipartUploads", "PutObject"])
def test_rights_that_are_missing_are_named_before_anything_large_is_written(client: S3Client, operation: str) -> None:
    refusing(client, operation, "AccessDenied", 403)
    with pytest.raises(SourceError, match="s3:DeleteObject"):
        area_of(client).claim()
    assert keys_in(client) in ([], [f"bench/{MARKER}"])


def test_a_store_that_fails_for_a_moment_is_asked_again_to_delete(client: S3Client) -> None:
    area = area_of(client)
    area.claim()
    area.prepare("s3fs")
    left = refusing(client, "DeleteObjects", "InternalError", 500, times=ATTEMPTS)
    area.release()
    assert left == [0]
    assert keys_in(client) == []


def test_what_can_not_be_deleted_is_named_and_is_what_the_next_run_removes(client: S3Client) -> None:
    area = area_of(client)
    area.claim()
    area.prepare("s3fs")
    refusing(client, "DeleteObjects", "AccessDenied", 403, times=1)
    with pytest.raises(SourceError, match=f"s3://bucket/bench/run-{OURS} was not deleted, and stays until"):
        area.release()
    area.release()
    assert keys_in(client) == []


def test_an_upload_that_fails_is_an_error_of_ours(client: S3Client, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"x")
    area = area_of(client)
    area.claim()
    refusing(client, "PutObject", "SlowDown", 503)
    with pytest.raises(ThrottledError, match="slow down"):
        area.upload(tmp_path, f"{area.prefix}/uploaded", Stop())


def test_an_upload_ends_when_the_run_is_told_to_stop_and_leaves_nothing_behind(
    client: S3Client, tmp_path: Path
) -> None:
    size = 3 * 8 * 1024**2  # in three parts, as the SDK has it
    (tmp_path / "blob").write_bytes(b"x" * size)
    area, stop, sent = area_of(client), Stop(), []

    def part(**_: object) -> None:
        sent.append(1)
        stop.set()

    client.meta.events.register("before-send.s3.UploadPart", part)
    area.claim()
    with pytest.raises(InterruptedRunError):
        area.upload(tmp_path, f"{area.prefix}/uploaded", stop)
    area.release()
    assert sent
    assert keys_in(client) == []
    assert not client.list_multipart_uploads(Bucket="bucket").get("Uploads")


def test_an_area_of_a_run_that_is_at_work_is_left_alone(client: S3Client) -> None:
    area_of(client).claim()
    other = BucketArea(client, BucketAddress.parse("s3://bucket/bench"), DEAD)
    client.put_object(Bucket="bucket", Key=f"bench/run-{OURS}/blob", Body=b"x")
    before = keys_in(client)
    with pytest.raises(LockHeldError, match=f"is in use by the benchmark {OURS}"):
        other.claim()
    other.release()
    assert keys_in(client) == before


def test_without_a_marker_parts_of_uploads_are_somebody_elses(client: S3Client) -> None:
    client.create_multipart_upload(Bucket="bucket", Key=f"bench/run-{DEAD}/blob")
    area = area_of(client)
    area.claim()
    area.release()
    assert len(client.list_multipart_uploads(Bucket="bucket")["Uploads"]) == 1


@pytest.mark.parametrize("is_marked", [False, True])
def test_what_is_not_the_benchmarks_is_not_taken_for_what_a_dead_run_left(
    client: S3Client, *, is_marked: bool
) -> None:
    """What is named as a run's only is one's where the marker is."""
    if is_marked:
        dead = json.dumps(asdict(replace(LockHolder.here(DEAD, "", ""), pid=a_dead_pid()))).encode()
        client.put_object(Bucket="bucket", Key=f"bench/{MARKER}", Body=dead)
    client.put_object(Bucket="bucket", Key=f"bench/{'data' if is_marked else f'run-{DEAD}'}/blob", Body=b"x")
    before = keys_in(client)
    with pytest.raises(RefusedError, match="is not the benchmark's"):
        area_of(client).claim()
    assert keys_in(client) == before


@pytest.mark.parametrize("name", ["", "/", f"/run-{DEAD}", f"/run-{OURS}0", f"/run-{OURS[:-1]}"])
def test_what_is_not_below_the_prefix_of_a_run_is_not_deleted(client: S3Client, name: str) -> None:
    area = area_of(client)
    area.claim()
    client.put_object(Bucket="bucket", Key=f"bench/run-{DEAD}/blob", Body=b"x")
    client.put_object(Bucket="bucket", Key=f"bench/run-{OURS}0/blob", Body=b"x")
    before = keys_in(client)
    with pytest.raises(RefusedError, match="is not deleted"):
        area.clear(f"bench{name}")
    assert keys_in(client) == before


def test_a_prefix_of_somebody_elses_is_not_listed_to_its_end(client: S3Client) -> None:
    for number in range(5):
        client.put_object(Bucket="bucket", Key=f"bench/{number}", Body=b"")
    client.meta.events.register(
        "before-parameter-build.s3.ListObjectsV2", lambda params, **_: params.update(MaxKeys=1)
    )
    asked = []
    client.meta.events.register("before-send.s3.ListObjectsV2", lambda **_: asked.append(1))
    with pytest.raises(RefusedError, match="holds '0'"):
        area_of(client).claim()
    assert len(asked) == 2, "once for the marker, and one page"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("<html>Log in</html>", "is no listing"),
        ("<ListBucketResult><Contents><Key>bench/x</Key></Contents></ListBucketResult>", "without LastModified"),
        ("<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>", "an object without Key"),
    ],
)
def test_what_is_no_listing_is_not_taken_for_a_prefix_that_holds_nothing(
    client: S3Client, answer: str, said: str
) -> None:
    body = f'<?xml version="1.0"?>{answer}'.encode()
    client.meta.events.register_first(
        "before-send.s3.ListObjectsV2", lambda **_: AWSResponse("https://bucket", 200, {}, RawBody(body))
    )
    with pytest.raises(SourceError, match=said):
        area_of(client).claim()
    assert client.list_objects(Bucket="bucket").get("Contents", []) == []


@pytest.mark.parametrize("operation", ["ListObjectsV2", "ListMultipartUploads"])
def test_a_listing_that_is_cut_off_is_not_taken_for_all_that_there_is(client: S3Client, operation: str) -> None:
    body = b"<Result><IsTruncated>true</IsTruncated></Result>"
    client.meta.events.register_first(
        f"before-send.s3.{operation}", lambda **_: AWSResponse("https://bucket", 200, {}, RawBody(body))
    )
    with pytest.raises(SourceError, match="s3://bucket does not go on where it was cut off"):
        area_of(client).claim()
