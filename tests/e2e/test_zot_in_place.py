"""`layoutlift zot check` says of a source what a real zot over it then does, and `zot config` keeps it unharmed."""

import hashlib
import json
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import SeaweedFS, ZotInPlace, wait_until
from infra.real_parts.waiting import http_status
from tests.support.buckets import upload
from tests.support.command import Ended, Layoutlift
from tests.support.layouts import DOCKER_MANIFEST, OCI_MANIFEST, LayoutBuilder
from tests.support.real_parts import running

CONTENT = ("--depth", "content")
MARK = "_restore_complete"
"""What zot itself leaves at the root of its storage."""
SHARED = hashlib.sha256(b"shared by all").hexdigest()
Spoil = Callable[[LayoutBuilder], None]


def write_good_tree(root: Path) -> None:
    """All that zot serves as it is: nested names, referrers, both types, platforms that are listed themselves."""
    for path in ("team/app", "team", "other"):
        layout = LayoutBuilder(root / path)
        layout.referrer(layout.image("v1", layers=[b"shared by all", path.encode()]))
        layout.image("docker", media_type=DOCKER_MANIFEST, layers=[b"docker"])
        layout.index([layout.image(layers=[b"arm"]), layout.image(layers=[b"amd"])], "multi")
        layout.image(layers=[b"its tag has moved on"])
        layout.write()


def _unlisted_platforms(layout: LayoutBuilder) -> None:
    layout.index([layout.image(layers=[b"arm"], listed=False)], "multi")


def _full_reference(layout: LayoutBuilder) -> None:
    layout.image("registry.example/team/app:full", layers=[b"full"])


def _two_contents(layout: LayoutBuilder) -> None:
    layout.image("twice", layers=[b"1"])
    layout.image("twice", layers=[b"2"])


def _lost_blob(layout: LayoutBuilder) -> None:
    layout.image("lost", layers=[b"lost"])
    layout.blob_path(layout.blob(b"lost")).unlink()


def _altered_blob(layout: LayoutBuilder) -> None:
    layout.image("altered", layers=[b"altered"])
    layout.blob_path(layout.blob(b"altered")).write_bytes(b"ALTERED")


def _lost_manifest(layout: LayoutBuilder) -> None:
    layout.blob_path(layout.image(layers=[b"its manifest is lost"])).unlink()


def _altered_manifest(layout: LayoutBuilder) -> None:
    path = layout.blob_path(layout.image("altered", layers=[b"its manifest is altered"]))
    path.write_bytes(path.read_bytes().replace(b"schemaVersion", b"schemaversioN"))


def _wrong_type(layout: LayoutBuilder) -> None:
    layout.entries.append({"mediaType": OCI_MANIFEST, "digest": "sha256:" + "a" * 64, "size": "3"})


def _hidden_referrer(layout: LayoutBuilder) -> None:
    subject = layout.image("v2", layers=[b"its referrer stands in a list only"])
    listed = layout.referrer(subject, content=b"hidden", listed=False)
    layout.index([listed], f"sha256-{subject['digest'].removeprefix('sha256:')}")


TROUBLES: dict[str, Spoil] = {
    "unlisted-platforms": _unlisted_platforms,
    "full-reference": _full_reference,
    "two-contents": _two_contents,
    "lost-blob": _lost_blob,
    "altered-blob": _altered_blob,
    "lost-manifest": _lost_manifest,
    "altered-manifest": _altered_manifest,
    "wrong-type": _wrong_type,
    "hidden-referrer": _hidden_referrer,
    "Upper Case": lambda _: None,
    "double..dots": lambda _: None,
    "byte-order-mark": lambda _: None,
    "empty-index": lambda _: None,
    "no-marker": lambda _: None,
}
UNREADABLE = ("wrong-type", "byte-order-mark")
"""For a HEAD of these zot answers 500, which a verification takes for something that passes, and asks for long."""
WITHOUT_MARKER = "no-marker"
"""Zot serves it by name; we take it for no layout, as the specification has it."""


def write_troubles(root: Path) -> None:
    """A good layout, and beside it one for each trouble, good but for that."""
    for path, spoil in {"good": lambda _: None, **TROUBLES}.items():
        layout = LayoutBuilder(root / path)
        layout.referrer(layout.image("v1", layers=[b"good"]))
        spoil(layout)
        layout.write()
    marked = root / "byte-order-mark" / "index.json"
    marked.write_bytes(b"\xef\xbb\xbf" + marked.read_bytes())
    (root / "empty-index" / "index.json").write_bytes(b"")
    (root / WITHOUT_MARKER / "oci-layout").unlink()


def broken_repositories(ended: Ended) -> set[str]:
    """The layouts of which something is wrong, by the tags and findings of a report."""
    remarks = {"not_a_layout", "extra_at_target", "changed_by_defaults", "not_in_catalog"}
    found = {finding["path"] for finding in ended.report["findings"] if finding["code"] not in remarks}
    return found | {row["repository"] for row in ended.report["tags"] if row["error"]}


@pytest.fixture
def serve(tmp_path: Path) -> Generator[Callable[..., ZotInPlace]]:
    """Start a zot by a configuration; all are stopped at the end."""
    with ExitStack() as stack:

        def start(configuration: dict[str, Any], **environment: str) -> ZotInPlace:
            zot = ZotInPlace(tmp_path / "zot", configuration=configuration, environment=environment)
            return stack.enter_context(running(zot))

        yield start


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "tree"


def configuration(layoutlift: Layoutlift, source: str | Path) -> dict[str, Any]:
    return json.loads(layoutlift("zot", "config", source).stdout)


def checked(layoutlift: Layoutlift, source: str | Path, *, code: int) -> Ended:
    report = layoutlift.home / "report.json"
    return layoutlift("zot", "check", source, *CONTENT, "--report", report, code=code)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_directory_is_served_in_place_and_unharmed(
    tree: Path, layoutlift: Layoutlift, serve: Callable[..., ZotInPlace]
) -> None:
    write_good_tree(tree)
    before = files(tree)
    foreseen = checked(layoutlift, tree, code=0)
    assert {code for _, code in foreseen.findings} == {"changed_by_defaults"}
    zot = serve(configuration(layoutlift, tree))
    verified = layoutlift.verify(tree, zot.host, *CONTENT)
    assert len(verified.rows) == 9
    zot.stop()
    after = files(tree)
    after.pop(MARK, None)
    assert after == before


def test_a_bucket_is_served_in_place_and_unharmed(
    tree: Path, layoutlift: Layoutlift, serve: Callable[..., ZotInPlace], seaweedfs: SeaweedFS
) -> None:
    write_good_tree(tree)
    bucket = seaweedfs.create_bucket("served-in-place")
    upload(seaweedfs, tree, bucket, "some/prefix/")
    upload(seaweedfs, tree, bucket, "others/business/")
    empty, whole = (f"some/prefix/{path}/blobs/sha256/{SHARED}" for path in ("other", "team"))
    seaweedfs.client().put_object(Bucket=bucket, Key=empty, Body=b"")  # as a deduplicating zot leaves it
    before = objects(seaweedfs, bucket)
    layoutlift.environment.update(seaweedfs.environment())
    source = f"s3://{bucket}/some/prefix"
    assert checked(layoutlift, source, code=0).rows
    zot = serve(configuration(layoutlift, source), **seaweedfs.environment())
    wait_until(lambda: objects(seaweedfs, bucket)[empty] != before[empty], what="zot has filled the empty object")
    assert layoutlift.verify(source, f"{zot.host}/some/prefix", *CONTENT).rows
    refused = layoutlift.verify(f"s3://{bucket}/others/business", f"{zot.host}/others/business", code=1)
    assert "permission_denied" in {code for _, code in refused.findings}
    zot.stop()
    after = objects(seaweedfs, bucket)
    after.pop(MARK, None)
    assert {key for key in after.keys() | before.keys() if after.get(key) != before.get(key)} == {empty}
    assert content(seaweedfs, bucket, empty) == content(seaweedfs, bucket, whole)


def content(s3: SeaweedFS, bucket: str, key: str) -> bytes:
    return s3.client().get_object(Bucket=bucket, Key=key)["Body"].read()


def objects(s3: SeaweedFS, bucket: str) -> dict[str, str]:
    return {found["Key"]: found["ETag"] for found in s3.client().list_objects_v2(Bucket=bucket)["Contents"]}


def test_what_the_check_foresees_is_what_a_zot_does(
    tree: Path, layoutlift: Layoutlift, serve: Callable[..., ZotInPlace]
) -> None:
    write_troubles(tree)
    foreseen = broken_repositories(checked(layoutlift, tree, code=1))
    assert foreseen == set(TROUBLES)
    zot = serve(configuration(layoutlift, tree))
    readable = [option for path in UNREADABLE for option in ("--exclude", path)]
    verified = layoutlift.verify(tree, zot.host, *CONTENT, *readable, code=1)
    assert broken_repositories(verified) == foreseen - set(UNREADABLE)
    served = {path: http_status(f"{zot.url}/v2/{path}/manifests/v1") for path in ("good", *UNREADABLE)}
    assert served == {"good": 200, **dict.fromkeys(UNREADABLE, 404)}


@pytest.mark.soak
def test_default_settings_change_what_the_check_says_they_would(
    tree: Path, layoutlift: Layoutlift, serve: Callable[..., ZotInPlace]
) -> None:
    write_good_tree(tree)
    safe = configuration(layoutlift, tree)
    impatient = {"rootDirectory": str(tree), "gcDelay": "1s", "gcInterval": "1s"}
    before = (tree / "team" / "index.json").read_bytes()
    serve({**safe, "storage": impatient})
    wait_until(
        lambda: (tree / "team" / "index.json").read_bytes() != before, what="zot has collected", deadline_seconds=90
    )
    left = json.loads((tree / "team" / "index.json").read_bytes())["manifests"]
    assert len(left) == len(json.loads(before)["manifests"]) - 1


def test_of_a_zots_own_storage_what_it_keeps_for_uploads_looks_like_no_mount_that_is_gone(
    tree: Path, tmp_path: Path, layoutlift: Layoutlift, serve: Callable[..., ZotInPlace]
) -> None:
    write_good_tree(tree)
    storage = tmp_path / "storage"
    safe = configuration(layoutlift, tree)
    writable = {each: safe["http"][each] for each in safe["http"] if each != "accessControl"}
    zot = serve({**safe, "storage": {"rootDirectory": str(storage)}, "http": writable})
    layoutlift.migrate(tree, zot.host)
    zot.stop()
    assert (storage / "team" / ".uploads").is_dir()
    ended = layoutlift("check", storage, "--report", layoutlift.home / "report.json")
    assert {(finding["path"], finding["code"]) for finding in ended.report["findings"]} == {(".", "not_a_layout")}


def test_a_layout_that_is_the_storage_itself_is_not_served(tree: Path, layoutlift: Layoutlift) -> None:
    layout = LayoutBuilder(tree)
    layout.image("v1")
    layout.write()
    ended = checked(layoutlift, tree, code=1)
    assert ended.outcomes == {".:v1": "not_served"}


def test_a_bucket_whose_requester_pays_is_nothing_for_zot(layoutlift: Layoutlift) -> None:
    ended = layoutlift("zot", "config", "s3://bucket", "--request-payer", code=2)
    assert "zot can't pay" in ended.stderr
