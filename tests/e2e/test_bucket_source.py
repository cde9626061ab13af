"""A bucket is the same registry through every mount and natively, and is migrated without any mount."""

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from infra.layout_builder import DOCKER_MANIFEST
from infra.real_parts import Registry, SeaweedFS, find_tool
from tasks.oci.errors import ConfigurationError
from tasks.stores.bucket.layout_bucket import LayoutBucket
from tasks.stores.bucket.s3_address import BucketAccess
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.buckets import open_bucket, seen, upload, use_environment
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder, random_bytes
from tests.support.real_parts import MOUNT_FIXTURES, skipped_where_unavailable
from tests.support.registry_view import everything_tagged

REPOSITORIES, TAGS = 50, 20
LARGE = 40 * 1024 * 1024
_numbers = itertools.count()


def write_small_tree(root: Path, repositories: int = REPOSITORIES, tags: int = TAGS) -> None:
    for number in range(repositories):
        layout = LayoutBuilder(root / f"team-{number % 5}" / f"app-{number}")
        for tag in range(tags):
            layout.image(f"v{tag}", layers=[random_bytes(number * 1000 + tag, 1024)])
        layout.write()


def write_odd_tree(root: Path) -> None:
    """Legal layouts of every shape that the directory's tests know, broken ones, and what is none."""
    app = LayoutBuilder(root / "team" / "app")
    image = app.image("v1", layers=[random_bytes(1, 3000)])
    app.referrer(image)
    app.index([app.image(listed=False, layers=[b"arm"]), app.image(layers=[b"amd"])], "multi")
    app.image("registry.example/team/app:full", layers=[b"full"])
    app.image("docker", media_type=DOCKER_MANIFEST, layers=[b"docker"])
    app.image("not a tag!", layers=[b"refused"])
    app.entries.append({"mediaType": "broken"})
    app.write()
    for path in ("team", "team/app/nested", "My App/été 日本", "team/a+b%20&=?#"):
        layout = LayoutBuilder(root / path)
        layout.image("v1", layers=[path.encode()])
        layout.write()
    for name, left in (("index.json", None), ("index.json", b""), ("oci-layout", None), ("oci-layout", b"{}")):
        broken = LayoutBuilder(root / "broken" / f"{name} {left!r}".replace("'", "")).write()
        (broken / name).unlink()
        if left is not None:
            (broken / name).write_bytes(left)
    lost = LayoutBuilder(root / "lost")
    lost.image("v1", layers=[b"1", b"2", b"3"])
    (root / "notes").mkdir()
    (root / "notes" / "read me.txt").write_text("no layout")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_odd_tree(tmp_path / "tree")
    return tmp_path / "tree"


@pytest.fixture
def prefix() -> str:
    return f"tree-{next(_numbers)}"


@pytest.fixture(scope="session")
def bucket(seaweedfs: SeaweedFS) -> str:
    return seaweedfs.create_bucket("bucket-source")


@pytest.mark.fuse
@pytest.mark.parametrize("mount_fixture", MOUNT_FIXTURES)
def test_a_bucket_is_the_same_registry_natively_and_through_a_mount(
    mount_fixture: str,
    tree: Path,
    prefix: str,
    seaweedfs: SeaweedFS,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mount = request.getfixturevalue(mount_fixture)
    upload(seaweedfs, tree, mount.bucket, f"{prefix}/")
    use_environment(seaweedfs, monkeypatch)
    natively = seen(open_bucket(f"s3://{mount.bucket}/{prefix}"))
    assert natively == seen(LayoutDirectory(tree))
    assert natively == seen(LayoutDirectory(mount.mountpoint / prefix))


def test_keys_that_no_path_can_have_do_not_confuse_paths(
    bucket: str, prefix: str, seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SeaweedFS keeps no such keys apart itself; whatever it makes of them, what is good is found."""
    write_small_tree(tmp_path, 1, 2)
    upload(seaweedfs, tmp_path, bucket, f"{prefix}/")
    seaweedfs.client().put_object(Bucket=bucket, Key=f"{prefix}/folder/", Body=b"")
    use_environment(seaweedfs, monkeypatch)
    assert [path for path, _ in seen(open_bucket(f"s3://{bucket}/{prefix}/"))] == ["team-0/app-0"]


def requests_of(source: LayoutBucket) -> Counter[str]:
    """Counts every request from now on, by its kind."""
    counts: Counter[str] = Counter()

    def count(event_name: str, **_: Any) -> None:
        counts[event_name.rpartition(".")[2]] += 1

    source._bucket._client.meta.events.register("before-send.s3", count)
    return counts


def test_a_listing_needs_one_request_a_layout(
    bucket: str, prefix: str, seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_small_tree(tmp_path)
    upload(seaweedfs, tmp_path, bucket, f"{prefix}/")
    use_environment(seaweedfs, monkeypatch)
    source = open_bucket(f"s3://{bucket}/{prefix}")
    requests = requests_of(source)
    inventories = dict(seen(source))
    assert sum(len(found.tags) for found in inventories.values()) == REPOSITORIES * TAGS
    keys = sum(1 for path in tmp_path.rglob("*") if path.is_file())
    assert requests["GetObject"] <= REPOSITORIES
    assert requests["ListObjectsV2"] <= keys // 1000 + 2
    assert set(requests) == {"GetObject", "ListObjectsV2"}
    for path, inventory in inventories.items():
        entry = inventory.tags[0]
        assert source.stat_blob(path, entry.descriptor.digest) is not None
        assert source.stat_blob(path, entry.descriptor.digest) is not None
    assert requests["HeadObject"] == 0
    assert requests["ListObjectsV2"] <= keys // 1000 + 2 + REPOSITORIES


def test_a_bucket_is_migrated_and_verified_without_a_mount(
    bucket: str, seaweedfs: SeaweedFS, tree: Path, with_bucket: Layoutlift, docker_registry: Registry, prefix: str
) -> None:
    upload(seaweedfs, tree, bucket, f"{prefix}/")
    source, target = f"s3://{bucket}/{prefix}", f"{docker_registry.host}/{prefix}"
    listed = with_bucket.listed(source, code=1)
    assert all(len(found["etag"]) == 32 for found in listed["repositories"])
    migrated = with_bucket.migrate(source, target, code=1)
    assert migrated.report["run"]["source"] == source
    marks = {mark["repository"]: mark["etag"] for mark in migrated.report["indexes"]}
    assert {found["repository"]: found["etag"] for found in listed["repositories"]}.items() <= marks.items()
    from_disk = with_bucket.migrate(tree, f"{target}-from-disk", code=1)
    assert migrated.findings == from_disk.findings
    assert migrated.outcomes == from_disk.outcomes
    brought = everything_tagged(docker_registry, prefix)
    assert brought == everything_tagged(docker_registry, f"{prefix}-from-disk")
    verified = with_bucket.verify(source, target, "--depth", "content", code=1)
    assert ("lost/blobs/sha256", "not_a_layout") in verified.findings
    assert with_bucket.migrate(source, target, code=1).totals["bytes_pushed"] == 0


def test_a_large_blob_is_read_in_ranges_and_arrives_whole(
    bucket: str, seaweedfs: SeaweedFS, tmp_path: Path, with_bucket: Layoutlift, docker_registry: Registry, prefix: str
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[random_bytes(7, LARGE)])
    layout.write()
    upload(seaweedfs, tmp_path, bucket, f"{prefix}/")
    source, target = f"s3://{bucket}/{prefix}", f"{docker_registry.host}/{prefix}"
    assert with_bucket.migrate(source, target).outcomes == {"app:v1": "copied"}
    assert with_bucket.verify(source, target, "--depth", "content").code == 0


def test_a_flow_reads_a_bucket_too(
    bucket: str,
    seaweedfs: SeaweedFS,
    tmp_path: Path,
    with_bucket: Layoutlift,
    prefect_environment: dict[str, str],
    docker_registry: Registry,
    prefix: str,
) -> None:
    write_small_tree(tmp_path, 2, 3)
    upload(seaweedfs, tmp_path, bucket, f"{prefix}/")
    with_bucket.standalone = False
    endpoint = with_bucket.environment.pop("AWS_ENDPOINT_URL")
    options = ("--endpoint-url", endpoint)
    source = f"s3://{bucket}/{prefix}"
    ended = with_bucket.migrate(source, f"{docker_registry.host}/{prefix}", *options, environment=prefect_environment)
    assert set(ended.outcomes.values()) == {"copied"}
    assert ended.report["run"]["options"]["endpoint_url"] == endpoint


@pytest.fixture
def mistakes(bucket: str, seaweedfs: SeaweedFS) -> dict[str, tuple[str, dict[str, str], int, str]]:
    """Source, environment, exit code and words of each way to get a bucket wrong."""
    source = f"s3://{bucket}"
    wrong_key = {"AWS_SECRET_ACCESS_KEY": "wrong"}
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    return {
        "no such bucket": ("s3://no-such-bucket", {}, 2, "does not exist"),
        "nothing there": (f"{source}/nothing/here", {}, 2, "nothing below"),
        "no credentials": (source, none, 2, "no usable credentials"),
        "wrong secret": (source, wrong_key, 2, "credentials"),
        "no such profile": (source, {"AWS_PROFILE": "nobody"}, 2, "nobody"),
        "nobody listens": (source, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 1, "does not answer"),
        "no TLS": (source, {"AWS_ENDPOINT_URL": seaweedfs.endpoint.replace("http:", "https:")}, 1, "or https://?"),
        "no address": ("s3://", {}, 2, "s3://bucket[/prefix]"),
    }


@pytest.fixture(scope="session")
def open_bucket_name(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bucket that everybody may list and read, and nobody may write to without a key."""
    tree = tmp_path_factory.mktemp("open")
    write_small_tree(tree, repositories=1, tags=2)
    name = seaweedfs.create_bucket("open-to-all")
    upload(seaweedfs, tree, name)
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:ListBucket", "s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    seaweedfs.client().put_bucket_policy(Bucket=name, Policy=policy)
    return name


def test_a_bucket_that_everybody_may_read_needs_no_credentials(
    open_bucket_name: str, bucket: str, seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_environment(seaweedfs, monkeypatch)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    access = BucketAccess(anonymous=True)
    assert [path for path, _ in seen(open_bucket(f"s3://{open_bucket_name}", access=access))] == ["team-0/app-0"]
    with pytest.raises(ConfigurationError, match="--no-sign-request reads a bucket that is open"):
        open_bucket(f"s3://{open_bucket_name}").list_layouts()
    with pytest.raises(ConfigurationError, match="to whoever sends no credentials"):
        open_bucket(f"s3://{bucket}", access=access).list_layouts()


def test_a_state_in_a_bucket_is_signed_also_where_the_source_is_not(
    open_bucket_name: str, bucket: str, with_bucket: Layoutlift
) -> None:
    options = ("--no-sign-request", "--depth", "content", "--state", f"s3://{bucket}/state-of-open")
    with_bucket("check", f"s3://{open_bucket_name}", *options)


def test_a_report_that_is_kept_in_a_bucket_is_printed_too(
    bucket: str, with_bucket: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    write_small_tree(tmp_path, repositories=1, tags=1)
    target, state = f"{docker_registry.host}/{prefix}", f"s3://{bucket}/state-of-printed"
    printed = ("--json", "--state", state)
    assert json.loads(with_bucket("check", tmp_path, *printed).stdout)["run"]["flow"] == "check"
    migrate = ("migrate", "--plain-http", "--standalone", *printed)
    assert json.loads(with_bucket(*migrate, tmp_path, target).stdout)["run"]["flow"] == "migrate"
    mapping = f"{{source: {tmp_path}, target: '{target}'}}"
    (tmp_path / "two.yaml").write_text(f"version: 1\nmappings: [{mapping}, {mapping}]\n")
    assert len(json.loads(with_bucket(*migrate, "-c", tmp_path / "two.yaml").stdout)["reports"]) == 2


@pytest.mark.parametrize(
    "mistake",
    [
        "no such bucket",
        "nothing there",
        "no credentials",
        "wrong secret",
        "no such profile",
        "nobody listens",
        "no TLS",
        "no address",
    ],
)
def test_a_wrong_bucket_is_one_clear_line(
    mistake: str, mistakes: dict[str, tuple[str, dict[str, str], int, str]], with_bucket: Layoutlift
) -> None:
    source, environment, code, words = mistakes[mistake]
    begun_in_different_ways = ("ls", "recover", *(("check",) if code == 2 else ()))
    for command in begun_in_different_ways:
        ended = with_bucket(command, source, code=code, environment=environment)
        assert words in ended.stderr, command
        assert len(ended.stderr.splitlines()) == 1
        assert ended.stdout == ""


@pytest.mark.parametrize("mistake", ["no such bucket", "no credentials", "wrong secret", "no such profile"])
def test_what_would_change_a_wrong_bucket_ends_as_what_reads_it(
    mistake: str, mistakes: dict[str, tuple[str, dict[str, str], int, str]], with_bucket: Layoutlift
) -> None:
    source, environment, code, words = mistakes[mistake]
    undo = ("cleanup", "undo", "20260615T120000Z-1a2b3c", "--source", source)
    measure = ("benchmark", "run", source, "--paths", "native", "--sizes", "40kB", "--standalone")
    with skipped_where_unavailable():
        programs = {"PATH": f"{find_tool('oras').parent}:/usr/bin:/bin"}  # without it, there is nothing to measure
    for command in (undo, measure):
        ended = with_bucket(*command, code=code, environment=environment | programs)
        assert words in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
