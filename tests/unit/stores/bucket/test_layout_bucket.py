"""A bucket of layouts is read by as few requests as it can be, and nothing beside it is read."""

import json
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tasks.endpoints import open_source
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    ConfigurationError,
    InvalidLayoutError,
    OutsideSourceError,
    SizeMismatchError,
    SourceError,
)
from tasks.oci.image_layout import blob_path
from tasks.stores import sibling_blobs
from tasks.stores.bucket.layout_bucket import LayoutBucket
from tasks.stores.bucket.s3_errors import DeniedError
from tasks.stores.bucket.s3_versions import VersionedS3Bucket
from tests.support.buckets import moto_bucket
from tests.support.scripted_registry import Reply, ScriptedRegistry
from tests.support.scripted_s3 import (
    BLOB,
    BLOB_KEY,
    CONTENT,
    INDEX,
    MARKER,
    OpenBucket,
    always,
    content,
    etag,
    page,
    refusal,
)

pytestmark = pytest.mark.usefixtures("environment")


def lists(source: LayoutBucket) -> list[object]:
    return list(source.list_layouts())


def test_a_layout_costs_one_request_beside_the_listing(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    first = {"app/index.json": INDEX, "app/oci-layout": MARKER, "app/blobs/sha256/1": b""}
    last = page({"b/index.json": INDEX, "b/oci-layout": MARKER})
    script.expect("GET", "/bucket", page(first, more="next"), last, page({}))
    source = bucket()
    assert lists(source) == ["app", "b"]
    for path in ("app", "b"):
        script.expect("GET", f"/bucket/{path}/index.json", content(INDEX))
        assert source.read_index(path).raw == INDEX
    assert script.asked("GET", "/bucket")[1].query["continuation-token"] == ["next"]
    assert len(script.requests) == 5


def test_an_unusual_marker_is_read_once_for_all_layouts_that_have_it(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    marker = b'{"imageLayoutVersion":"1.1.0", "by": "hand"}'
    objects = {
        f"{path}/{name}": raw for path in "abc" for name, raw in (("index.json", INDEX), ("oci-layout", marker))
    }
    script.expect("GET", "/bucket", page(objects), page({}))
    script.expect("GET", "/bucket/a/oci-layout", content(marker))
    source = bucket()
    for path in lists(source):
        script.expect("GET", f"/bucket/{path}/index.json", content(INDEX))
        source.read_index(str(path))


@pytest.mark.parametrize("after", [INDEX, b""], ids=["written", "left empty"])
def test_an_index_that_is_empty_is_read_once_more(script: ScriptedRegistry, bucket: OpenBucket, after: bytes) -> None:
    """A mount such as s3fs writes it in two steps, of which the first leaves nothing."""
    script.expect("GET", "/bucket", page({"app/index.json": b"", "app/oci-layout": MARKER}), page({}))
    script.expect("GET", "/bucket/app/index.json", content(b""), content(after))
    source = bucket()
    assert lists(source) == ["app"]
    read = source.read_index("app")
    assert (read.raw, read.etag) == (after, etag(after).strip('"'))


def test_a_layout_without_its_marker_is_refused(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    script.expect("GET", "/bucket", page({"app/index.json": INDEX}), page({}))
    always(script, "/bucket/app/oci-layout", refusal("NoSuchKey", 404))
    source = bucket()
    assert lists(source) == ["app"]
    with pytest.raises(InvalidLayoutError, match="oci-layout is missing"):
        source.read_index("app")


def test_sizes_of_blobs_come_from_one_listing_and_a_late_blob_is_still_found(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    listed = page({BLOB_KEY.removeprefix("/bucket/"): CONTENT, "app/blobs/sha256/.tmp": b"", "app/blobs/x/1": b""})
    script.expect("GET", "/bucket", listed)
    source = bucket()
    for _ in range(3):
        found = source.stat_blob("app", BLOB.digest)
        assert found is not None
        assert (found.size, found.modified) == (len(CONTENT), 1767225600)
    late = Digest.of(b"late")
    head = {"Content-Length": "4", "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    script.expect("HEAD", f"/bucket/app/blobs/sha256/{late.encoded}", Reply(200, head), Reply(404))
    assert source.stat_blob("app", late) is not None
    assert source.stat_blob("app", late) is None


@pytest.mark.parametrize(
    ("kept_in", "is_archived"),
    [("STANDARD", False), ("GLACIER_IR", False), ("GLACIER", True), ("DEEP_ARCHIVE", True)],
)
def test_a_blob_that_is_archived_is_known_by_the_listing(
    script: ScriptedRegistry, bucket: OpenBucket, kept_in: str, is_archived: bool
) -> None:
    listed = page({BLOB_KEY.removeprefix("/bucket/"): CONTENT})
    body = listed.body.replace(b"</Contents>", f"<StorageClass>{kept_in}</StorageClass></Contents>".encode())
    script.expect("GET", "/bucket", replace(listed, body=body))
    found = bucket().stat_blob("app", BLOB.digest)
    assert found is not None
    assert found.archived is is_archived


def test_a_key_that_only_looks_like_a_digest_is_no_blob(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    key = BLOB_KEY.removeprefix("/bucket/").replace("sha256/", "sha256:")
    script.expect("GET", "/bucket", page({key: CONTENT}))
    script.expect("HEAD", BLOB_KEY, Reply(404))
    assert bucket().stat_blob("app", BLOB.digest) is None


def test_without_etags_the_mark_of_an_index_still_follows_it(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    """An empty one would call every layout unchanged for `--since-last`."""
    always(script, "/bucket/app/oci-layout", Reply(200, {}, MARKER))
    script.expect("GET", "/bucket/app/index.json", *(Reply(200, {}, raw) for raw in (INDEX, INDEX, INDEX + b"\n")))
    source = bucket()
    first, same, changed = (source.read_index("app").etag for _ in range(3))
    assert first == same != changed


def test_a_prefix_with_nothing_below_it_is_wrong_but_an_empty_bucket_is_not(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    always(script, "/bucket", page({}))
    assert lists(bucket()) == []
    with pytest.raises(ConfigurationError, match="nothing below s3://bucket/team"):
        bucket("team/").list_layouts()


def test_a_key_is_taken_literally(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    objects = {"te am/é+%20?#/index.json": INDEX, "te am/é+%20?#/oci-layout": MARKER}
    quoted = "/bucket/te%20am/%C3%A9%2B%2520%3F%23/index.json"
    script.expect("GET", "/bucket", page(objects), page({}))
    script.expect("GET", quoted, content(INDEX))
    source = bucket("te am/")
    assert lists(source) == ["é+%20?#"]
    assert source.read_index("é+%20?#").raw == INDEX


@pytest.mark.parametrize("path", ["../app", "a//b", "", "a/.", "/app"])
def test_a_path_that_no_listing_has_given_is_not_read(
    script: ScriptedRegistry, bucket: OpenBucket, path: str
) -> None:
    with pytest.raises(OutsideSourceError):
        bucket("team/").read_index(path)
    assert script.requests == []


def test_an_index_larger_than_any_is_not_read(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    always(script, "/bucket/app/oci-layout", content(MARKER))
    script.expect("GET", "/bucket/app/index.json", Reply(200, {"Content-Length": str(2**40)}, b"{"))
    with pytest.raises(InvalidLayoutError, match="bytes"):
        bucket().read_index("app")


def test_an_empty_blob_of_a_deduplicating_zot_is_read_from_where_its_bytes_are(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    real, empty = BLOB_KEY.replace("/app/", "/other/"), content(b"")
    head = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    objects = {f"{path}/{name}": b"" for path in ("app", "other") for name in ("oci-layout", "index.json")}
    always(script, "/bucket", page(objects))
    always(script, BLOB_KEY, empty)
    always(script, real, content(CONTENT))
    script.always("HEAD", BLOB_KEY, Reply(200, {**head, "Content-Length": "0"}))
    script.always("HEAD", real, Reply(200, {**head, "Content-Length": "7"}))
    source = bucket()
    assert source.blob("app", BLOB).read() == CONTENT
    found = source.stat_blob("app", BLOB.digest)
    assert found is not None
    assert found.size == len(CONTENT)


def test_an_empty_blob_whose_bytes_are_nowhere_is_told(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    head = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "Content-Length": "0"}
    always(script, "/bucket", page({"app/index.json": INDEX}))
    always(script, BLOB_KEY, content(b""))
    script.always("HEAD", BLOB_KEY, Reply(200, head))
    with pytest.raises(SizeMismatchError, match="deduplication"):
        bucket().blob("app", BLOB).read()


def test_many_empty_blobs_are_found_by_listing_all(in_moto: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sibling_blobs, "WORTH_A_LISTING", -1)
    client, open_bucket = in_moto
    blobs = [Descriptor("a/b", Digest.of(raw), len(raw)) for raw in (b"one", b"two")]
    for path in ("app", "z"):
        client.put_object(Bucket="bucket", Key=f"{path}/oci-layout", Body=MARKER)
        client.put_object(Bucket="bucket", Key=f"{path}/index.json", Body=INDEX)
        client.put_object(Bucket="bucket", Key=f"{path}/blobs/sha256/notes", Body=b"notes")
    for blob, raw in zip(blobs, (b"one", b"two"), strict=True):
        client.put_object(Bucket="bucket", Key=f"app/{blob_path(blob.digest)}", Body=b"")
        client.put_object(Bucket="bucket", Key=f"z/{blob_path(blob.digest)}", Body=raw)
    source = open_bucket()
    assert [source.blob("app", blob).read() for blob in blobs] == [b"one", b"two"]


@pytest.fixture
def in_moto(monkeypatch: pytest.MonkeyPatch) -> Generator[tuple[object, Callable[[], LayoutBucket]]]:
    """A client of a bucket, and our store over it."""
    with moto_bucket("bucket", monkeypatch) as client:
        yield client, lambda: open_source("s3://bucket")


def test_the_mark_of_an_index_holds_its_version_where_the_bucket_keeps_versions(in_moto: tuple) -> None:
    client, open_bucket = in_moto
    client.put_object(Bucket="bucket", Key="app/oci-layout", Body=MARKER)
    client.put_object(Bucket="bucket", Key="app/index.json", Body=INDEX)
    plain = open_bucket().read_index("app").etag
    assert plain == etag(INDEX).strip('"')
    client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    versions = [client.put_object(Bucket="bucket", Key="app/index.json", Body=INDEX)["VersionId"] for _ in range(2)]
    assert open_bucket().read_index("app").etag == f"{plain}@{versions[-1]}"


def test_an_archived_blob_is_told_and_costs_nothing_else(in_moto: tuple) -> None:
    client, open_bucket = in_moto
    key = BLOB_KEY.removeprefix("/bucket/")
    client.put_object(Bucket="bucket", Key=key, Body=CONTENT, StorageClass="GLACIER")
    client.put_object(Bucket="bucket", Key=key.replace("app", "other"), Body=CONTENT)
    source = open_bucket()
    with pytest.raises(SourceError, match=r"archived .*; restore it first") as raised:
        source.blob("app", BLOB).read()
    assert not raised.value.transient
    assert source.stat_blob("app", BLOB.digest) is not None
    assert source.blob("other", BLOB).read() == CONTENT


def test_a_deleted_object_of_a_bucket_with_versions_is_gone(in_moto: tuple) -> None:
    client, open_bucket = in_moto
    client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    for name, raw in (("oci-layout", MARKER), ("index.json", INDEX)):
        for path in ("app", "gone"):
            client.put_object(Bucket="bucket", Key=f"{path}/{name}", Body=raw)
        client.delete_object(Bucket="bucket", Key=f"gone/{name}")
    source = open_bucket()
    assert lists(source) == ["app"]
    assert json.loads(source.read_index("app").raw)["manifests"] == []


def test_a_bucket_that_keeps_versions_has_the_earlier_indexes_of_each_layout(in_moto: tuple) -> None:
    client, _ = in_moto
    client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    for key in ("app", "other"):
        for time in ("before", "now"):
            client.put_object(Bucket="bucket", Key=f"below/{key}/index.json", Body=f"{key} {time}".encode())
    source = open_source("s3://bucket/below")
    assert [list(source.old_indexes(path, 0.0)) for path in ("app", "other")] == [[b"app before"], [b"other before"]]


def test_layouts_that_ask_at_once_are_told_once_that_they_may_not_see_earlier_indexes(
    in_moto: tuple, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise DeniedError("bucket", "AccessDenied")

    monkeypatch.setattr(VersionedS3Bucket, "list_versions", refuse)
    with ThreadPoolExecutor(4) as pool:
        source = in_moto[1]()
        assert list(pool.map(lambda path: list(source.old_indexes(path, 0.0)), "abcd")) == [[]] * 4
    [message] = caplog.messages
    assert "index.json, and perhaps of others, are not looked at" in message
