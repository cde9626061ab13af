"""Of a bucket that keeps versions, what a file held before is read, the newest first; who may not is told so."""

from collections.abc import Callable, Iterator

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from tasks.oci.errors import LayoutliftError, SourceReadError, SourceUnavailableError
from tasks.oci.image_layout import MAX_INDEX_SIZE
from tasks.stores.bucket import old_contents
from tasks.stores.bucket.old_contents import OldContents
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress
from tasks.stores.bucket.s3_errors import DeniedError, GatewayError, NotKnownError, SilentError
from tasks.stores.bucket.s3_versions import ObjectVersion, VersionedS3Bucket
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


def test_a_version_that_is_gone_by_now_ends_nothing(
    client: S3Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_versions(client)
    write(client, b"one", b"two", b"three")
    listed = list(VersionedS3Bucket(client, "bucket", BucketAccess()).list_versions("below/"))
    monkeypatch.setattr(VersionedS3Bucket, "list_versions", lambda *_: iter(listed))
    client.delete_object(Bucket="bucket", Key=listed[1].key, VersionId=listed[1].version)
    assert (old(client), caplog.text) == ([b"one"], "")


def test_a_store_that_does_not_say_how_large_a_version_was_is_told_so(
    client: S3Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_versions(client)
    write(client, b"one", b"two")
    get = client.get_object
    monkeypatch.setattr(
        client, "get_object", lambda **wanted: {k: v for k, v in get(**wanted).items() if k != "ContentLength"}
    )
    assert old(client) == []
    assert "does not say how large below/app/index.json was" in caplog.text


def refusing(error: Exception, asked: list[str]) -> Callable[..., Iterator[ObjectVersion]]:
    def list_versions(_: VersionedS3Bucket, key: str) -> Iterator[ObjectVersion]:
        asked.append(key)
        raise error

    return list_versions


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DeniedError("bucket", "AccessDenied"), ["denied (AccessDenied); s3:ListBucketVersions"]),
        (NotKnownError("NotImplemented"), []),
    ],
)
def test_who_can_t_list_versions_is_told_so_once_where_there_may_be_any(
    error: Exception,
    told: list[str],
    client: S3Client,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(VersionedS3Bucket, "list_versions", refusing(error, asked))
    bucket = VersionedS3Bucket(client, "bucket", BucketAccess())
    contents = OldContents(bucket, BucketAddress.parse("s3://bucket"))
    assert [list(contents.of(path, "index.json", 0.0)) for path in ("a", "b")] == [[], []]
    assert asked == ["a/index.json", "b/index.json"], "rights may differ from folder to folder"
    assert [any(part in message for part in told) for message in caplog.messages] == [True] * len(told)


@pytest.mark.parametrize("error", [GatewayError("503"), SilentError("no answer")])
@pytest.mark.parametrize("has_answered", [False, True])
def test_a_store_that_never_answers_what_versions_there_are_is_waited_for_once(
    client: S3Client,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    has_answered: bool,
    error: LayoutliftError,
) -> None:
    """As behind a proxy that has 503 for what it does not know, or nothing: each layout would wait for minutes."""
    asked: list[str] = []
    contents = OldContents(VersionedS3Bucket(client, "bucket", BucketAccess()), BucketAddress.parse("s3://bucket"))
    if has_answered:
        assert list(contents.of("0", "index.json", 0.0)) == []
    monkeypatch.setattr(VersionedS3Bucket, "list_versions", refusing(error, asked))
    assert [list(contents.of(path, "index.json", 0.0)) for path in ("a", "b")] == [[], []]
    if has_answered:
        assert asked == ["a/index.json", "b/index.json"]
        assert len(caplog.messages) == 2
    else:
        assert asked == ["a/index.json"]
        assert caplog.messages == [f"earlier versions of a/index.json, and of all others, are not looked at: {error}"]


def test_one_short_failure_keeps_no_other_layout_from_what_it_held(
    client: S3Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waited for minutes: a list that failed thrice in seconds may come for the next layout."""
    asked: list[str] = []
    contents = OldContents(VersionedS3Bucket(client, "bucket", BucketAccess()), BucketAddress.parse("s3://bucket"))
    monkeypatch.setattr(VersionedS3Bucket, "list_versions", refusing(SourceReadError("500"), asked))
    assert [list(contents.of(path, "index.json", 0.0)) for path in ("a", "b")] == [[], []]
    assert asked == ["a/index.json", "b/index.json"]
    assert caplog.messages == [f"earlier versions of {path}/index.json are not looked at: 500" for path in ("a", "b")]


def test_a_list_of_versions_that_does_not_come_is_named_as_what_is_waited_for(
    client: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        said = {"Error": {"Code": "InternalError"}, "ResponseMetadata": {"HTTPStatusCode": 500}}
        raise ClientError(said, "ListObjectVersions")

    monkeypatch.setattr(client, "list_object_versions", fail)
    bucket = VersionedS3Bucket(client, "bucket", BucketAccess(), first_wait=0.001)
    with pytest.raises(SourceReadError, match=r"^the list of versions in bucket can't be read for the moment"):
        next(bucket.list_versions("a"))


def test_a_bucket_that_is_away_is_an_error(client: S3Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VersionedS3Bucket, "list_versions", refusing(SourceUnavailableError("away"), []))
    with pytest.raises(SourceUnavailableError):
        old(client)
