"""The files of a bucket: what a listing leaves out must not be deleted for that."""

from collections.abc import Generator

import pytest

from tasks.file_ports import RUNS
from tasks.oci.digest import Digest
from tasks.operations.cleanup.layout.shared_content import SharedContent
from tasks.operations.cleanup.records.journal import list_records
from tasks.stores.bucket.bucket_files import BucketFiles
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress
from tasks.stores.bucket.s3_bucket import S3Bucket
from tasks.stores.bucket.s3_client import make_client
from tests.support.scripted_registry import Reply, Request, ScriptedRegistry
from tests.support.scripted_s3 import page, use_worthless_credentials

LAYER = b"layer"
DIGEST = Digest.of(LAYER)
BLOB = f"blobs/sha256/{DIGEST.encoded}"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Generator[ScriptedRegistry]:
    use_worthless_credentials(monkeypatch)
    server = ScriptedRegistry()
    yield server
    server.stop()
    server.check()


def ends_early(script: ScriptedRegistry, objects: dict[str, bytes], at_once: int) -> BucketFiles:
    """Files of a bucket that says after so many objects that its listing ends, as some releases of stores do."""

    def answer(request: Request) -> Reply:
        after, prefix = (request.query.get(name, [""])[0] for name in ("start-after", "prefix"))
        keys = [key for key in sorted(objects) if key > after and key.startswith(prefix)]
        return page({key: objects[key] for key in keys[:at_once]})

    script.always("GET", "/bucket", answer)
    access = BucketAccess(script.url)
    bucket = S3Bucket(make_client(access), "bucket", access, first_wait=0.001)
    return BucketFiles(bucket, BucketAddress("bucket", ""))


def test_a_placeholder_behind_the_end_that_a_store_tells_too_early_is_seen(script: ScriptedRegistry) -> None:
    objects = {f"aaa/{BLOB}": LAYER, "aaa/index.json": b"{}", f"zzz/{BLOB}": b"", "zzz/index.json": b"{}"}
    files = ends_early(script, objects, 2)
    assert SharedContent(files).needing("aaa", [DIGEST]) == {DIGEST: "zzz has a placeholder of zot for it"}


@pytest.mark.parametrize("run", [None, "run-1"])
def test_records_behind_such_an_end_are_seen_each_once(script: ScriptedRegistry, run: str | None) -> None:
    objects = {f"{RUNS}/run-1/{name}/00000{n}-hide.json": b"{}" for name in ("app", "lib") for n in (1, 2, 3)}
    files = ends_early(script, objects, 2)
    assert [place.path for place in list_records(files, run)] == sorted(objects)


def test_what_is_not_touched_where_it_is_not_listed_costs_no_further_request(script: ScriptedRegistry) -> None:
    files = ends_early(script, {f"aaa/{BLOB}": LAYER}, 2)
    for folder in ("aaa/blobs", ".layoutlift/trash/run-1", f"{RUNS}/run-1/app"):
        before = len(script.requests)
        list(files.list_files(folder))
        assert len(script.requests) == before + 1
