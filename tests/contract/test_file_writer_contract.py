"""What every store that cleanup may change does: memory, disk, mount, bucket, with versions or without."""

import itertools
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client
from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

from infra.real_parts import S3Fs, SeaweedFS, wait_until
from tasks.file_ports import OWN_FOLDER, FileWriter, StoredFile
from tasks.oci.errors import SourceChangedError
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress
from tasks.stores.bucket.s3_client import make_client
from tasks.stores.bucket.s3_writing import WritableS3Bucket
from tasks.stores.bucket.writable_bucket import BucketWriter
from tasks.stores.directory.mount_patience import Patience
from tasks.stores.directory.watched_writer import WatchedWritable
from tasks.stores.directory.writable_directory import DirectoryWriter
from tests.support.buckets import moto_bucket, use_environment
from tests.support.memory_files import MemoryFiles

TRASH = ".layoutlift/trash/run"
BUCKET = "writer-contract"
_numbers = itertools.count()
_ticks = itertools.count(1.0)


@dataclass(frozen=True)
class Trial:
    """A store, how any other program writes to the same place, and where hidden files go."""

    files: FileWriter
    put: Callable[[str, bytes], object]
    trash: str | None = TRASH
    begin_upload: Callable[[str], object] = lambda path: pytest.fail(f"{path}: no upload can be begun here")

    def stored(self, path: str) -> StoredFile:
        found = self.files.stat_file(path)
        assert found is not None
        return found

    def content(self, path: str) -> bytes | None:
        found = self.files.read_file(path)
        return None if found is None else found.raw

    def put_and_stat(self, path: str, raw: bytes = b"content") -> StoredFile:
        self.put(path, raw)
        return self.stored(path)


def in_memory() -> Trial:
    files = MemoryFiles(lambda: next(_ticks))
    return Trial(files, files.put)


def on_disk(root: Path, files: FileWriter | None = None) -> Trial:
    def put(path: str, raw: bytes) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(raw)

    return Trial(files or DirectoryWriter(root), put)


def in_bucket(client: S3Client, bucket: str, trash: str | None) -> Trial:
    address = BucketAddress.parse(f"s3://{bucket}/copy {next(_numbers)}")
    files = BucketWriter(WritableS3Bucket(make_client(BucketAccess()), bucket, BucketAccess()), address)

    def put(path: str, raw: bytes) -> object:
        return client.put_object(Bucket=bucket, Key=f"{address.prefix}{path}", Body=raw)

    def begin_upload(path: str) -> object:
        return client.create_multipart_upload(Bucket=bucket, Key=f"{address.prefix}{path}")

    return Trial(files, put, trash, begin_upload)


def enable_versions(client: S3Client, bucket: str) -> None:
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


@pytest.fixture(scope="session")
def buckets(seaweedfs: SeaweedFS) -> SeaweedFS:
    enable_versions(seaweedfs.client(), seaweedfs.create_bucket(f"{BUCKET}-versions"))
    seaweedfs.create_bucket(BUCKET)
    return seaweedfs


@pytest.fixture
def moto_client(monkeypatch: pytest.MonkeyPatch) -> Generator[S3Client]:
    with moto_bucket(BUCKET, monkeypatch) as client:
        yield client


KINDS = ["memory", "directory", "process", "bucket", "bucket-versions", "moto", "moto-versions"]


@pytest.fixture(params=[*KINDS, pytest.param("mount", marks=pytest.mark.fuse)])
def trial(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Trial:
    return make_trial(request.param, request, monkeypatch)


def make_trial(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Trial:
    trash = None if kind.endswith("versions") else TRASH
    if kind.startswith("bucket"):
        seaweedfs: SeaweedFS = request.getfixturevalue("buckets")
        use_environment(seaweedfs, monkeypatch)
        return in_bucket(seaweedfs.client(), kind.replace("bucket", BUCKET), trash)
    if kind.startswith("moto"):
        client = request.getfixturevalue("moto_client")
        if trash is None:
            enable_versions(client, BUCKET)
        return in_bucket(client, BUCKET, trash)
    if kind == "memory":
        return in_memory()
    root: Path = request.getfixturevalue("mounted_folder" if kind == "mount" else "tmp_path")
    if kind == "process":
        writable = WatchedWritable(str(root), Patience())
        request.addfinalizer(writable.close)
        return on_disk(root, writable.files)
    return on_disk(root)


def test_a_listing_holds_every_file_at_any_depth_and_no_other_folder(trial: Trial) -> None:
    for path in ("app/blobs/one", "app/blobs/deep/er/two", "app/index.json", "app2/blobs/three"):
        trial.put(path, path.encode())
    listed = {file.path: file for file in trial.files.list_files("app/blobs")}
    assert set(listed) == {"app/blobs/one", "app/blobs/deep/er/two"}
    assert listed["app/blobs/one"] == trial.stored("app/blobs/one")
    assert listed["app/blobs/one"].size == len("app/blobs/one")
    assert list(trial.files.list_files("nothing/here")) == []
    assert {"app/blobs/deep/er/two", "app2/blobs/three"} < {file.path for file in trial.files.list_files(".")}


def test_a_file_is_read_with_its_mark_and_an_absent_one_is_none(trial: Trial) -> None:
    trial.put("app/index.json", b"one")
    found = trial.files.read_file("app/index.json")
    assert found is not None
    assert found.raw == b"one"
    assert trial.files.read_file("app/none.json") is None
    assert trial.files.stat_file("app/none.json") is None


def test_a_file_is_replaced_when_it_is_what_was_read(trial: Trial) -> None:
    trial.put("app/index.json", b"one")
    found = trial.files.read_file("app/index.json")
    assert found is not None
    mark = trial.files.write_file("app/index.json", b"two", found.etag)
    again = trial.files.read_file("app/index.json")
    assert again is not None
    assert (again.raw, again.etag) == (b"two", mark)


@pytest.mark.parametrize("size", [0, 1_200_000])
def test_content_of_any_size_is_written_as_it_is(trial: Trial, size: int) -> None:
    raw = bytes(range(251)) * (size // 251)
    trial.files.write_file("app/index.json", raw, None)
    assert trial.content("app/index.json") == raw


def test_a_file_that_somebody_else_wrote_since_is_left_alone(trial: Trial) -> None:
    trial.put("app/index.json", b"one")
    found = trial.files.read_file("app/index.json")
    assert found is not None
    trial.put("app/index.json", b"two")
    with pytest.raises(SourceChangedError):
        trial.files.write_file("app/index.json", b"three", found.etag)
    assert trial.content("app/index.json") == b"two"


def test_a_new_file_is_made_only_where_there_is_none(trial: Trial) -> None:
    trial.files.write_file(".layoutlift/lease", b"first", None)
    with pytest.raises(SourceChangedError):
        trial.files.write_file(".layoutlift/lease", b"second", None)
    assert trial.content(".layoutlift/lease") == b"first"


def test_a_file_that_went_away_is_not_written_again(trial: Trial) -> None:
    trial.put("app/index.json", b"one")
    found = trial.files.read_file("app/index.json")
    assert found is not None
    trial.files.delete_files([trial.stored("app/index.json")])
    with pytest.raises(SourceChangedError):
        trial.files.write_file("app/index.json", b"three", found.etag)
    assert trial.content("app/index.json") is None


def test_hidden_files_are_absent_and_come_back_as_they_were(trial: Trial) -> None:
    files = [trial.put_and_stat(f"app/blobs/{name}", name.encode()) for name in ("one", "two")]
    assert set(trial.files.hide_files(files, trial.trash)) == set(files)
    assert list(trial.files.list_files("app/blobs")) == []
    paths = ["app/blobs/one", "app/blobs/two", "app/blobs/never there"]
    assert trial.files.restore_files(paths, trial.trash) == {"app/blobs/one", "app/blobs/two"}
    assert trial.content("app/blobs/one") == b"one"
    assert trial.content("app/blobs/two") == b"two"


def test_a_file_that_was_written_anew_is_not_hidden(trial: Trial) -> None:
    before = trial.put_and_stat("app/blobs/one", b"short")
    trial.put("app/blobs/one", b"longer than before")
    assert trial.files.hide_files([before], trial.trash) == ()
    assert trial.content("app/blobs/one") == b"longer than before"


def test_a_file_that_is_gone_is_not_hidden_and_no_error(trial: Trial) -> None:
    gone = trial.put_and_stat("app/blobs/gone")
    here = trial.put_and_stat("app/blobs/here")
    trial.files.delete_files([gone])
    assert trial.files.hide_files([gone, here], trial.trash) == (here,)


def test_hiding_goes_on_where_it_was_stopped(trial: Trial) -> None:
    """As after a crash between the copy and the deletion: the same file is hidden once more."""
    file = trial.put_and_stat("app/blobs/one")
    trial.files.hide_files([file], trial.trash)
    again = trial.put_and_stat("app/blobs/one")
    assert trial.files.hide_files([again], trial.trash) == (again,)
    assert trial.files.restore_files(["app/blobs/one"], trial.trash) == {"app/blobs/one"}
    assert trial.content("app/blobs/one") == b"content"


def test_what_a_writer_sent_again_is_not_touched_by_a_restore_or_a_purge(trial: Trial) -> None:
    trial.files.hide_files([trial.put_and_stat("app/blobs/one", b"old")], trial.trash)
    trial.put("app/blobs/one", b"sent again")
    assert trial.files.restore_files(["app/blobs/one"], trial.trash) == {"app/blobs/one"}
    trial.files.purge_files(["app/blobs/one"], trial.trash)
    assert trial.content("app/blobs/one") == b"sent again"


def test_what_is_purged_does_not_come_back(trial: Trial) -> None:
    trial.files.hide_files([trial.put_and_stat("app/blobs/one")], trial.trash)
    trial.files.purge_files(["app/blobs/one"], trial.trash)
    trial.files.purge_files(["app/blobs/one"], trial.trash)
    assert trial.files.restore_files(["app/blobs/one"], trial.trash) == frozenset()
    assert trial.content("app/blobs/one") is None


def test_only_files_that_are_still_the_same_are_deleted(trial: Trial) -> None:
    same = trial.put_and_stat("app/ingest/same")
    other = trial.put_and_stat("app/ingest/other", b"one")
    trial.put("app/ingest/other", b"another")
    assert trial.files.delete_files([same, other]) == (same,)
    assert trial.content("app/ingest/same") is None
    assert trial.content("app/ingest/other") == b"another"


def test_many_files_of_one_folder_are_hidden_but_for_those_that_changed(trial: Trial) -> None:
    files = [trial.put_and_stat(f"app/blobs/{number}") for number in range(25)]
    trial.put("app/blobs/7", b"of another size, as a mount's times are whole seconds")
    assert trial.files.hide_files(files, trial.trash) == tuple(files[:7] + files[8:])
    assert [file.path for file in trial.files.list_files("app/blobs")] == ["app/blobs/7"]


def test_the_clock_is_that_of_the_files(trial: Trial) -> None:
    before = trial.files.now()
    written = trial.put_and_stat("app/blobs/one").modified
    assert before - 2 <= written <= trial.files.now() + 2


def test_the_clock_is_not_written_for_each_question_and_never_goes_back(trial: Trial) -> None:
    said = [trial.files.now()]
    written = trial.files.stat_file(f"{OWN_FOLDER}/clock")
    said += [trial.files.now() for _ in range(10)]
    assert trial.files.stat_file(f"{OWN_FOLDER}/clock") == written
    assert said == sorted(said)


OWNER, RIGHTS = 4321, 0o664


def owned(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid, found.st_mode & 0o7777


def hand_over(path: Path) -> None:
    path.chmod(RIGHTS)
    os.chown(path, OWNER, OWNER)


def replace_content(files: FileWriter, path: str) -> None:
    found = files.read_file(path)
    assert found is not None
    files.write_file(path, b"another", found.etag)


@pytest.mark.parametrize("kind", ["directory", pytest.param("mount", marks=pytest.mark.fuse)])
def test_what_is_replaced_keeps_its_owner_and_rights(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """So that a writer who is not root goes on where root cleaned up."""
    root = request.getfixturevalue("mounted_folder") if kind == "mount" else tmp_path
    on_disk(root).put("app/index.json", b"one")
    hand_over(root / "app/index.json")
    replace_content(DirectoryWriter(root), "app/index.json")
    assert owned(root / "app/index.json") == (OWNER, OWNER, RIGHTS)


@pytest.mark.fuse
def test_a_mount_shows_the_same_owner_and_rights_of_what_was_replaced_natively(
    mounted_folder: Path, s3fs_mount: S3Fs, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk(mounted_folder).put("app/index.json", b"one")
    hand_over(mounted_folder / "app/index.json")
    use_environment(s3fs_mount.s3, monkeypatch)
    address = BucketAddress.parse(f"s3://{s3fs_mount.bucket}/{mounted_folder.relative_to(s3fs_mount.mountpoint)}")
    bucket = WritableS3Bucket(make_client(BucketAccess()), s3fs_mount.bucket, BucketAccess())
    replace_content(BucketWriter(bucket, address), "app/index.json")
    wait_until(lambda: (mounted_folder / "app/index.json").read_bytes() == b"another", what="the mount looks anew")
    assert owned(mounted_folder / "app/index.json") == (OWNER, OWNER, RIGHTS)


def replaced(client: S3Client, **described: Any) -> HeadObjectOutputTypeDef:
    """What is said of an object that was described so, once we have replaced its content."""
    source = f"copy {next(_numbers)}"
    key = f"{source}/app/index.json"
    client.put_object(Bucket=BUCKET, Key=key, Body=b"one", **described)
    bucket = WritableS3Bucket(client, BUCKET, BucketAccess())
    replace_content(BucketWriter(bucket, BucketAddress.parse(f"s3://{BUCKET}/{source}")), "app/index.json")
    return client.head_object(Bucket=BUCKET, Key=key)


def test_what_is_replaced_in_a_bucket_keeps_what_was_noted_of_it_but_for_times(moto_client: S3Client) -> None:
    noted = {"uid": "4321", "mode": "33204"}
    assert replaced(moto_client, Metadata=noted | {"mtime": "1"})["Metadata"] == noted


SERVED = {
    "ContentType": "application/json",
    "CacheControl": "no-cache",
    "ContentEncoding": "identity",
    "ContentDisposition": "inline",
    "ContentLanguage": "en",
}


def test_what_is_replaced_in_a_bucket_is_served_as_before(moto_client: S3Client) -> None:
    """An index that caches may keep by now is an old one for as long as they like."""
    assert replaced(moto_client, **SERVED).items() >= SERVED.items()


def test_how_an_object_was_sent_is_not_said_of_what_replaces_it(moto_client: S3Client) -> None:
    """A store would look for the parts of a body that is sent whole."""
    assert replaced(moto_client, ContentEncoding="identity,aws-chunked")["ContentEncoding"] == "identity"
    assert "ContentEncoding" not in replaced(moto_client, ContentEncoding="aws-chunked")


@pytest.mark.parametrize("kind", ["bucket", "bucket-versions", "moto"])
def test_an_upload_that_was_given_up_already_is_no_error(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where its writer ended it meanwhile, or a lifecycle rule did."""
    trial = make_trial(kind, request, monkeypatch)
    trial.begin_upload("app/blobs/one")
    (upload,) = trial.files.list_uploads("app/blobs")
    for _ in range(2):
        trial.files.abort_upload(upload)
    assert list(trial.files.list_uploads("app/blobs")) == []


@pytest.mark.parametrize("kind", ["bucket", "bucket-versions", "moto"])
def test_a_file_that_is_written_between_the_look_and_the_deletion_stays_where_the_store_compares(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it does not, the deletion goes through all the same."""
    trial = make_trial(kind, request, monkeypatch)
    one, two = (trial.put_and_stat(f"app/{name}", b"seen") for name in ("one", "two"))
    monkeypatch.setattr(trial.files, "_unchanged", lambda files: trial.put("app/two", b"a writer's") and tuple(files))
    assert trial.files.delete_files([one, two]) == ((one, two) if kind == "moto" else (one,))
    assert trial.content("app/two") == (None if kind == "moto" else b"a writer's")
    assert [file.path for file in trial.files.list_files(".") if "probe" in file.path] == []


def test_a_file_of_which_no_copy_was_made_is_not_hidden(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the store compared, and found that somebody wrote it between the look and the copy."""
    trial = make_trial("moto", request, monkeypatch)
    one, two = (trial.put_and_stat(f"app/{name}", b"seen") for name in ("one", "two"))
    copy = WritableS3Bucket.copy
    monkeypatch.setattr(WritableS3Bucket, "copy", lambda *asked: not asked[1].endswith("app/two") and copy(*asked))
    assert trial.files.hide_files([one, two], TRASH) == (one,)
    assert (trial.content("app/one"), trial.content("app/two")) == (None, b"seen")


@pytest.mark.parametrize("kind", ["bucket", "moto"])
def test_a_file_that_is_written_while_others_are_copied_is_not_deleted(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand copies take minutes; also where the store does not compare what it deletes."""
    trial = make_trial(kind, request, monkeypatch)
    one, two = (trial.put_and_stat(f"app/{name}", b"seen") for name in ("one", "two"))
    at_once = WritableS3Bucket.at_once

    def copy_then_write(bucket: WritableS3Bucket, act: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        done = at_once(bucket, act, items)
        if "copy" in act.__qualname__:
            trial.put("app/two", b"a writer's")
        return done

    monkeypatch.setattr(WritableS3Bucket, "at_once", copy_then_write)
    assert trial.files.hide_files([one, two], TRASH) == (one,)
    assert (trial.content("app/one"), trial.content("app/two")) == (None, b"a writer's")
    assert trial.files.restore_files(["app/one"], TRASH) == {"app/one"}


@pytest.mark.parametrize(
    ("kind", "trash"), [("moto-versions", None), ("moto-versions", TRASH), ("bucket-versions", None)]
)
def test_old_versions_are_deleted_many_at_a_request_and_markers_after_all_of_them(
    kind: str, trash: str | None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = replace(make_trial(kind, request, monkeypatch), trash=trash)
    files = [trial.put_and_stat(f"app/blobs/{number}") for number in range(50)]
    paths = [file.path for file in files]
    trial.files.hide_files(files, trash)
    trial.files.restore_files(paths[:1], trash)
    trial.files.hide_files([trial.stored(paths[0])], trash)
    asked: list[list[tuple[str, str]]] = []
    delete = WritableS3Bucket.delete

    def note(bucket: WritableS3Bucket, keys: Iterable[tuple[str, str]]) -> None:
        asked.append(list(keys))
        delete(bucket, asked[-1])

    monkeypatch.setattr(WritableS3Bucket, "delete", note)
    trial.files.purge_files(paths, trash)
    assert [len(keys) for keys in asked if keys] == ([50, 50] if trash is None else [51])
    assert trial.files.restore_files(paths, trash) == frozenset()
